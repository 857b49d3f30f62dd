// A tenth more of the conversations in every epoch, the easiest first, as a scheduler that obeys
// every law of the suite; and the same with one defect.
#include <algorithm>
#include <numeric>

#include "core/scheduler.h"
#include "tests/conformance/broken/broken_scheduler.pb.h"

namespace cmerc {
namespace {

using Options = BrokenSchedulerOptions;

class BrokenScheduler final : public Scheduler {
 public:
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(const Options& options) {
    return std::unique_ptr<Scheduler>(new BrokenScheduler(options.defect()));
  }

  bool needs_difficulty() const override { return !Has(Options::DENIES_ITS_NEED); }

  std::vector<int64_t> Select(int64_t epoch, absl::Span<const float> difficulty) const override {
    if (Has(Options::COUNTS_ITS_CALLS)) epoch = calls_++;
    const auto count = static_cast<int64_t>(difficulty.size());
    if (count == 0) return std::vector<int64_t>(Has(Options::SOMETHING_FROM_NOTHING) ? 1 : 0);
    std::vector<int64_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return difficulty[a] < difficulty[b]; });
    const int64_t tenths = std::min<int64_t>(epoch, 9) + 1;
    int64_t selected = std::max<int64_t>(1, tenths * count / 10);
    if (Has(Options::NEVER_EVERYTHING)) selected = std::clamp<int64_t>(count - 1, 1, selected);
    if (Has(Options::NONE_AT_FIRST) && epoch == 0) selected = 0;
    order.resize(selected);
    if (Has(Options::NOT_NESTED) && epoch > 0 && epoch < 9 && selected > 1) {
      order.erase(order.begin());
    }
    if (!Has(Options::NOT_ASCENDING)) std::sort(order.begin(), order.end());
    return order;
  }

 private:
  explicit BrokenScheduler(Options::Defect defect) : defect_(defect) {}

  bool Has(Options::Defect defect) const { return defect_ == defect; }

  const Options::Defect defect_;
  mutable int64_t calls_ = 0;
};

const Registered<BrokenSchedulerOptions> kRegistered(Schedulers(), BrokenScheduler::Create);

}  // namespace
}  // namespace cmerc
