// That the processes which do runs of one experiment mean the same runs.
#ifndef CMERC_EXPERIMENT_WORKER_RUNS_H_
#define CMERC_EXPERIMENT_WORKER_RUNS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "experiment/plan.h"

namespace cmerc {

// The file in the folder of an experiment in which its workers keep what their runs are.
std::string WorkerRunsFile(const std::string& output);

// Compares `runs` with those of the workers before, and keeps them. InvalidArgument: a run of the
// same folder is another one (its config, its data files or the version differ) while a worker
// still holds a claim. A process that is no `worker` compares alone.
absl::Status AgreeOnRuns(const std::vector<PlannedRun>& runs, const std::string& output,
                         bool worker);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_WORKER_RUNS_H_
