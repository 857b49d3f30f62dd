// Warm-up and a straight line down:
//
//   factor = 1 - (1 - min_factor) * s
//
// where s in [0, 1) is the share of the epochs after the warm-up that is over when the step begins.
//
//   learning_rate_schedule { [type.googleapis.com/cmerc.LinearRateOptions] { warmup_epochs: 3 } }
#include "learning_rates/linear.pb.h"
#include "learning_rates/warm_up.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<LearningRate>> Create(const LinearRateOptions& options) {
  const double warmup_epochs = options.warmup_epochs(), least = options.min_factor();
  return MakeLearningRate(warmup_epochs, [=](const StepPlace& place) {
    return 1 - (1 - least) * ShareAfterWarmUp(place, warmup_epochs);
  });
}

const Registered<LinearRateOptions> kRegistered(LearningRates(), Create);

}  // namespace
}  // namespace cmerc
