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
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/scheduler.h"
#include "schedulers/baby_step.pb.h"

namespace cmerc {
namespace {

// Python's round(value, 2) for value in [0, 1): the decimal nearest to the exact value of the
// double. Scaling by 100 first would round twice.
double RoundToHundredths(double value) {
  char decimal[8];
  std::snprintf(decimal, sizeof(decimal), "%.2f", value);
  return std::strtod(decimal, nullptr);
}

class BabyStep final : public Scheduler {
 public:
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(const BabyStepOptions& options) {
    if (!(options.epoch_ratio() > 0 && options.epoch_ratio() <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("cmerc.BabyStepOptions: epoch_ratio = ", options.epoch_ratio(),
                       ", must be above 0 and <= 1"));
    }
    if (options.scheduler_steps() < 1) {
      return absl::InvalidArgumentError(absl::StrCat("cmerc.BabyStepOptions: scheduler_steps = ",
                                                     options.scheduler_steps(), ", must be >= 1"));
    }
    return std::make_unique<BabyStep>(options.epoch_ratio(), options.scheduler_steps());
  }

  BabyStep(double epoch_ratio, int64_t scheduler_steps)
      : epoch_ratio_(epoch_ratio), scheduler_steps_(scheduler_steps) {}

  bool needs_difficulty() const override { return true; }

  std::vector<int64_t> Select(int64_t epoch, absl::Span<const float> difficulty) const override {
    std::vector<int64_t> indices(difficulty.size());
    std::iota(indices.begin(), indices.end(), 0);
    const size_t keep = Keep(epoch, difficulty.size());
    if (keep == indices.size()) return indices;
    std::stable_sort(indices.begin(), indices.end(),
                     [&](int64_t a, int64_t b) { return difficulty[a] < difficulty[b]; });
    indices.resize(keep);
    std::sort(indices.begin(), indices.end());
    return indices;
  }

 private:
  size_t Keep(int64_t epoch, size_t count) const {
    const double ratio = epoch_ratio_ * static_cast<double>(epoch / scheduler_steps_ + 1);
    if (ratio >= 1) return count;
    // In double and truncated as in Python: 0.7 * 90 is 62.99..., so 62.
    const auto keep = static_cast<size_t>(RoundToHundredths(ratio) * static_cast<double>(count));
    return std::min(std::max<size_t>(keep, 1), count);
  }

  const double epoch_ratio_;
  const int64_t scheduler_steps_;
};

const Registered<BabyStepOptions> kRegistered(Schedulers(), BabyStep::Create);

}  // namespace
}  // namespace cmerc
