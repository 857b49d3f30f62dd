#include "report/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace cmerc::report {
namespace {

using testing::ElementsAre;

std::vector<std::string> Labels(const Axis& axis) {
  std::vector<std::string> labels;
  for (const double tick : axis.ticks()) labels.push_back(axis.Label(tick));
  return labels;
}

TEST(NiceAxisTest, TicksAreMultiplesOfOneTwoOrFive) {
  EXPECT_THAT(Labels(NiceAxis(0, 1, 6)), ElementsAre("0", "0.2", "0.4", "0.6", "0.8", "1.0"));
  EXPECT_THAT(Labels(NiceAxis(0.31, 0.72, 6)),
              ElementsAre("0.3", "0.4", "0.5", "0.6", "0.7", "0.8"));
  EXPECT_THAT(Labels(NiceAxis(3, 1152, 6)), ElementsAre("0", "500", "1000", "1500"));
  EXPECT_THAT(Labels(NiceAxis(-0.03, 0.05, 6)),
              ElementsAre("-0.04", "-0.02", "0", "0.02", "0.04", "0.06"));
  EXPECT_THAT(Labels(NiceAxis(1e7, 3e7, 3)), ElementsAre("1e+07", "2e+07", "3e+07"));
}

TEST(NiceAxisTest, HoldsEveryValueWithinTheNumberOfTicks) {
  for (const double low : {-1e9, -7.3, -1.0, 0.0, 1e-7, 0.1, 3.0, 999.0}) {
    for (const double size : {1e-6, 0.3, 1.0, 9.9, 1e4, 1e12}) {
      for (const int most : {2, 3, 6, 10}) {
        const double high = low + size;
        const Axis axis = NiceAxis(low, high, most);
        // The axis may cut off less than a billionth of its step.
        EXPECT_LE(axis.low, low + axis.step * 1e-8) << low << " " << high;
        EXPECT_GE(axis.high, high - axis.step * 1e-8) << low << " " << high;
        EXPECT_LE(axis.ticks().size(), static_cast<size_t>(most)) << low << " " << high;
        EXPECT_GE(axis.ticks().size(), 2u) << low << " " << high;
      }
    }
  }
}

TEST(NiceAxisTest, OneValueLiesWithin) {
  for (const double value : {0.0, 0.5, -3.0, 1e9, 1e-9}) {
    const Axis axis = NiceAxis(value, value, 6);
    EXPECT_LT(axis.low, value);
    EXPECT_GT(axis.high, value);
  }
}

TEST(NiceAxisTest, WhatIsNotFiniteIsLeftOut) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const Axis axis = NiceAxis({nan, 0.0, infinity, 10.0}, 6);
  EXPECT_EQ(axis.low, 0);
  EXPECT_EQ(axis.high, 10);
  const double largest = std::numeric_limits<double>::max();
  for (const Axis& unit : {NiceAxis({nan}, 6), NiceAxis(std::vector<double>(), 6),
                           NiceAxis(0, infinity, 6), NiceAxis(-largest, largest, 6)}) {
    EXPECT_EQ(unit.low, 0);
    EXPECT_EQ(unit.high, 1);
  }
}

TEST(NiceWholeAxisTest, StepsAreWhole) {
  EXPECT_THAT(Labels(NiceWholeAxis(1, 3, 8)), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Labels(NiceWholeAxis(1, 60, 8)),
              ElementsAre("0", "10", "20", "30", "40", "50", "60"));
  EXPECT_THAT(Labels(NiceWholeAxis(1, 1, 8)), ElementsAre("0", "1", "2"));
}

TEST(PlaceTest, IsLinearInEitherDirection) {
  EXPECT_EQ(Place(5, 0, 10, 100, 200), 150);
  EXPECT_EQ(Place(0, 0, 10, 200, 100), 200);
  EXPECT_EQ(Place(10, 0, 10, 200, 100), 100);
}

TEST(CoordinateTest, OneDecimalAtMost) {
  EXPECT_EQ(Coordinate(12), "12");
  EXPECT_EQ(Coordinate(12.34), "12.3");
  EXPECT_EQ(Coordinate(-0.01), "0");
}

}  // namespace
}  // namespace cmerc::report
