#include "experiment/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>

namespace cmerc {
namespace {

constexpr int kResamples = 10000;
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
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  result.set_mean(mean);
  result.set_standard_deviation(values.size() > 1 ? std::sqrt(squares / (count - 1)) : 0);

  // mt19937_64 and the remainder below are the same everywhere; the standard's distributions are
  // not.
  std::mt19937_64 random(1);
  std::vector<double> means(kResamples);
  for (double& resampled : means) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[random() % values.size()];
    resampled = sum / count;
  }
  std::sort(means.begin(), means.end());
  result.set_low(means[kResamples * 25 / 1000]);
  result.set_high(means[kResamples * 975 / 1000 - 1]);
  return result;
}

double RandomisationTest(const std::vector<double>& differences) {
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

}  // namespace cmerc
