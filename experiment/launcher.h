// How the runs of an experiment are started and waited for: by processes of this machine
// (experiment/local_launcher.h), by a cluster (experiment/launchers/), or by whatever else
// implements this.
#ifndef CMERC_EXPERIMENT_LAUNCHER_H_
#define CMERC_EXPERIMENT_LAUNCHER_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "registry/registry.h"

namespace cmerc {

// A run that is ready to be started.
struct Launch {
  size_t run;          // its number, by which Launcher::WaitForOne() tells of it
  std::string folder;  // holds its config.textproto; what it prints goes to train.log there
  bool resume;         // whether to go on with what the folder holds, instead of beginning anew
  // FinishedText() of the run (experiment/run_files.h): what it is, and how far it is to get.
  std::string identity = {};
};

// A run that has ended.
struct EndedRun {
  size_t run;
  bool succeeded;
  std::string ending;  // "exit status 1"
  double seconds;      // how long it took
};

class Launcher {
 public:
  virtual ~Launcher() = default;

  // Whether one more run may be started before another has ended.
  virtual bool HasRoom() const = 0;

  // Whether a run that was started has not been reported as ended.
  virtual bool IsBusy() const = 0;

  // Whether runs can be started from this machine; asked before anything is written.
  virtual absl::Status CheckMachine() const { return absl::OkStatus(); }

  // Called once, when no other process does the runs of the experiment, before anything below.
  virtual absl::Status Begin() { return absl::OkStatus(); }

  // Whether this run has been started already, by an earlier process of the experiment that has
  // ended since. WaitForOne() then tells of it as of one that was started now. Where it is under
  // way with another identity, it is stopped first. `launch.resume` says nothing here.
  virtual absl::StatusOr<bool> Find(const Launch& /*launch*/) { return false; }

  // Starts `cmerc train` for a run. Returns an error when it cannot be started at all; a program
  // that fails is told of by WaitForOne().
  virtual absl::Status Start(const Launch& launch) = 0;

  // Waits until one of the runs ends, but no longer than `patience`: unset where none has. IsBusy()
  // must hold. Returns an error when it is not possible to wait for them.
  virtual absl::StatusOr<std::optional<EndedRun>> WaitForOne(
      std::chrono::milliseconds patience) = 0;

  // Ends a run that was started at once, without saving, since another process does it now.
  // WaitForOne() no longer tells of it.
  virtual void Kill(size_t /*run*/) {}

  // Asks every run that was started to save and stop, and returns when all have ended; where
  // LeavesRuns() they go on without this process.
  virtual void StopAll() = 0;

  // Whether runs go on after StopAll().
  virtual bool LeavesRuns() const { return false; }

  // How to go on after StopAll(), and what may be done instead.
  virtual std::string AfterStopping() const {
    return "to go on: the same command again; it keeps what is finished and goes on with the "
           "others where they are";
  }

  // How the runs that were started stand, on one line: "3 running, 9 waiting (Resources)". "" where
  // all of them run.
  virtual std::string States() const { return ""; }

  // What has happened since the last call that users should know, a line each.
  virtual std::vector<std::string> TakeNotes() { return {}; }
};

// What a launcher is made for.
struct LauncherContext {
  std::string program;  // a `cmerc` whose `train` does a run
  std::string output;   // the folder of the experiment
  int parallel_runs;    // ExperimentPlan.parallel_runs
};

// (options, what it is for) -> launcher.
Registry<Launcher, const LauncherContext&>& Launchers();

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LAUNCHER_H_
