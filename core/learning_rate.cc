#include "core/learning_rate.h"

namespace cmerc {

Registry<LearningRate>& LearningRates() {
  static auto* registry = new Registry<LearningRate>("learning_rate");
  return *registry;
}

}  // namespace cmerc
