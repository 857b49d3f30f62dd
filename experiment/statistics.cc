#include "experiment/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>

namespace cmerc {
namespace {

constexpr size_t kMaxExactSeeds = 16;
constexpr uint64_t kDrawnSigns = 1 << kMaxExactSeeds;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

Statistic Describe(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  Statistic result;
  const double mean = Sum(values) / count;
  result.set_mean(mean);
  result.set_standard_deviation(0);
  if (values.size() == 1) return result;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / (count - 1));
  const double reach =
      TQuantile(static_cast<int64_t>(values.size()) - 1) * deviation / std::sqrt(count);
  result.set_standard_deviation(deviation);
  result.mutable_low()->set_value(mean - reach);
  result.mutable_high()->set_value(mean + reach);
  return result;
}

double TQuantile(int64_t degrees) {
  const boost::math::students_t distribution(static_cast<double>(degrees));
  return boost::math::quantile(boost::math::complement(distribution, 0.025));
}

double RandomizationTest(const std::vector<double>& differences) {
  const double observed = std::abs(Sum(differences));
  // Sums of the same numbers in another order may differ in the last bits.
  const double limit = observed * (1 - 1e-12);
  const bool exact = differences.size() <= kMaxExactSeeds;
  const uint64_t patterns = exact ? uint64_t{1} << differences.size() : kDrawnSigns;
  std::mt19937_64 random(1);
  uint64_t as_far = 0;
  for (uint64_t pattern = 0; pattern < patterns; ++pattern) {
    double sum = 0;
    uint64_t signs = 0;
    for (size_t i = 0; i < differences.size(); ++i) {
      if (i % 64 == 0) signs = exact ? pattern : random();
      sum += (signs >> (i % 64)) & 1 ? -differences[i] : differences[i];
    }
    if (std::abs(sum) >= limit) ++as_far;
  }
  // The observed signs are one pattern more where the others are drawn.
  return exact ? static_cast<double>(as_far) / static_cast<double>(patterns)
               : static_cast<double>(as_far + 1) / static_cast<double>(patterns + 1);
}

std::vector<double> HolmCorrected(const std::vector<double>& p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> corrected(p_values.size());
  double highest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const double factor = static_cast<double>(order.size() - rank);
    highest = std::max(highest, std::min(1.0, factor * p_values[order[rank]]));
    corrected[order[rank]] = highest;
  }
  return corrected;
}

}  // namespace cmerc
