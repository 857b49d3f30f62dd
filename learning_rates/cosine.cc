// Warm-up and half a cosine:
//
//   factor = min_factor + (1 - min_factor) * (1 + cos(pi * s)) / 2
//
// where s in [0, 1) is the share of the epochs after the warm-up that is over when the step begins.
//
//   learning_rate_schedule { [type.googleapis.com/cmerc.CosineRateOptions] { warmup_epochs: 3 } }
#include <cmath>

#include "learning_rates/cosine.pb.h"
#include "learning_rates/warm_up.h"

namespace cmerc {
namespace {

constexpr double kPi = 3.14159265358979323846;

absl::StatusOr<std::unique_ptr<LearningRate>> Create(const CosineRateOptions& options) {
  const double warmup_epochs = options.warmup_epochs(), least = options.min_factor();
  return MakeLearningRate(warmup_epochs, [=](const StepPlace& place) {
    return least + (1 - least) * (1 + std::cos(kPi * ShareAfterWarmUp(place, warmup_epochs))) / 2;
  });
}

const Registered<CosineRateOptions> kRegistered(LearningRates(), Create);

}  // namespace
}  // namespace cmerc
