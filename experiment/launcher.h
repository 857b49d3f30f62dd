// How the runs of an experiment are started and waited for: by processes of this machine
// (experiment/local_launcher.h), or by whatever else implements this.
#ifndef CMERC_EXPERIMENT_LAUNCHER_H_
#define CMERC_EXPERIMENT_LAUNCHER_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

// A run that is ready to be started.
struct Launch {
  size_t run;          // its number, by which Launcher::WaitForOne() tells of it
  std::string folder;  // holds its config.textproto; what it prints goes to train.log there
  bool resume;         // whether to go on with what the folder holds, instead of beginning anew
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

  // Starts `cmerc train` for a run. Returns an error when it cannot be started at all; a program
  // that fails is told of by WaitForOne().
  virtual absl::Status Start(const Launch& launch) = 0;

  // Waits until one of the runs ends, but no longer than `patience`: unset where none has. IsBusy()
  // must hold. Returns an error when it is not possible to wait for them.
  virtual absl::StatusOr<std::optional<EndedRun>> WaitForOne(
      std::chrono::milliseconds patience) = 0;

  // Asks every run that was started to save and stop, and returns when all have ended.
  virtual void StopAll() = 0;
};

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LAUNCHER_H_
