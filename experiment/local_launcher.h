// Runs of an experiment as processes of this machine, several at the same time.
#ifndef CMERC_EXPERIMENT_LOCAL_LAUNCHER_H_
#define CMERC_EXPERIMENT_LOCAL_LAUNCHER_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiment/launcher.h"

namespace cmerc {

class LocalLauncher final : public Launcher {
 public:
  // `program` is a `cmerc` whose `train` does a run. `parallel_runs` is how many may run at the
  // same time; 0 means one per processor. From now on this process learns how its children end,
  // even where whoever started it ignores SIGCHLD.
  LocalLauncher(std::string program, int parallel_runs);
  // Stops what still runs.
  ~LocalLauncher() override { StopAll(); }
  LocalLauncher(const LocalLauncher&) = delete;
  LocalLauncher& operator=(const LocalLauncher&) = delete;

  bool HasRoom() const override { return children_.size() < parallel_runs_; }
  bool IsBusy() const override { return !children_.empty(); }

  // The process is in a group of its own: Ctrl-C in a terminal reaches this process alone, which
  // asks each run once. A run that is asked twice stops without saving. Unavailable: the log
  // cannot be written, or the system has no process to spare.
  absl::Status Start(const Launch& launch) override;

  // Internal: the system says that there is no child to wait for.
  absl::StatusOr<std::optional<EndedRun>> WaitForOne(std::chrono::milliseconds patience) override;

  void Kill(size_t run) override;

  // Kills a child that does not stop within a minute.
  void StopAll() override;

 private:
  struct Child {
    size_t run;
    std::chrono::steady_clock::time_point start;
  };

  const std::string program_;
  const size_t parallel_runs_;
  std::map<pid_t, Child> children_;
};

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LOCAL_LAUNCHER_H_
