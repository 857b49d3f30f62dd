#include "training/weight_average.h"

#include <cmath>

#include "profile/scope.h"

namespace cmerc {

double ShareOfStep(double decay, int64_t n) {
  return (1 - decay) / (1 - std::pow(decay, static_cast<double>(n)));
}

WeightAverage::WeightAverage(const torch::nn::Module& live, const torch::nn::Module& average) {
  const auto add = [this](const auto& sources, const auto& targets) {
    for (const auto& source : sources) pairs_.emplace_back(source.value(), targets[source.key()]);
  };
  add(live.named_parameters(), average.named_parameters());
  add(live.named_buffers(), average.named_buffers());
}

void WeightAverage::Add(double share) {
  const ProfileScope scope("average of weights");
  const torch::NoGradGuard no_grad;
  for (auto& [live, average] : pairs_) {
    if (average.is_floating_point()) {
      average.lerp_(live, share);
    } else {
      average.copy_(live);
    }
  }
}

}  // namespace cmerc
