// Runs an experiment, each run in a process of its own, and gathers what they found.
#ifndef CMERC_EXPERIMENT_RUNNER_H_
#define CMERC_EXPERIMENT_RUNNER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/plan.h"
#include "experiment/results.pb.h"

namespace cmerc {

struct RunnerOptions {
  // A `cmerc` whose `train` does a run.
  std::string program;
  // Folder of the experiment, which exists: a run is in OUTPUT/DATASET/VARIANT/seed-N, with
  //   train.log     what `cmerc train` printed
  //   begun.txt     the identity of the run, written when it is begun: one that was interrupted is
  //                 gone on with (`cmerc train --resume`)
  //   finished.txt  the same, written when it has succeeded
  std::string output;
  // Runs at the same time; 0: one per processor.
  int parallel_runs = 0;
};

// Does the runs that are not finished and tells of each on standard output. A run that fails does
// not stop the others. Returns "RUN: why" for those that failed. Errors: another process runs this
// experiment, or a file of it cannot be read or written.
absl::StatusOr<std::vector<std::string>> DoRuns(const std::vector<PlannedRun>& runs,
                                                const RunnerOptions& options);

// The rows of the finished runs, datasets in the order of the plan, then variants. Errors: a
// summary.json or test_predictions.jsonl that cannot be read; runs of earlier versions have none of
// the latter.
absl::StatusOr<ExperimentResults> GatherResults(const ExperimentPlan& plan,
                                                const std::vector<PlannedRun>& runs,
                                                const RunnerOptions& options);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_RUNNER_H_
