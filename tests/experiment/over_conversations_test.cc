#include "experiment/over_conversations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "benchmarks/experiment/null_simulation.h"

namespace cmerc {
namespace {

// Weighted F1 by its definition.
double WeightedF1(const std::vector<int32_t>& labels, const std::vector<int32_t>& predicted) {
  double sum = 0;
  for (int32_t c = 0; c < 10; ++c) {
    int support = 0, claimed = 0, right = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      support += labels[i] == c ? 1 : 0;
      claimed += predicted[i] == c ? 1 : 0;
      right += labels[i] == c && predicted[i] == c ? 1 : 0;
    }
    if (support + claimed > 0) sum += support * 2.0 * right / (support + claimed);
  }
  return sum / static_cast<double>(labels.size());
}

// The number that tables show: the mean over seeds of the difference.
double MeanDifference(const std::vector<int32_t>& labels,
                      const std::vector<PairedPredictions>& seeds) {
  double sum = 0;
  for (const PairedPredictions& seed : seeds) {
    sum += WeightedF1(labels, seed.ours) - WeightedF1(labels, seed.theirs);
  }
  return sum / static_cast<double>(seeds.size());
}

// The share of all 2^K exchanges whose difference is at least the observed one.
double ByEnumeration(const std::vector<int32_t>& labels, const std::vector<int64_t>& lengths,
                     const std::vector<PairedPredictions>& seeds) {
  const double limit = std::abs(MeanDifference(labels, seeds)) - 1e-12;
  uint32_t as_far = 0;
  const uint32_t patterns = 1U << lengths.size();
  for (uint32_t pattern = 0; pattern < patterns; ++pattern) {
    std::vector<PairedPredictions> exchanged = seeds;
    for (PairedPredictions& seed : exchanged) {
      size_t i = 0;
      for (size_t k = 0; k < lengths.size(); ++k) {
        for (int64_t u = 0; u < lengths[k]; ++u, ++i) {
          if ((pattern >> k) & 1) std::swap(seed.ours[i], seed.theirs[i]);
        }
      }
    }
    as_far += std::abs(MeanDifference(labels, exchanged)) >= limit ? 1 : 0;
  }
  return static_cast<double>(as_far) / patterns;
}

const std::vector<int32_t> kLabels = {0, 1, 2, 0, 1, 2, 0, 0, 1, 3, 0, 2};
const std::vector<int64_t> kLengths = {3, 1, 2, 1, 1, 2, 2};
const PairedPredictions kOne = {{0, 1, 2, 0, 1, 1, 0, 2, 1, 0, 0, 2},
                                {0, 0, 2, 1, 1, 2, 2, 2, 0, 3, 1, 2}};
const PairedPredictions kTwo = {{0, 1, 2, 0, 0, 2, 0, 0, 1, 4, 0, 1},
                                {1, 1, 0, 0, 1, 2, 0, 2, 1, 3, 0, 2}};

TEST(CompareOverConversationsTest, ThePValueIsTheShareOfAllExchanges) {
  for (const auto& seeds :
       std::vector<std::vector<PairedPredictions>>{{kOne}, {kTwo}, {kOne, kTwo}}) {
    const double expected = ByEnumeration(kLabels, kLengths, seeds);
    EXPECT_GT(expected, 0.01);
    EXPECT_LT(expected, 0.99);
    const ConversationComparison result = CompareOverConversations(kLabels, kLengths, seeds);
    // Four deviations of a share of 10 000 draws.
    EXPECT_NEAR(result.p_value(), expected, 0.02);
    EXPECT_EQ(result.conversations(), 7);
    EXPECT_EQ(result.utterances(), 12);
  }
}

TEST(CompareOverConversationsTest, EqualAndOppositeSystems) {
  std::vector<int32_t> labels, wrong;
  for (int i = 0; i < 200; ++i) {
    labels.push_back(i % 3);
    wrong.push_back((i + 1) % 3);
  }
  const std::vector<int64_t> lengths(50, 4);
  const auto compare = [&](const std::vector<PairedPredictions>& seeds) {
    return CompareOverConversations(labels, lengths, seeds);
  };
  EXPECT_EQ(compare({{wrong, wrong}}).p_value(), 1);
  EXPECT_EQ(compare({{labels, wrong}}).p_value(), 1.0 / 10001);
  EXPECT_EQ(compare({{wrong, labels}}).p_value(), 1.0 / 10001);
  // What one seed gains the other loses.
  EXPECT_EQ(compare({{labels, wrong}, {wrong, labels}}).p_value(), 1);
  // One conversation can say nothing.
  const ConversationComparison one = CompareOverConversations(labels, {200}, {{labels, wrong}});
  EXPECT_EQ(one.p_value(), 1);
  EXPECT_FALSE(one.has_low());
}

// Two utterances, always right or wrong together: with 20 conversations the difference of accuracy
// is a mean of 20 numbers, and its interval is Student's.
TEST(CompareOverConversationsTest, TheIntervalIsOfTheDifference) {
  std::vector<int32_t> labels, ours, theirs;
  std::vector<double> differences;
  for (int k = 0; k < 40; ++k) {
    const bool right = k % 4 != 0, other_right = k % 3 != 0;
    for (int i = 0; i < 2; ++i) {
      // As many of either class, so that weighted F1 is near accuracy.
      labels.push_back(k % 2);
      ours.push_back(right ? k % 2 : 1 - k % 2);
      theirs.push_back(other_right ? k % 2 : 1 - k % 2);
    }
    differences.push_back((right ? 1 : 0) - (other_right ? 1 : 0));
  }
  const ConversationComparison result =
      CompareOverConversations(labels, std::vector<int64_t>(40, 2), {{ours, theirs}});
  double sum = 0, squares = 0;
  for (const double one : differences) sum += one, squares += one * one;
  const double error = std::sqrt((squares - sum * sum / 40) / 39 / 40);
  const double middle = WeightedF1(labels, ours) - WeightedF1(labels, theirs);
  EXPECT_NEAR(result.low().value() + result.high().value(), 2 * middle, 1e-12);
  // Weighted F1 is not accuracy, and 2000 resamples know a deviation to 1.6 %.
  EXPECT_NEAR((result.high().value() - result.low().value()) / 2, 2.0227 * error, 0.15 * error);
}

TEST(CompareOverConversationsTest, TheSameInputGivesTheSameBits) {
  const std::vector<PairedPredictions> seeds = {kOne, kTwo};
  EXPECT_EQ(CompareOverConversations(kLabels, kLengths, seeds).SerializeAsString(),
            CompareOverConversations(kLabels, kLengths, seeds).SerializeAsString());
}

// Conversations of a geometric length as those of a corpus, at least two utterances.
TestSplit SplitLike(int conversations, int mean_length, int32_t classes) {
  std::mt19937_64 random(5);
  TestSplit split;
  split.classes = classes;
  std::geometric_distribution<int64_t> more(1.0 / (mean_length - 1));
  std::discrete_distribution<int32_t> label({47, 11, 2, 8, 15, 3, 14});
  for (int k = 0; k < conversations; ++k) {
    split.lengths.push_back(2 + more(random));
    for (int64_t i = 0; i < split.lengths.back(); ++i) {
      split.labels.push_back(label(random) % classes);
    }
  }
  return split;
}

// Systems that get on with each conversation in their own way, and are equally good on average. The
// full simulation, on the corpora's own conversations, is //benchmarks/experiment:error_rates.
TEST(CompareOverConversationsTest, EqualSystemsDifferAsOftenAsTheLevelSays) {
  constexpr int kPairs = 1000;
  // Three deviations of a share of so many draws.
  const double bound = 3 * std::sqrt(0.05 * 0.95 / kPairs);
  // Few long conversations, as IEMOCAP's test split, and more short ones, as MELD's.
  for (const TestSplit& split : {SplitLike(31, 52, 6), SplitLike(100, 9, 7)}) {
    const ErrorRates rates = MeasureErrorRates(split, /*seeds=*/2, /*effect=*/0.5, kPairs);
    EXPECT_NEAR(rates.rejected, 0.05, bound);
    // Student's t is for normal differences, which those of few conversations are but roughly.
    EXPECT_NEAR(rates.covered, 0.95, 2 * bound);
    if (split.lengths.size() > 50) continue;
    // Exchanging utterances of long conversations sees a difference far too often; a tenth of the
    // pairs are compared in that way.
    EXPECT_GT(rates.rejected_utterances, 0.05 + std::sqrt(10.0) * bound);
  }
}

}  // namespace
}  // namespace cmerc
