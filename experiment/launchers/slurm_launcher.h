// Runs of an experiment as tasks of Slurm's job arrays.
#ifndef CMERC_EXPERIMENT_LAUNCHERS_SLURM_LAUNCHER_H_
#define CMERC_EXPERIMENT_LAUNCHERS_SLURM_LAUNCHER_H_

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiment/launcher.h"
#include "experiment/launchers/slurm.pb.h"
#include "experiment/launchers/slurm_batch.h"
#include "experiment/launchers/slurm_commands.h"

namespace cmerc {

// Runs that are started are gathered, and submitted as one array by the next WaitForOne(). A task
// that ends before its run has (its time limit came, its node died, another job took its place, it
// left no exit status) is submitted again, with what the run has saved, until it has made three
// attempts in which nothing was saved. A task that somebody cancels is not: its run has failed.
class SlurmLauncher final : public Launcher {
 public:
  // InvalidArgument: an option that cannot be. Asks Slurm for nothing.
  static absl::StatusOr<std::unique_ptr<Launcher>> Create(const SlurmOptions& options,
                                                          const LauncherContext& context);
  // Removes what is no longer needed of arrays that have ended.
  ~SlurmLauncher() override;
  SlurmLauncher(const SlurmLauncher&) = delete;
  SlurmLauncher& operator=(const SlurmLauncher&) = delete;

  bool HasRoom() const override;
  bool IsBusy() const override { return !unsent_.empty() || !tasks_.empty() || !ended_.empty(); }
  // InvalidArgument: there is no sbatch here.
  absl::Status CheckMachine() const override { return CheckCommands(); }
  absl::Status Begin() override;
  absl::StatusOr<bool> Find(const Launch& launch) override;
  absl::Status Start(const Launch& launch) override;
  absl::StatusOr<std::optional<EndedRun>> WaitForOne(std::chrono::milliseconds patience) override;
  // The jobs go on.
  void StopAll() override {}
  bool LeavesRuns() const override { return true; }
  std::string AfterStopping() const override;
  std::string States() const override;
  std::vector<std::string> TakeNotes() override;

 private:
  using Clock = std::chrono::steady_clock;

  struct Task {
    size_t run;
    std::string path;    // below OUTPUT
    std::string digest;  // of its identity
    // The folder's saved state when it was submitted, and how many attempts before left it as it
    // was.
    std::string saved;
    int in_vain = 0;
    // Where it is in the queue.
    std::string batch;
    int number = 0;
    std::string state = "PENDING", reason = "None";
    std::optional<Clock::time_point> missing_since;
  };

  SlurmLauncher(SlurmOptions options, LauncherContext context);

  std::vector<std::string> Names() const;
  Task TaskOf(const Launch& launch) const;
  absl::Status Submit();
  std::vector<std::string> Arguments(const SlurmBatch& batch) const;
  absl::Status Recover(SlurmBatch batch, bool queued, const std::string& job);
  absl::Status CancelAndWait(const std::string& name, int number);
  absl::Status Poll();
  // What is known of a task by now; true where it is no longer waited for.
  bool Settle(Task* task, const SlurmQueue* queue, const std::set<int>& ended);
  bool SettleExit(Task* task, const SlurmTaskExit& exit, const QueuedTask* queued);
  // Both return true.
  bool Again(Task* task, const std::string& why);
  bool EndAs(const Task& task, bool succeeded, const std::string& ending, double seconds);
  void RemoveWhatIsDone();

  const SlurmOptions options_;
  const LauncherContext context_;
  std::map<std::string, SlurmBatch> batches_;  // by name
  SlurmQueue queue_;                           // when it was looked at last
  std::vector<Task> unsent_;
  std::vector<Task> tasks_;  // in the queue
  std::deque<EndedRun> ended_;
  std::vector<std::string> notes_;
  Clock::time_point next_poll_;
  bool submitted_ = false;  // anything yet
  // What sbatch and squeue said the last time, where they failed.
  std::string trouble_, queue_trouble_;
};

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LAUNCHERS_SLURM_LAUNCHER_H_
