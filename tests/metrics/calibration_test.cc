// Expected numbers: data/generate_calibration.py, by NumPy.
#include "metrics/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/metrics/data/calibration_golden.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Sums of at most 1400 numbers below 10 in another order.
constexpr double kTolerance = 1e-13;

CalibrationReport MustMeasure(const std::vector<double>& log_probs,
                              const std::vector<int64_t>& labels, int64_t num_classes) {
  const absl::StatusOr<CalibrationReport> report =
      MeasureCalibration(log_probs, labels, num_classes);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.value_or(CalibrationReport());
}

// Rows of two classes whose second has the probability given.
std::vector<double> Binary(const std::vector<double>& second) {
  std::vector<double> log_probs;
  for (const double p : second) {
    log_probs.push_back(std::log1p(-p));
    log_probs.push_back(std::log(p));
  }
  return log_probs;
}

class GoldenTest : public testing::TestWithParam<CalibrationGolden> {};

TEST_P(GoldenTest, AsNumPy) {
  const CalibrationGolden& golden = GetParam();
  const CalibrationReport report = MustMeasure(golden.log_probs, golden.labels, golden.num_classes);
  EXPECT_NEAR(report.ece(), golden.ece, kTolerance);
  EXPECT_NEAR(report.adaptive_ece(), golden.adaptive_ece, kTolerance);
  EXPECT_NEAR(report.classwise_ece(), golden.classwise_ece, kTolerance);
  EXPECT_NEAR(report.mce(), golden.mce, kTolerance);
  EXPECT_NEAR(report.brier(), golden.brier, kTolerance);
  EXPECT_NEAR(report.nll(), golden.nll, kTolerance);
  EXPECT_NEAR(report.aurc(), golden.aurc, kTolerance);
  EXPECT_NEAR(report.e_aurc(), golden.e_aurc, kTolerance);
}

TEST_P(GoldenTest, TheOrderOfTheSplitDoesNotMatter) {
  const CalibrationGolden& golden = GetParam();
  std::vector<double> log_probs;
  for (size_t row = golden.labels.size(); row-- > 0;) {
    const auto begin = golden.log_probs.begin() + row * golden.num_classes;
    log_probs.insert(log_probs.end(), begin, begin + golden.num_classes);
  }
  const std::vector<int64_t> labels(golden.labels.rbegin(), golden.labels.rend());
  const CalibrationReport report = MustMeasure(log_probs, labels, golden.num_classes);
  EXPECT_NEAR(report.ece(), golden.ece, kTolerance);
  EXPECT_NEAR(report.adaptive_ece(), golden.adaptive_ece, kTolerance);
  EXPECT_NEAR(report.aurc(), golden.aurc, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, testing::ValuesIn(kCalibrationGolden),
                         [](const auto& info) { return info.param.name; });

// Without conversations the report is that of versions before 0.2.
TEST(MeasureCalibrationTest, TheNoiseOfTheEceNeedsConversations) {
  const CalibrationGolden& golden = kCalibrationGolden[0];
  const CalibrationReport without = MustMeasure(golden.log_probs, golden.labels, 7);
  EXPECT_FALSE(without.has_ece_floor());
  EXPECT_FALSE(without.has_ece_error());
  const auto measure = [&](const std::vector<int64_t>& lengths) {
    return MeasureCalibration(golden.log_probs, golden.labels, 7, lengths);
  };
  const auto with = measure({50, 70, 80});
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_EQ(with->ece(), without.ece());
  // 200 utterances: a perfectly calibrated model's ECE is some hundredths.
  EXPECT_GT(with->ece_floor().value(), 0.02);
  EXPECT_LT(with->ece_floor().value(), 0.1);
  EXPECT_GT(with->ece_error().value(), 0);
  EXPECT_FALSE(measure({200})->has_ece_error());
  EXPECT_TRUE(measure({200})->has_ece_floor());
  for (const std::vector<int64_t>& wrong :
       std::vector<std::vector<int64_t>>{{199}, {100, 101}, {201, -1}}) {
    EXPECT_EQ(measure(wrong).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(MeasureCalibrationTest, ByHand) {
  // Right with 0.8 and 0.6, wrong with 0.7.
  const CalibrationReport report = MustMeasure(Binary({0.8, 0.3, 0.6}), {1, 1, 1}, 2);
  EXPECT_NEAR(report.ece(), (0.2 + 0.7 + 0.4) / 3, 1e-15);
  EXPECT_NEAR(report.adaptive_ece(), report.ece(), 1e-15);  // one utterance in a bin of either kind
  EXPECT_NEAR(report.mce(), 0.7, 1e-15);
  EXPECT_NEAR(report.brier(), 2 * (0.04 + 0.49 + 0.16) / 3, 1e-15);
  EXPECT_NEAR(report.nll(), -(std::log(0.8) + std::log(0.3) + std::log(0.6)) / 3, 1e-15);
  // Risks by falling confidence: 0, 1/2, 1/3.
  EXPECT_NEAR(report.aurc(), (0 + 1.0 / 2 + 1.0 / 3) / 3, 1e-15);
  EXPECT_NEAR(report.e_aurc(), 5.0 / 18 - (1.0 / 3 + 2.0 / 3 * std::log(2.0 / 3)), 1e-15);
}

// (a, b]: an edge belongs to the bin below it; 10/15 + 1 ulp to the one above.
TEST(MeasureCalibrationTest, BinsAreClosedOnTheRight) {
  for (int k = 8; k <= 15; ++k) {
    const double edge = k / 15.0;
    const auto bin_of = [](double p) {
      const CalibrationReport report = MustMeasure({std::log(p), std::log1p(-p + 1e-300)}, {0}, 2);
      for (int b = 0; b < report.bins_size(); ++b) {
        if (report.bins(b).utterances() > 0) return b;
      }
      return -1;
    };
    // log and exp move p by an ulp or so.
    EXPECT_EQ(bin_of(edge * (1 - 1e-14)), k - 1) << k;
    if (k < 15) {
      EXPECT_EQ(bin_of(edge * (1 + 1e-14)), k) << k;
    }
  }
  // exp(log(0.6)) is 0.6 to the bit, and so is 9 / 15.
  ASSERT_EQ(std::exp(std::log(0.6)), 9 / 15.0);
  EXPECT_EQ(MustMeasure(Binary({0.6}), {1}, 2).bins(8).utterances(), 1);
}

TEST(MeasureCalibrationTest, BinsAddUp) {
  const CalibrationGolden& golden = kCalibrationGolden[0];
  const CalibrationReport report = MustMeasure(golden.log_probs, golden.labels, golden.num_classes);
  ASSERT_EQ(report.bins_size(), 15);
  int utterances = 0;
  double ece = 0, mce = 0;
  for (const ReliabilityBin& bin : report.bins()) {
    utterances += bin.utterances();
    const double gap = std::abs(bin.accuracy() - bin.confidence());
    ece += bin.utterances() * gap;
    mce = std::max(mce, gap);
    if (bin.utterances() == 0) {
      EXPECT_EQ(gap, 0);
    }
  }
  EXPECT_EQ(utterances, static_cast<int>(golden.labels.size()));
  EXPECT_NEAR(ece / utterances, report.ece(), kTolerance);
  EXPECT_EQ(mce, report.mce());
}

TEST(MeasureCalibrationTest, CertainAndRight) {
  // p = 1 and p = 0: float32's exp(-200) is 0, and so is this one's within a rounding.
  const CalibrationReport report = MustMeasure({0, -800, -800, 0}, {0, 1}, 2);
  EXPECT_EQ(report.ece(), 0);
  EXPECT_EQ(report.adaptive_ece(), 0);
  EXPECT_EQ(report.classwise_ece(), 0);
  EXPECT_EQ(report.brier(), 0);
  EXPECT_EQ(report.nll(), 0);
  EXPECT_EQ(report.aurc(), 0);
  EXPECT_EQ(report.e_aurc(), 0);
  EXPECT_EQ(report.bins(14).utterances(), 2);
}

TEST(MeasureCalibrationTest, CertainAndWrong) {
  const CalibrationReport report = MustMeasure({0, -800, -800, 0}, {1, 0}, 2);
  EXPECT_EQ(report.ece(), 1);
  EXPECT_EQ(report.mce(), 1);
  EXPECT_EQ(report.brier(), 2);
  EXPECT_EQ(report.nll(), 800);
  EXPECT_EQ(report.aurc(), 1);
  EXPECT_EQ(report.e_aurc(), 0);  // no order could do better
}

TEST(MeasureCalibrationTest, OneUtteranceAndOneClass) {
  const CalibrationReport one = MustMeasure(Binary({0.75}), {0}, 2);
  EXPECT_NEAR(one.ece(), 0.75, 1e-15);
  EXPECT_EQ(one.aurc(), 1);
  const CalibrationReport only = MustMeasure({0, 0, 0}, {0, 0, 0}, 1);
  EXPECT_EQ(only.ece(), 0);
  EXPECT_EQ(only.nll(), 0);
  EXPECT_EQ(only.brier(), 0);
}

// Float32 rounding leaves log-probabilities a little above 0.
TEST(MeasureCalibrationTest, ProbabilitiesAboveOneByARounding) {
  const CalibrationReport report = MustMeasure({1e-7, -20}, {0}, 2);
  EXPECT_EQ(report.bins(14).confidence(), 1);
  EXPECT_EQ(report.ece(), 0);
}

TEST(PredictedClassesTest, TheFirstAmongTheMostProbable) {
  EXPECT_THAT(PredictedClasses({-3, -1, -1, -2, -2, -2, -5, -4, -0.1}, 3), ElementsAre(1, 0, 2));
}

struct BadInput {
  std::vector<double> log_probs;
  std::vector<int64_t> labels;
  int64_t num_classes;
  std::string message;
};

class BadInputTest : public testing::TestWithParam<BadInput> {};

TEST_P(BadInputTest, IsInvalidArgument) {
  const BadInput& bad = GetParam();
  const absl::Status status =
      MeasureCalibration(bad.log_probs, bad.labels, bad.num_classes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(bad.message));
}

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

INSTANTIATE_TEST_SUITE_P(
    All, BadInputTest,
    testing::Values(BadInput{{}, {}, 2, "0 utterances, want at least 1"},
                    BadInput{{0}, {0}, 0, "0 classes, want at least 1"},
                    BadInput{{0, -50}, {0, 1}, 2, "2 log-probabilities, want 2 x 2"},
                    BadInput{{0, -50, 0}, {0}, 2, "3 log-probabilities, want 1 x 2"},
                    BadInput{{0, -50}, {2}, 2, "labels[0] = 2, want 0 <= class < 2"},
                    BadInput{{0, -50}, {-1}, 2, "labels[0] = -1"},
                    BadInput{{0, -50, 0, kNan}, {0, 0}, 2, "log_probs[1, 1] = nan"},
                    BadInput{{0, -kInfinity}, {0}, 2, "log_probs[0, 1] = -inf"},
                    BadInput{{3, -1}, {0}, 2, "take their log_softmax"},
                    BadInput{{-1, -2}, {0}, 2, "row 0 of log_probs sum to 0.50"}));

}  // namespace
}  // namespace cmerc
