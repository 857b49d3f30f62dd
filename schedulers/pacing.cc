#include "schedulers/pacing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace cmerc {
namespace {

class Curriculum final : public Scheduler {
 public:
  Curriculum(Order order, std::function<double(int64_t)> share)
      : order_(order), share_(std::move(share)) {}

  bool needs_difficulty() const override { return true; }

  std::vector<int64_t> Select(int64_t epoch, absl::Span<const float> difficulty) const override {
    std::vector<int64_t> indices(difficulty.size());
    std::iota(indices.begin(), indices.end(), 0);
    const size_t keep = Keep(epoch, difficulty.size());
    if (keep == indices.size()) return indices;
    const auto comes_first = [&](int64_t a, int64_t b) {
      if (difficulty[a] == difficulty[b]) return a < b;
      return (difficulty[a] < difficulty[b]) == (order_ == Order::kEasiestFirst);
    };
    const auto end = indices.begin() + static_cast<std::ptrdiff_t>(keep);
    std::nth_element(indices.begin(), end, indices.end(), comes_first);
    indices.erase(end, indices.end());
    std::sort(indices.begin(), indices.end());
    return indices;
  }

 private:
  size_t Keep(int64_t epoch, size_t count) const {
    // In double and truncated as in Python: 0.7 * 90 is 62.99..., so 62.
    const auto keep = static_cast<size_t>(share_(epoch) * static_cast<double>(count));
    return std::min(std::max<size_t>(keep, 1), count);
  }

  const Order order_;
  const std::function<double(int64_t)> share_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeCurriculum(Order order, std::function<double(int64_t)> share) {
  return std::make_unique<Curriculum>(order, std::move(share));
}

std::unique_ptr<Scheduler> MakeGrowingCurriculum(Order order, double initial_share,
                                                 int64_t epochs_to_full,
                                                 std::function<double(double)> growth) {
  return MakeCurriculum(
      order, [initial_share, epochs_to_full, growth = std::move(growth)](int64_t epoch) {
        if (epoch >= epochs_to_full) return 1.0;
        const double progress = static_cast<double>(epoch) / static_cast<double>(epochs_to_full);
        return std::max(initial_share, growth(progress));
      });
}

double Competence(double progress, double initial_share, double power) {
  const double start = std::pow(initial_share, power);
  return std::pow(progress * (1 - start) + start, 1 / power);
}

}  // namespace cmerc
