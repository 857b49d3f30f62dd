#include "learning_rates/warm_up.h"

#include <algorithm>
#include <utility>

namespace cmerc {
namespace {

class WarmedUp final : public LearningRate {
 public:
  WarmedUp(double warmup_epochs, std::function<double(const StepPlace&)> after)
      : warmup_epochs_(warmup_epochs), after_(std::move(after)) {}

  double Factor(const StepPlace& place) const override {
    const double warmth = warmup_epochs_ > 0 ? std::min(1.0, place.end() / warmup_epochs_) : 1;
    return warmth * after_(place);
  }

 private:
  const double warmup_epochs_;
  const std::function<double(const StepPlace&)> after_;
};

}  // namespace

std::unique_ptr<LearningRate> MakeLearningRate(double warmup_epochs,
                                               std::function<double(const StepPlace&)> after) {
  return std::make_unique<WarmedUp>(warmup_epochs, std::move(after));
}

double ShareAfterWarmUp(const StepPlace& place, double warmup_epochs) {
  const double length = static_cast<double>(place.epochs) - warmup_epochs;
  if (!(length > 0)) return 0;
  return std::clamp((place.begin() - warmup_epochs) / length, 0.0, 1.0);
}

}  // namespace cmerc
