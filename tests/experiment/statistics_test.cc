#include "experiment/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "benchmarks/experiment/null_simulation.h"

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
  EXPECT_FALSE(statistic.has_low());
  EXPECT_FALSE(statistic.has_high());
}

// Quantiles as they stand in every table of Student's t.
TEST(DescribeTest, TheIntervalIsStudents) {
  EXPECT_NEAR(TQuantile(1), 12.706, 5e-4);
  EXPECT_NEAR(TQuantile(4), 2.776, 5e-4);
  EXPECT_NEAR(TQuantile(30), 2.042, 5e-4);
  EXPECT_NEAR(TQuantile(100000), 1.960, 5e-4);
  // Mean 3, deviation sqrt(2.5), error of the mean sqrt(2.5 / 5).
  const Statistic statistic = Describe({1, 2, 3, 4, 5});
  EXPECT_NEAR(statistic.low().value(), 3 - 2.776 * std::sqrt(0.5), 1e-3);
  EXPECT_NEAR(statistic.high().value(), 3 + 2.776 * std::sqrt(0.5), 1e-3);
}

TEST(DescribeTest, EqualNumbersHaveAnIntervalOfOnePoint) {
  const Statistic statistic = Describe({0.5, 0.5, 0.5});
  EXPECT_EQ(statistic.low().value(), 0.5);
  EXPECT_EQ(statistic.high().value(), 0.5);
}

// Percentiles of resampled seeds covered 49, 75, 84 and 91 %.
TEST(DescribeTest, TheIntervalCoversTheMeanAsOftenAsItSays) {
  constexpr int kRounds = 20000;
  // Four deviations of a share of so many draws.
  const double bound = 4 * std::sqrt(0.95 * 0.05 / kRounds);
  for (const int seeds : {2, 3, 5, 10}) {
    EXPECT_NEAR(CoverageOverSeeds(seeds, kRounds), 0.95, bound) << seeds;
  }
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

TEST(HolmCorrectedTest, ByHand) {
  EXPECT_TRUE(HolmCorrected({}).empty());
  EXPECT_THAT(HolmCorrected({0.25}), testing::ElementsAre(0.25));
  // In order: 0.01 * 4, 0.02 * 3, max(0.06, 0.03 * 2), max(0.06, 0.5 * 1).
  const std::vector<double> corrected = HolmCorrected({0.5, 0.01, 0.03, 0.02});
  EXPECT_THAT(corrected, testing::Pointwise(testing::DoubleNear(1e-15), {0.5, 0.04, 0.06, 0.06}));
  EXPECT_THAT(HolmCorrected({0.6, 0.7}), testing::ElementsAre(1, 1));
}

}  // namespace
}  // namespace cmerc
