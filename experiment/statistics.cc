#include "experiment/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>

namespace cmerc {
namespace {

constexpr int kResamples = 10000;
constexpr int kRounds = 10000;
constexpr size_t kMaxExactSeeds = 16;
constexpr uint64_t kDrawnSigns = 1 << kMaxExactSeeds;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// What weighted F1 needs of one system's predictions. Both systems have the same labels.
struct ClassCounts {
  int64_t predicted = 0;
  int64_t correct = 0;
};

// Swapping an utterance adds this to the counts of our system and takes it from those of theirs.
struct CountChange {
  int32_t predicted_class;
  int32_t predicted;
  int32_t correct;
};

double WeightedF1(const std::vector<int64_t>& support, const std::vector<ClassCounts>& counts) {
  double sum = 0;
  int64_t utterances = 0;
  for (size_t c = 0; c < support.size(); ++c) {
    utterances += support[c];
    const int64_t denominator = support[c] + counts[c].predicted;
    if (denominator == 0) continue;
    sum += static_cast<double>(support[c]) * static_cast<double>(2 * counts[c].correct) /
           static_cast<double>(denominator);
  }
  return sum / static_cast<double>(utterances);
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

double UtteranceRandomizationTest(const std::vector<int32_t>& labels,
                                  const std::vector<PairedPredictions>& seeds) {
  int32_t highest = *std::max_element(labels.begin(), labels.end());
  for (const PairedPredictions& seed : seeds) {
    highest = std::max({highest, *std::max_element(seed.ours.begin(), seed.ours.end()),
                        *std::max_element(seed.theirs.begin(), seed.theirs.end())});
  }
  std::vector<int64_t> support(highest + 1);
  std::vector<ClassCounts> observed(highest + 1), both(highest + 1);
  // Only an utterance whose predictions differ changes anything; its changes are together.
  std::vector<CountChange> changes;
  std::vector<size_t> ends;
  for (size_t i = 0; i < labels.size(); ++i) {
    const int32_t label = labels[i];
    const size_t begin = changes.size();
    for (const PairedPredictions& seed : seeds) {
      const int32_t ours = seed.ours[i], theirs = seed.theirs[i];
      ++support[label];
      ++observed[ours].predicted;
      observed[ours].correct += ours == label ? 1 : 0;
      for (const int32_t predicted : {ours, theirs}) {
        ++both[predicted].predicted;
        both[predicted].correct += predicted == label ? 1 : 0;
      }
      if (ours == theirs) continue;
      changes.push_back({ours, -1, ours == label ? -1 : 0});
      changes.push_back({theirs, 1, theirs == label ? 1 : 0});
    }
    if (changes.size() > begin) ends.push_back(changes.size());
  }

  std::vector<ClassCounts> theirs(highest + 1);
  const auto difference = [&](const std::vector<ClassCounts>& ours) {
    for (size_t c = 0; c < both.size(); ++c) {
      theirs[c] = {both[c].predicted - ours[c].predicted, both[c].correct - ours[c].correct};
    }
    return std::abs(WeightedF1(support, ours) - WeightedF1(support, theirs));
  };
  // The difference of two sums below 1 is off by a few roundings.
  const double limit = difference(observed) - 1e-12;
  std::mt19937_64 random(1);
  int as_far = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<ClassCounts> ours = observed;
    uint64_t bits = 0;
    size_t change = 0;
    for (size_t i = 0; i < ends.size(); ++i) {
      if (i % 64 == 0) bits = random();
      if ((bits >> (i % 64)) & 1) {
        for (; change < ends[i]; ++change) {
          ours[changes[change].predicted_class].predicted += changes[change].predicted;
          ours[changes[change].predicted_class].correct += changes[change].correct;
        }
      }
      change = ends[i];
    }
    if (difference(ours) >= limit) ++as_far;
  }
  return static_cast<double>(as_far + 1) / (kRounds + 1);
}

}  // namespace cmerc
