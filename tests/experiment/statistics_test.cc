#include "experiment/statistics.h"

#include <gtest/gtest.h>

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

TEST(RandomisationTestTest, CountsEverySignPattern) {
  // Only the pattern itself and its opposite have a sum as far from 0.
  EXPECT_DOUBLE_EQ(RandomisationTest({1, 2, 4, 8, 16}), 2.0 / 32);
  EXPECT_DOUBLE_EQ(RandomisationTest({0.1, 0.2, 0.3}), 2.0 / 8);
  EXPECT_DOUBLE_EQ(RandomisationTest({-0.3}), 1);
  // 1 - 1 + 1: |sum| >= 1 for all.
  EXPECT_DOUBLE_EQ(RandomisationTest({1, -1, 1}), 1);
  EXPECT_DOUBLE_EQ(RandomisationTest({0, 0}), 1);
}

TEST(RandomisationTestTest, DrawsPatternsOfManySeeds) {
  const std::vector<double> clear(40, 0.02);
  EXPECT_LT(RandomisationTest(clear), 1e-3);
  std::vector<double> none;
  for (int i = 0; i < 40; ++i) none.push_back(i % 2 == 0 ? 0.02 : -0.02);
  EXPECT_EQ(RandomisationTest(none), 1);
}

}  // namespace
}  // namespace cmerc
