#include "tensorboard/histogram.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace cmerc {
namespace {

std::vector<double> MakeLimits() {
  std::vector<double> positive;
  for (double limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push_back(limit);
  positive.push_back(std::numeric_limits<double>::max());
  std::vector<double> limits;
  for (auto it = positive.rbegin(); it != positive.rend(); ++it) limits.push_back(-*it);
  limits.push_back(0);
  limits.insert(limits.end(), positive.begin(), positive.end());
  return limits;
}

}  // namespace

tensorboard::Histogram MakeHistogram(absl::Span<const float> values) {
  static const auto* limits = new std::vector<double>(MakeLimits());
  tensorboard::Histogram histogram;
  double low = std::numeric_limits<double>::max(), high = std::numeric_limits<double>::lowest();
  double sum = 0, sum_squares = 0;
  std::vector<double> counts(limits->size());
  for (const double value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
    sum_squares += value * value;
    ++counts[std::upper_bound(limits->begin(), limits->end(), value) - limits->begin()];
  }
  histogram.set_min(low);
  histogram.set_max(high);
  histogram.set_num(static_cast<double>(values.size()));
  histogram.set_sum(sum);
  histogram.set_sum_squares(sum_squares);
  for (size_t i = 0; i < counts.size(); ++i) {
    while (counts[i] == 0 && i + 1 < counts.size() && counts[i + 1] == 0) ++i;
    histogram.add_bucket_limit((*limits)[i]);
    histogram.add_bucket(counts[i]);
  }
  return histogram;
}

}  // namespace cmerc
