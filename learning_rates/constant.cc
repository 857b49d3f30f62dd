// The learning rate stays as it is, after a warm-up.
//
//   learning_rate_schedule { [type.googleapis.com/cmerc.ConstantRateOptions] { warmup_epochs: 2 } }
#include "learning_rates/constant.pb.h"
#include "learning_rates/warm_up.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<LearningRate>> Create(const ConstantRateOptions& options) {
  return MakeLearningRate(options.warmup_epochs(), [](const StepPlace& /*place*/) { return 1.0; });
}

const Registered<ConstantRateOptions> kRegistered(LearningRates(), Create);

}  // namespace
}  // namespace cmerc
