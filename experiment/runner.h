// Runs an experiment, each run in a process of its own.
#ifndef CMERC_EXPERIMENT_RUNNER_H_
#define CMERC_EXPERIMENT_RUNNER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/launcher.h"
#include "experiment/plan.h"

namespace cmerc {

// Does the runs that are not finished, as many at the same time as the launcher has room for, and
// tells of each on standard output. A run that fails does not stop the others. Returns "RUN: why"
// for those that failed. `output`, the folder of the experiment, exists; a run is in
// OUTPUT/DATASET/VARIANT/seed-N, with
//   config.textproto  its config
//   train.log         what `cmerc train` printed
//   begun.txt         the identity of the run, written when it is begun: one that was interrupted
//                     is resumed (`cmerc train --resume`)
//   finished.txt      the identity again, written when it has succeeded
// InvalidArgument: another process runs this experiment. Other errors: a file of it cannot be read
// or written, or a run cannot be started; the runs that were started are stopped.
absl::StatusOr<std::vector<std::string>> DoRuns(const std::vector<PlannedRun>& runs,
                                                const std::string& output, Launcher& launcher);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_RUNNER_H_
