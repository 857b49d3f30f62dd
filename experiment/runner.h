// Runs an experiment, each run in a process of its own.
#ifndef CMERC_EXPERIMENT_RUNNER_H_
#define CMERC_EXPERIMENT_RUNNER_H_

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiment/claims.h"
#include "experiment/launcher.h"
#include "experiment/plan.h"

namespace cmerc {

struct RunnerOptions {
  // Called before the first run, when no other process can write into the folder any more. Its
  // error is that of DoRuns().
  std::function<absl::Status()> begin = [] { return absl::OkStatus(); };
  // Asked several times a second: whether to save and stop.
  std::function<bool()> should_stop = [] { return false; };
  // A run's last epoch is told of when it has changed and so much time has passed since the line
  // before about this run.
  std::chrono::milliseconds between_lines = std::chrono::seconds(10);
  // Where given, runs are claimed before they are started, and those that others hold are waited
  // for: a process does what nobody else does.
  Claims* claims = nullptr;
  // Whether no other process may do runs of this experiment: its folder is locked. Not so for
  // workers, which have claims.
  bool alone = true;
};

// Whether a run needs to be done, and how.
enum class RunState { kFinished, kInterrupted, kNew };
RunState StateOf(const PlannedRun& run, const std::string& output);

// Does the runs that are not finished, as many at the same time as the launcher has room for, and
// tells of each on standard output: that it begins and where its log is, how far it has got, and
// how it ended. Where the launcher says how runs stand, a terminal shows that in a progress bar,
// and standard error a line now and then. A run that fails does not stop the others. Returns those
// that failed. `output`, the folder of the experiment, exists; a run is in
// OUTPUT/DATASET/VARIANT/seed-N, or seed-N-test-K (PlannedRun::path()), with
//   config.textproto  its config
//   train.log         what `cmerc train` printed
//   begun.txt         the identity of the run, written when it is begun: one that was interrupted
//                     is resumed (`cmerc train --resume`)
//   finished.txt      FinishedText(), written when it has succeeded
//   stop_after.txt    after how many epochs it is to stop (PlannedRun::stop_after), where it is
//   failed.txt        of a trial: the identity, and why it has failed (NoteFailure())
// InvalidArgument: another process runs this experiment. Cancelled: it was to stop; the message
// says how to go on. Other errors: a file of it cannot be read or written, or a run cannot be
// started. The runs that were started are then asked to save and stop, and waited for.
absl::StatusOr<std::vector<FailedRun>> DoRuns(const std::vector<PlannedRun>& runs,
                                              const std::string& output, Launcher& launcher,
                                              const RunnerOptions& options = {});

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_RUNNER_H_
