// Expected numbers: tests/metrics/data/generate_calibration.py, by SciPy's optimizers.
#include "calibration/post_hoc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "metrics/calibration.h"
#include "tests/metrics/data/calibration_golden.h"

namespace cmerc {
namespace {

using testing::Each;
using testing::Pointwise;
using testing::SizeIs;

const CalibrationGolden& Sevens() { return kCalibrationGolden[0]; }

std::vector<Remedy> MustFit(const std::vector<double>& log_probs,
                            const std::vector<int64_t>& labels, int64_t num_classes) {
  const absl::StatusOr<std::vector<Remedy>> remedies = FitRemedies(log_probs, labels, num_classes);
  EXPECT_TRUE(remedies.ok()) << remedies.status();
  return remedies.value_or(std::vector<Remedy>());
}

double NllAfter(const Remedy& remedy, const CalibrationGolden& set) {
  return MeasureCalibration(Apply(remedy, set.log_probs, set.num_classes), set.labels,
                            set.num_classes)
      ->nll();
}

// At a minimum the NLL is flat: a relative error of 1e-5 in a parameter changes it by 1e-10.
constexpr double kParameterTolerance = 1e-5;
constexpr double kNllTolerance = 1e-10;

TEST(FitRemediesTest, AreThoseOfSciPy) {
  const std::vector<Remedy> remedies = MustFit(Sevens().log_probs, Sevens().labels, 7);
  ASSERT_THAT(remedies, SizeIs(3));
  EXPECT_EQ(remedies[0].method, "temperature");
  ASSERT_THAT(remedies[0].parameters, SizeIs(1));
  EXPECT_NEAR(remedies[0].parameters[0], kTemperature, kParameterTolerance);
  EXPECT_NEAR(NllAfter(remedies[0], Sevens()), kTemperatureNll, kNllTolerance);
  EXPECT_EQ(remedies[1].method, "vector");
  EXPECT_THAT(remedies[1].parameters, Pointwise(testing::DoubleNear(kParameterTolerance), kVector));
  EXPECT_NEAR(NllAfter(remedies[1], Sevens()), kVectorNll, kNllTolerance);
  EXPECT_EQ(remedies[2].method, "classwise_temperature");
  EXPECT_THAT(remedies[2].parameters,
              Pointwise(testing::DoubleNear(kParameterTolerance), kClasswise));
  EXPECT_NEAR(NllAfter(remedies[2], Sevens()), kClasswiseNll, kNllTolerance);
}

TEST(FitRemediesTest, WhatTheSplitTellsIsNotWithheld) {
  for (const Remedy& remedy : MustFit(Sevens().log_probs, Sevens().labels, 7)) {
    EXPECT_EQ(remedy.withheld, "") << remedy.method;
  }
}

TEST(FitRemediesTest, TheSameInputGivesTheSameBits) {
  const std::vector<Remedy> first = MustFit(Sevens().log_probs, Sevens().labels, 7);
  const std::vector<Remedy> second = MustFit(Sevens().log_probs, Sevens().labels, 7);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].parameters, second[i].parameters);
}

TEST(FitRemediesTest, ConfidencesOfTheSplitBecomeBetter) {
  const CalibrationGolden& set = Sevens();
  const std::vector<Remedy> remedies = MustFit(set.log_probs, set.labels, 7);
  for (const Remedy& remedy : remedies) {
    const absl::StatusOr<CalibrationReport> after =
        MeasureCalibration(Apply(remedy, set.log_probs, 7), set.labels, 7);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_LT(after->nll(), set.nll) << remedy.method;
    EXPECT_LT(after->ece(), set.ece) << remedy.method;
  }
  // s = 1 / T_c and b = 0; T_c = T.
  EXPECT_LT(NllAfter(remedies[1], set), NllAfter(remedies[2], set));
  EXPECT_LT(NllAfter(remedies[2], set), NllAfter(remedies[0], set));
}

// Every prediction is right: the smaller T the better, and the bound is approached.
TEST(FitRemediesTest, ASplitWithoutErrorsStaysBounded) {
  std::vector<double> log_probs;
  std::vector<int64_t> labels;
  for (int i = 0; i < 30; ++i) {
    for (int c = 0; c < 3; ++c) log_probs.push_back(std::log(c == i % 3 ? 0.6 : 0.2));
    labels.push_back(i % 3);
  }
  const std::vector<Remedy> remedies = MustFit(log_probs, labels, 3);
  EXPECT_GE(remedies[0].parameters[0], 1.0 / 20);
  EXPECT_LT(remedies[0].parameters[0], 0.1);
  for (int c = 0; c < 3; ++c) {
    EXPECT_GT(remedies[1].parameters[c], 0);
    EXPECT_LE(remedies[1].parameters[c], 20);
    EXPECT_LT(std::abs(remedies[1].parameters[3 + c]), 20);
  }
  EXPECT_THAT(remedies[2].parameters,
              Each(testing::AllOf(testing::Ge(1.0 / 20), testing::Lt(0.2))));
  EXPECT_EQ(remedies[0].withheld, "the best T is 0.05 or below");
  for (const Remedy& remedy : remedies) {
    EXPECT_NE(remedy.withheld, "") << remedy.method;
    const auto report = MeasureCalibration(Apply(remedy, log_probs, 3), labels, 3);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_LT(report->nll(), 1e-3);
  }
}

// Every prediction is wrong: the flatter the better.
TEST(FitRemediesTest, ASplitOfErrorsStaysBounded) {
  const std::vector<double> row = {std::log(0.6), std::log(0.3), std::log(0.1)};
  std::vector<double> log_probs;
  for (int i = 0; i < 20; ++i) log_probs.insert(log_probs.end(), row.begin(), row.end());
  const std::vector<Remedy> remedies = MustFit(log_probs, std::vector<int64_t>(20, 2), 3);
  EXPECT_GT(remedies[0].parameters[0], 10);
  EXPECT_LE(remedies[0].parameters[0], 20);
  EXPECT_EQ(remedies[0].withheld, "the best T is 20 or above");
  // Only the last class has labels.
  EXPECT_EQ(remedies[2].parameters[0], remedies[0].parameters[0]);
  EXPECT_EQ(remedies[2].parameters[2], 1);
  EXPECT_EQ(remedies[1].withheld, "all labels are of one class");
  EXPECT_EQ(remedies[2].withheld, "all labels are of one class");
}

// A validation split of one class, as a rare one may give: the surer of it the better, and on a
// test split of all classes that is a disaster.
TEST(FitRemediesTest, ASplitOfOneClassIsWithheld) {
  std::vector<double> log_probs;
  for (int i = 0; i < 40; ++i) {
    const double p = 0.5 + 0.01 * i;
    for (const double of_class : {p, (1 - p) * 0.7, (1 - p) * 0.3}) {
      log_probs.push_back(std::log(of_class));
    }
  }
  const std::vector<Remedy> remedies = MustFit(log_probs, std::vector<int64_t>(40, 0), 3);
  EXPECT_THAT(remedies[0].parameters, Each(testing::Lt(0.1)));
  for (const Remedy& remedy : remedies) EXPECT_NE(remedy.withheld, "") << remedy.method;
}

// Of one class a vector says that it is certain wherever the class is likeliest: the scale of that
// class runs away, while a temperature can still be told.
TEST(FitRemediesTest, EachRemedyIsWithheldForItself) {
  std::vector<double> log_probs;
  std::vector<int64_t> labels;
  const std::vector<std::vector<double>> rows = {{0.6, 0.3, 0.1}, {0.2, 0.7, 0.1}};
  for (int i = 0; i < 40; ++i) {
    const std::vector<double>& row = rows[i % 2];
    for (const double p : row) log_probs.push_back(std::log(p));
    // Every fifth of either kind is the other's.
    labels.push_back(i % 10 < 2 ? 1 - i % 2 : i % 2);
  }
  // And a class that is always predicted rightly, with a probability of its own.
  for (int i = 0; i < 4; ++i) {
    for (const double p : {0.01, 0.01, 0.98}) log_probs.push_back(std::log(p));
    labels.push_back(2);
  }
  const std::vector<Remedy> remedies = MustFit(log_probs, labels, 3);
  EXPECT_EQ(remedies[0].withheld, "");
  EXPECT_EQ(remedies[1].withheld, "a parameter is at the bound of its range");
}

TEST(FitRemediesTest, AClassWithoutLabelsIsLeftAsItIs) {
  CalibrationGolden set = Sevens();
  for (int64_t& label : set.labels) label = label == 5 ? 0 : label;
  const std::vector<Remedy> remedies = MustFit(set.log_probs, set.labels, 7);
  const std::vector<double>& vector = remedies[1].parameters;
  EXPECT_EQ(vector[5], 1 / remedies[0].parameters[0]);
  EXPECT_EQ(vector[7 + 5], 0);
  double shifts = 0;
  for (int c = 0; c < 7; ++c) {
    EXPECT_GT(vector[c], 1.0 / 20);
    EXPECT_LT(vector[c], 20);
    EXPECT_LT(std::abs(vector[7 + c]), 5);
    shifts += vector[7 + c];
  }
  EXPECT_NEAR(shifts, 0, 1e-14);  // seven roundings
  EXPECT_EQ(remedies[2].parameters[5], remedies[0].parameters[0]);
}

TEST(FitRemediesTest, NothingToTell) {
  const std::vector<Remedy> one_class = MustFit({0, 0}, {0, 0}, 1);
  EXPECT_NEAR(one_class[0].parameters[0], 1.5, 1e-12);
  EXPECT_THAT(one_class[1].parameters, testing::ElementsAre(1, 0));
  EXPECT_EQ(Apply(one_class[0], {0, 0}, 1), std::vector<double>(2));
  for (const Remedy& remedy : one_class) EXPECT_EQ(remedy.withheld, "") << remedy.method;
  // The same for every class: no temperature makes a difference.
  EXPECT_EQ(MustFit(std::vector<double>(6, std::log(1.0 / 3)), {0, 1}, 3)[0].withheld, "");
  const std::vector<Remedy> one_utterance = MustFit({std::log(0.7), std::log(0.3)}, {1}, 2);
  for (const Remedy& remedy : one_utterance) {
    for (const double p : remedy.parameters) EXPECT_TRUE(std::isfinite(p)) << remedy.method;
  }
}

TEST(FitRemediesTest, WhatIsNoPrediction) {
  const absl::Status status = FitRemedies({0, 0}, {0}, 2).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(ApplyTest, ByHand) {
  const std::vector<double> row = {std::log(0.5), std::log(0.25), std::log(0.25)};
  const auto probabilities = [&](const Remedy& remedy) {
    std::vector<double> result = Apply(remedy, row, 3);
    for (double& one : result) one = std::exp(one);
    return result;
  };
  const auto near = [](const std::vector<double>& want) {
    return Pointwise(testing::DoubleNear(1e-15), want);
  };
  // 0.5^2 : 0.25^2 : 0.25^2
  EXPECT_THAT(probabilities({"temperature", {0.5}}), near({2.0 / 3, 1.0 / 6, 1.0 / 6}));
  // 0.5 : 0.25 : 0.25^2
  EXPECT_THAT(probabilities({"classwise_temperature", {1, 1, 0.5}}),
              near({8.0 / 13, 4.0 / 13, 1.0 / 13}));
  EXPECT_THAT(probabilities({"vector", {1, 1, 1, 0, std::log(2), 0}}), near({0.4, 0.4, 0.2}));
  EXPECT_THAT(probabilities({"temperature", {1}}), near({0.5, 0.25, 0.25}));
}

TEST(ApplyTest, ATemperatureKeepsPredictions) {
  const CalibrationGolden& set = Sevens();
  const std::vector<int64_t> predicted = PredictedClasses(set.log_probs, 7);
  for (const double t : {1.0 / 20, 1.7, 20.0}) {
    EXPECT_EQ(PredictedClasses(Apply({"temperature", {t}}, set.log_probs, 7), 7), predicted);
  }
}

TEST(ApplyTest, ExtremesStayFinite) {
  for (const double p : Apply({"temperature", {0.05}}, {0, -100, -100, 0}, 2)) {
    EXPECT_TRUE(std::isfinite(p));
  }
}

}  // namespace
}  // namespace cmerc
