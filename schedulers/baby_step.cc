// Baby-step curriculum: the easiest conversations first, more of them every few epochs.
//
//   ratio(e) = min(1, round(epoch_ratio * (floor(e / scheduler_steps) + 1), 2 decimals))
//   Select(e) = the max(1, floor(ratio(e) * count)) easiest of `count` conversations
//
// Difficulty is a [count] list of floats, larger is harder; among equals the first is the easier.
// Source: official train_cm.py (`epoch_ratio`) and dataloader.py (`sorted_diff`); Spitkovsky et
// al., "From Baby Steps to Leapfrog" (2010).
//
//   scheduler { [type.googleapis.com/cmerc.BabyStepOptions] { epoch_ratio: 0.4 scheduler_steps: 2 }
//   }
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "core/scheduler.h"
#include "schedulers/baby_step.pb.h"
#include "schedulers/pacing.h"

namespace cmerc {
namespace {

// Python's round(value, 2) for value in [0, 1): the decimal nearest to the exact value of the
// double. Scaling by 100 first would round twice.
double RoundToHundredths(double value) {
  char decimal[8];
  std::snprintf(decimal, sizeof(decimal), "%.2f", value);
  return std::strtod(decimal, nullptr);
}

absl::StatusOr<std::unique_ptr<Scheduler>> Create(const BabyStepOptions& options) {
  const double epoch_ratio = options.epoch_ratio();
  const int64_t scheduler_steps = options.scheduler_steps();
  return MakeCurriculum(Order::kEasiestFirst, [=](int64_t epoch) {
    const double ratio = epoch_ratio * static_cast<double>(epoch / scheduler_steps + 1);
    return ratio >= 1 ? 1.0 : RoundToHundredths(ratio);
  });
}

const Registered<BabyStepOptions> kRegistered(Schedulers(), Create);

}  // namespace
}  // namespace cmerc
