#include "metrics/ece_noise.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>

namespace cmerc {
namespace {

constexpr double kPi = 3.14159265358979323846;
// Probabilities below this are left out of a distribution: with a million utterances they could
// change a mean distance by less than 1e-8.
constexpr double kNegligible = 1e-20;
constexpr double kNormalFrom = 1000;
constexpr int kResamples = 1000;

size_t BinCount(absl::Span<const BinnedPrediction> predictions) {
  int highest = 0;
  for (const BinnedPrediction& one : predictions) highest = std::max(highest, one.bin);
  return static_cast<size_t>(highest) + 1;
}

// The mean of |number that is right - sum of confidences| over all outcomes of one bin.
double MeanDistance(const std::vector<double>& confidences) {
  double variance = 0;
  for (const double p : confidences) variance += p * (1 - p);
  if (variance > kNormalFrom) return std::sqrt(2 * variance / kPi);
  // mass[j] is the probability that `first` + j of the predictions so far are right.
  std::vector<double> mass = {1};
  double first = 0, sum = 0;
  for (const double p : confidences) {
    sum += p;
    mass.push_back(0);
    for (size_t j = mass.size() - 1; j > 0; --j) mass[j] = mass[j] * (1 - p) + mass[j - 1] * p;
    mass[0] *= 1 - p;
    while (mass.back() < kNegligible) mass.pop_back();
    const auto begin =
        std::find_if(mass.begin(), mass.end(), [](double one) { return one >= kNegligible; });
    first += static_cast<double>(begin - mass.begin());
    mass.erase(mass.begin(), begin);
  }
  double mean = 0;
  for (size_t j = 0; j < mass.size(); ++j) {
    mean += mass[j] * std::abs(first + static_cast<double>(j) - sum);
  }
  return mean;
}

}  // namespace

double EceFloor(absl::Span<const BinnedPrediction> predictions) {
  std::vector<std::vector<double>> bins(BinCount(predictions));
  for (const BinnedPrediction& one : predictions) bins[one.bin].push_back(one.confidence);
  double sum = 0;
  for (const std::vector<double>& confidences : bins) sum += MeanDistance(confidences);
  return sum / static_cast<double>(predictions.size());
}

std::optional<double> EceError(absl::Span<const BinnedPrediction> predictions,
                               absl::Span<const int64_t> lengths) {
  if (lengths.size() < 2) return std::nullopt;
  const size_t bins = BinCount(predictions);
  // [conversations, bins]: by how much more utterances are right than their confidences say.
  std::vector<double> surplus(lengths.size() * bins);
  size_t next = 0;
  for (size_t k = 0; k < lengths.size(); ++k) {
    for (int64_t i = 0; i < lengths[k]; ++i, ++next) {
      const BinnedPrediction& one = predictions[next];
      surplus[k * bins + one.bin] += (one.right ? 1 : 0) - one.confidence;
    }
  }
  // mt19937_64 and the remainder below are the same everywhere; the standard's distributions are
  // not.
  std::mt19937_64 random(1);
  std::vector<double> of_bins(bins);
  double sum = 0, squares = 0;
  for (int resample = 0; resample < kResamples; ++resample) {
    std::fill(of_bins.begin(), of_bins.end(), 0);
    int64_t utterances = 0;
    for (size_t drawn = 0; drawn < lengths.size(); ++drawn) {
      const size_t k = random() % lengths.size();
      utterances += lengths[k];
      for (size_t b = 0; b < bins; ++b) of_bins[b] += surplus[k * bins + b];
    }
    double ece = 0;
    for (const double of_bin : of_bins) ece += std::abs(of_bin);
    // Conversations without utterances alone have no ECE; datasets have none.
    ece /= static_cast<double>(std::max<int64_t>(1, utterances));
    sum += ece;
    squares += ece * ece;
  }
  const double mean = sum / kResamples;
  return std::sqrt(std::max(0.0, (squares - sum * mean) / (kResamples - 1)));
}

}  // namespace cmerc
