// Slurm's own commands, as programs on the PATH: sbatch, squeue and scancel.
#ifndef CMERC_EXPERIMENT_LAUNCHERS_SLURM_COMMANDS_H_
#define CMERC_EXPERIMENT_LAUNCHERS_SLURM_COMMANDS_H_

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

// A task of a job array, as squeue shows it.
struct QueuedTask {
  std::string job;     // of the array
  std::string state;   // "PENDING", "RUNNING", "NODE_FAIL", ...
  std::string reason;  // why it waits or has ended: "Resources", "NodeDown"; "None"
};

// By the name of the job and the number of the task.
using SlurmQueue = std::map<std::pair<std::string, int>, QueuedTask>;

// InvalidArgument: one of the commands is not on the PATH.
absl::Status CheckCommands();

// Submits a job: `arguments` of sbatch. Returns its number. InvalidArgument: there is no sbatch, or
// it has refused the job, with what it said.
absl::StatusOr<std::string> SubmitJob(const std::vector<std::string>& arguments);

// The tasks of the jobs with these names that are in the queue, or were not long ago: how long
// Slurm shows jobs that have ended is a setting of the cluster. InvalidArgument: there is no
// squeue. Unavailable: it has failed, with what it said.
absl::StatusOr<SlurmQueue> LookAtQueue(const std::vector<std::string>& names);

// Cancels jobs or tasks ("12", "12_3"). Those that have ended do not matter. Errors as above.
absl::Status CancelJobs(const std::vector<std::string>& jobs);

// Whether a task in this state has not ended.
bool IsUnderWay(const std::string& state);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LAUNCHERS_SLURM_COMMANDS_H_
