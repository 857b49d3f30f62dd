// The learning rate drops between epochs:
//
//   factor = gamma ^ floor(epoch / step_epochs)               for epochs 0, 1, ...
//   factor = gamma ^ (how many of `milestones` are <= epoch)  where there are any
//
//   learning_rate_schedule { [type.googleapis.com/cmerc.StepRateOptions] { step_epochs: 20 } }
#include <algorithm>
#include <cmath>
#include <vector>

#include "learning_rates/step.pb.h"
#include "learning_rates/warm_up.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<LearningRate>> Create(const StepRateOptions& options) {
  const int64_t step_epochs = options.step_epochs();
  const double gamma = options.gamma();
  const std::vector<int64_t> milestones(options.milestones().begin(), options.milestones().end());
  return MakeLearningRate(options.warmup_epochs(), [=](const StepPlace& place) {
    const int64_t drops = milestones.empty()
                              ? place.epoch / step_epochs
                              : std::count_if(milestones.begin(), milestones.end(),
                                              [&](int64_t epoch) { return epoch <= place.epoch; });
    return std::pow(gamma, static_cast<double>(drops));
  });
}

const Registered<StepRateOptions> kRegistered(LearningRates(), Create);

}  // namespace
}  // namespace cmerc
