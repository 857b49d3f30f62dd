// The learning rate drops where the score stays: PyTorch's ReduceLROnPlateau(mode="max",
// threshold_mode="abs"), which is asked after every epoch:
//
//   bad = score > best + threshold ? 0 : bad + 1
//   while cooling down: bad = 0
//   bad > patience: factor = max(min_factor, gamma * factor), bad = 0, cool down for `cooldown`
//   epochs
//
// It keeps nothing between steps: the scores of all epochs so far are gone through again.
//
//   learning_rate_schedule { [type.googleapis.com/cmerc.PlateauRateOptions] { patience: 5 } }
#include <algorithm>
#include <limits>

#include "learning_rates/plateau.pb.h"
#include "learning_rates/warm_up.h"

namespace cmerc {
namespace {

double FactorAfter(const PlateauRateOptions& options, absl::Span<const double> scores) {
  double factor = 1, best = -std::numeric_limits<double>::infinity();
  int bad = 0, cooling = 0;
  for (const double score : scores) {
    if (score > best + options.threshold()) {
      best = score;
      bad = 0;
    } else {
      ++bad;
    }
    if (cooling > 0) {
      --cooling;
      bad = 0;
    }
    if (bad <= options.patience()) continue;
    factor = std::max(options.min_factor(), options.gamma() * factor);
    cooling = options.cooldown();
    bad = 0;
  }
  return factor;
}

absl::StatusOr<std::unique_ptr<LearningRate>> Create(const PlateauRateOptions& options) {
  return MakeLearningRate(options.warmup_epochs(), [options](const StepPlace& place) {
    return FactorAfter(options, place.scores);
  });
}

const Registered<PlateauRateOptions> kRegistered(LearningRates(), Create);

}  // namespace
}  // namespace cmerc
