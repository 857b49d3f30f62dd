#include "calibration/scaled_views.h"

#include <gtest/gtest.h>

#include <cmath>

namespace cmerc {
namespace {

// Three utterances of two classes, with two views; the probability of class 1 is p.
SplitPredictions Predictions(const std::vector<double>& full,
                             const std::vector<std::vector<double>>& views,
                             std::vector<int64_t> labels) {
  const auto log_probs = [](const std::vector<double>& of_class_1) {
    std::vector<double> result;
    for (const double p : of_class_1) {
      result.push_back(std::log(1 - p));
      result.push_back(std::log(p));
    }
    return result;
  };
  SplitPredictions predictions;
  predictions.labels = std::move(labels);
  predictions.log_probs = log_probs(full);
  for (const std::vector<double>& view : views) {
    predictions.views.push_back({View::Kind::kModality, "m"});
    predictions.view_log_probs.push_back(log_probs(view));
  }
  return predictions;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Logit(double p) { return std::log(p / (1 - p)); }

TEST(ScaledViewsTest, AFactorMakesViewsLessSureAndLeavesTheRestAlone) {
  const SplitPredictions valid = Predictions({0.9, 0.3, 0.2}, {{0.95, 0.4, 0.1}}, {1, 0, 1});
  const SplitPredictions test =
      Predictions({0.8, 0.4, 0.6}, {{0.9, 0.45, 0.7}, {0.6, 0.3, 0.2}}, {1, 0, 0});
  const auto reports = MeasureScaledViews(valid, test, 2);
  ASSERT_TRUE(reports.ok()) << reports.status();
  ASSERT_EQ(reports->size(), 20U);
  const ScaledViewsReport& as_is = reports->front();
  EXPECT_EQ(as_is.factor(), 1);
  // Of the two that are right in each split: valid .95 > .9; test .9 > .8 and, second view, .7 >
  // .6.
  EXPECT_DOUBLE_EQ(as_is.valid_share_of_right(), 0.5);
  EXPECT_DOUBLE_EQ(as_is.share_of_right(), 0.5);
  // The wrong one: .3 > .4 is not, .8 > .4 is.
  EXPECT_DOUBLE_EQ(as_is.share_of_wrong(), 0.5);
  EXPECT_DOUBLE_EQ(as_is.share_surer_without(), 0.5);
  double before = 2;
  for (const ScaledViewsReport& one : *reports) {
    EXPECT_LT(one.factor(), before);
    before = one.factor();
  }
  const ScaledViewsReport& half = (*reports)[10];
  EXPECT_DOUBLE_EQ(half.factor(), 0.5);
  double nll = 0;
  for (const double p : {0.9, 1 - 0.45, 1 - 0.7, 0.6, 1 - 0.3, 1 - 0.2}) {
    nll -= std::log(Sigmoid(0.5 * Logit(p))) / 6;
  }
  EXPECT_NEAR(half.nll(), nll, 1e-12);
  // .9 becomes .75, below .8, and .7 becomes .6044: still above .6.
  EXPECT_DOUBLE_EQ(half.share_of_right(), 0.25);
}

TEST(ScaledViewsTest, NothingWhereAllIsRight) {
  const SplitPredictions split = Predictions({0.9, 0.3}, {{0.95, 0.4}}, {1, 0});
  const auto reports = MeasureScaledViews(split, split, 2);
  ASSERT_TRUE(reports.ok()) << reports.status();
  EXPECT_TRUE(reports->empty());
}

}  // namespace
}  // namespace cmerc
