#include "training/step_profile.h"

#include <algorithm>
#include <iostream>

#include "core/status.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

constexpr int kProfiledSteps = 8;

}  // namespace

absl::Status StepProfile::Check(int64_t epoch_steps) {
  if (epoch_steps > 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--profile leaves the first step out, and the first epoch has no other; set a smaller "
      "training.batch_size, or leave out the curriculum");
}

void StepProfile::BeforeStep(int64_t step) {
  if (step == 1) profiler_.Start();
  if (step == 1 + kProfiledSteps) profiler_.Stop();
}

absl::Status StepProfile::Report(int epoch_steps, const std::string& folder) {
  profiler_.Stop();
  const int steps = std::min(epoch_steps - 1, kProfiledSteps);
  RETURN_IF_ERROR(Check(epoch_steps));
  std::cout << "\n"
            << FormatProfile(profiler_.events(), steps, MeasurePeak()) << "\n"
            << std::flush;
  return WriteFileAtomically(folder + "/trace.json", ChromeTrace(profiler_.events()));
}

}  // namespace cmerc
