#include "experiment/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace cmerc {
namespace {

TEST(DescribeTest, MeanAndSampleDeviation) {
  const Statistic statistic = Describe({1, 2, 4});
  EXPECT_DOUBLE_EQ(statistic.mean(), 7.0 / 3);
  EXPECT_DOUBLE_EQ(statistic.standard_deviation(), 1.5275252316519468);  // statistics.stdev
}

TEST(DescribeTest, OneRunHasNoSpread) {
  const Statistic statistic = Describe({0.25});
  EXPECT_EQ(statistic.mean(), 0.25);
  EXPECT_EQ(statistic.standard_deviation(), 0);
  EXPECT_EQ(statistic.low(), 0.25);
  EXPECT_EQ(statistic.high(), 0.25);
}

// With two values the mean of a resample is one of them with probability 1/4 each.
TEST(DescribeTest, TheIntervalIsThatOfResampledMeans) {
  const Statistic two = Describe({0, 1});
  EXPECT_EQ(two.low(), 0);
  EXPECT_EQ(two.high(), 1);

  std::vector<double> many;
  for (int i = 0; i < 100; ++i) many.push_back(i % 2);
  const Statistic statistic = Describe(many);
  // Binomial(100, 1/2) / 100 has quantiles 0.40 and 0.60; the estimate from 10 000 resamples may
  // miss by one step.
  EXPECT_NEAR(statistic.low(), 0.40, 0.011);
  EXPECT_NEAR(statistic.high(), 0.60, 0.011);
}

TEST(DescribeTest, TheSameNumbersGiveTheSameBits) {
  const std::vector<double> values = {0.61, 0.64, 0.59, 0.66, 0.63};
  EXPECT_EQ(Describe(values).SerializeAsString(), Describe(values).SerializeAsString());
}

TEST(RandomizationTestTest, CountsEverySignPattern) {
  // Only the pattern itself and its opposite have a sum as far from 0.
  EXPECT_DOUBLE_EQ(RandomizationTest({1, 2, 4, 8, 16}), 2.0 / 32);
  EXPECT_DOUBLE_EQ(RandomizationTest({0.1, 0.2, 0.3}), 2.0 / 8);
  EXPECT_DOUBLE_EQ(RandomizationTest({-0.3}), 1);
  // 1 - 1 + 1: |sum| >= 1 for all.
  EXPECT_DOUBLE_EQ(RandomizationTest({1, -1, 1}), 1);
  EXPECT_DOUBLE_EQ(RandomizationTest({0, 0}), 1);
}

TEST(RandomizationTestTest, DrawsPatternsOfManySeeds) {
  const std::vector<double> clear(40, 0.02);
  EXPECT_LT(RandomizationTest(clear), 1e-3);
  std::vector<double> none;
  for (int i = 0; i < 40; ++i) none.push_back(i % 2 == 0 ? 0.02 : -0.02);
  EXPECT_EQ(RandomizationTest(none), 1);
}

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

// The share of all 2^n swaps whose difference is at least the observed one.
double ByEnumeration(const std::vector<int32_t>& labels,
                     const std::vector<PairedPredictions>& seeds) {
  std::vector<int32_t> all_labels;
  for (size_t s = 0; s < seeds.size(); ++s) {
    all_labels.insert(all_labels.end(), labels.begin(), labels.end());
  }
  const auto difference = [&](uint32_t swaps) {
    std::vector<int32_t> ours, theirs;
    for (const PairedPredictions& seed : seeds) {
      for (size_t i = 0; i < labels.size(); ++i) {
        const bool swap = (swaps >> i) & 1;
        ours.push_back(swap ? seed.theirs[i] : seed.ours[i]);
        theirs.push_back(swap ? seed.ours[i] : seed.theirs[i]);
      }
    }
    return std::abs(WeightedF1(all_labels, ours) - WeightedF1(all_labels, theirs));
  };
  uint32_t as_far = 0;
  const uint32_t patterns = 1U << labels.size();
  for (uint32_t swaps = 0; swaps < patterns; ++swaps) {
    as_far += difference(swaps) >= difference(0) - 1e-12 ? 1 : 0;
  }
  return static_cast<double>(as_far) / patterns;
}

TEST(UtteranceRandomizationTestTest, EstimatesTheShareOfAllSwaps) {
  const std::vector<int32_t> labels = {0, 1, 2, 0, 1, 2, 0, 0, 1, 3};
  const PairedPredictions one = {{0, 1, 2, 0, 1, 1, 0, 2, 1, 0}, {0, 0, 2, 1, 1, 2, 2, 2, 0, 3}};
  const PairedPredictions two = {{0, 1, 2, 0, 0, 2, 0, 0, 1, 4}, {1, 1, 0, 0, 1, 2, 0, 2, 1, 3}};
  for (const auto& seeds : std::vector<std::vector<PairedPredictions>>{{one}, {two}, {one, two}}) {
    const double expected = ByEnumeration(labels, seeds);
    EXPECT_GT(expected, 0.01);
    EXPECT_LT(expected, 0.99);
    // Four deviations of a share of 10 000 draws.
    EXPECT_NEAR(UtteranceRandomizationTest(labels, seeds), expected, 0.02);
  }
}

TEST(UtteranceRandomizationTestTest, EqualAndOppositeSystems) {
  std::vector<int32_t> labels, wrong;
  for (int i = 0; i < 200; ++i) {
    labels.push_back(i % 3);
    wrong.push_back((i + 1) % 3);
  }
  EXPECT_EQ(UtteranceRandomizationTest(labels, {{wrong, wrong}}), 1);
  EXPECT_EQ(UtteranceRandomizationTest(labels, {{labels, wrong}}), 1.0 / 10001);
  EXPECT_EQ(UtteranceRandomizationTest(labels, {{wrong, labels}}), 1.0 / 10001);
  // What one seed gains the other loses.
  EXPECT_EQ(UtteranceRandomizationTest(labels, {{labels, wrong}, {wrong, labels}}), 1);
}

TEST(UtteranceRandomizationTestTest, TheSameInputGivesTheSameBits) {
  const std::vector<int32_t> labels = {0, 1, 1, 0, 1};
  const PairedPredictions seed = {{0, 1, 1, 0, 0}, {0, 1, 0, 1, 1}};
  EXPECT_EQ(UtteranceRandomizationTest(labels, {seed}), UtteranceRandomizationTest(labels, {seed}));
}

}  // namespace
}  // namespace cmerc
