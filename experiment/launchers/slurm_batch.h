// What is kept of a job array in the folder of the experiment: OUTPUT/slurm/NAME/, where NAME is
// the job's, which no other job has.
//   tasks.txt        a line per task: what its run is, and the run's folder below OUTPUT
//   task.sh          what a task does
//   job.txt          the number of the array; there once sbatch has told it
//   exit-K.txt       what became of task K: exit status and seconds; the task itself writes it last
//   slurm-K.out      what Slurm said of task K
// All but the last two appear before the job is submitted, so that a process that is killed
// meanwhile loses none: the next one asks for the name.
#ifndef CMERC_EXPERIMENT_LAUNCHERS_SLURM_BATCH_H_
#define CMERC_EXPERIMENT_LAUNCHERS_SLURM_BATCH_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

struct SlurmBatchTask {
  std::string digest;  // DigestOf() the run's identity
  std::string path;    // of its folder, below OUTPUT
};

struct SlurmBatch {
  std::string name;  // of the job
  std::string folder;
  std::string job;  // "" where sbatch has not told it
  std::vector<SlurmBatchTask> tasks;
};

struct SlurmTaskExit {
  int status;
  double seconds;
};

// The folder of the batches of the experiment in `output`.
std::string BatchesFolder(const std::string& output);

// Makes the folder of a batch, with a name of its own. Unavailable: it cannot be written.
absl::StatusOr<SlurmBatch> MakeBatch(const std::string& output, std::vector<SlurmBatchTask> tasks);

// Notes the number of the job.
absl::Status NoteJob(const std::string& job, SlurmBatch* batch);

// Every batch of the experiment, in the order of their names.
std::vector<SlurmBatch> ReadBatches(const std::string& output);

// The tasks that have written what became of them.
std::set<int> EndedIn(const SlurmBatch& batch);

// What became of a task; unset where that is not written yet.
std::optional<SlurmTaskExit> ExitOf(const SlurmBatch& batch, int task);

// The last line that Slurm wrote of a task; "" where there is none.
std::string LastLineOf(const SlurmBatch& batch, int task);

// Removes all of a batch. A task of it that starts afterwards does nothing.
void RemoveBatch(const std::string& output, const SlurmBatch& batch);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LAUNCHERS_SLURM_BATCH_H_
