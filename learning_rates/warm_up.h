// What the learning rates share: they begin with a warm-up, and are functions of a step's place.
#ifndef CMERC_LEARNING_RATES_WARM_UP_H_
#define CMERC_LEARNING_RATES_WARM_UP_H_

#include <functional>
#include <memory>

#include "core/learning_rate.h"

namespace cmerc {

// Factor(place) = min(1, place.end() / warmup_epochs) * after(place): the first step is not 0, and
// the step that ends with the warm-up is the first at the full rate. warmup_epochs >= 0; 0 for
// none. after: a step's place -> [0, 1].
std::unique_ptr<LearningRate> MakeLearningRate(double warmup_epochs,
                                               std::function<double(const StepPlace&)> after);

// How much of what follows the warm-up is over when the step begins: 0 until the warm-up ends, and
// below 1 in every step of a run. A run that ends within the warm-up stays at 0.
double ShareAfterWarmUp(const StepPlace& place, double warmup_epochs);

}  // namespace cmerc

#endif  // CMERC_LEARNING_RATES_WARM_UP_H_
