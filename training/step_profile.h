// The profile of a few steps, for `cmerc train --profile`.
#ifndef CMERC_TRAINING_STEP_PROFILE_H_
#define CMERC_TRAINING_STEP_PROFILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "profile/profiler.h"

namespace cmerc {

// Records steps 2 to 9 of an epoch: the first one allocates what later ones find.
class StepProfile {
 public:
  // InvalidArgument: an epoch of `epoch_steps` steps has no second one.
  static absl::Status Check(int64_t epoch_steps);

  // Is told of every step of the epoch, counted from 0, before it.
  void BeforeStep(int64_t step);

  // The epoch, of `epoch_steps` steps, is over: prints what was recorded, and writes it to
  // `folder`/trace.json. InvalidArgument: as Check(). Unavailable: the file cannot be written.
  absl::Status Report(int epoch_steps, const std::string& folder);

 private:
  Profiler profiler_;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_STEP_PROFILE_H_
