// What a learning rate plugin provides: how large the steps of training are, one after another.
#ifndef CMERC_CORE_LEARNING_RATE_H_
#define CMERC_CORE_LEARNING_RATE_H_

#include <cstdint>

#include "absl/types/span.h"
#include "registry/registry.h"

namespace cmerc {

// A step of a run that is about to be taken. Epochs may have different numbers of steps: a
// curriculum begins with few conversations.
struct StepPlace {
  int64_t epoch = 0;   // 0, 1, ...: so many are complete
  int64_t epochs = 1;  // of the run, which may end sooner (training.patience)
  int64_t step = 0;    // in the epoch: 0, 1, ... steps - 1
  int64_t steps = 1;   // of this epoch
  // [epoch]: what training.select_by says of each complete epoch; the higher, the better. Those of
  // the NLL are below 0.
  absl::Span<const double> scores;

  // Where the step begins and ends, in epochs from the beginning of the run.
  double begin() const {
    return static_cast<double>(epoch) + static_cast<double>(step) / static_cast<double>(steps);
  }
  double end() const {
    return static_cast<double>(epoch) + static_cast<double>(step + 1) / static_cast<double>(steps);
  }
};

class LearningRate {
 public:
  virtual ~LearningRate() = default;

  // What training.learning_rate is multiplied by in this step. Laws: it is finite and not below 0;
  // it depends on `place` alone, not on the calls before, so that a run that is resumed goes on as
  // it would have; and not every step of a run has 0.
  virtual double Factor(const StepPlace& place) const = 0;
};

// options -> learning rate.
Registry<LearningRate>& LearningRates();

}  // namespace cmerc

#endif  // CMERC_CORE_LEARNING_RATE_H_
