// Expected numbers: sklearn.metrics.precision_recall_fscore_support(labels=range(C),
// zero_division=0), f1_score(zero_division=0), accuracy_score and confusion_matrix.
#include "metrics/classification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "metrics/confusion.h"

namespace cmerc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Each score is a handful of float64 roundings in [0, 1]; scikit-learn may add in another order.
constexpr double kTolerance = 1e-15;

struct Scores {
  double precision, recall, f1;
  int support;
};

void ExpectClasses(const SplitReport& report, const std::vector<std::string>& names,
                   const std::vector<Scores>& expected) {
  ASSERT_EQ(report.classes_size(), static_cast<int>(expected.size()));
  for (int c = 0; c < report.classes_size(); ++c) {
    SCOPED_TRACE(names[c]);
    EXPECT_EQ(report.classes(c).name(), names[c]);
    EXPECT_NEAR(report.classes(c).precision(), expected[c].precision, kTolerance);
    EXPECT_NEAR(report.classes(c).recall(), expected[c].recall, kTolerance);
    EXPECT_NEAR(report.classes(c).f1(), expected[c].f1, kTolerance);
    EXPECT_EQ(report.classes(c).support(), expected[c].support);
  }
}

std::vector<std::vector<int>> Confusion(const SplitReport& report) {
  std::vector<std::vector<int>> rows;
  for (const ConfusionRow& row : report.confusion()) {
    rows.emplace_back(row.predicted().begin(), row.predicted().end());
  }
  return rows;
}

// 80 utterances in about MELD's proportions; fear and disgust are never predicted.
const std::vector<int64_t> kMeldLabels = {
    0, 0, 3, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 3, 6, 1, 0, 6, 0, 5, 0, 0, 0, 0,
    4, 0, 2, 3, 0, 1, 0, 0, 0, 3, 0, 0, 2, 0, 0, 4, 4, 0, 1, 1, 6, 4, 0, 6, 0, 0, 4,
    0, 1, 0, 3, 4, 1, 6, 0, 4, 2, 1, 0, 4, 6, 1, 3, 0, 4, 3, 6, 4, 0, 0, 3, 0, 0};
const std::vector<int64_t> kMeldPredictions = {
    0, 0, 3, 0, 1, 0, 0, 1, 0, 4, 0, 0, 0, 6, 0, 0, 3, 6, 1, 0, 6, 0, 0, 0, 0, 4, 0,
    3, 0, 4, 4, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 4, 4, 0, 3, 1, 6, 4, 0, 6, 6, 0, 4,
    0, 1, 0, 3, 0, 1, 1, 0, 4, 0, 1, 0, 0, 6, 1, 1, 0, 4, 6, 4, 4, 0, 0, 3, 0, 0};
const std::vector<std::string> kMeldNames = {"neutral", "surprise", "fear", "sadness",
                                             "joy",     "disgust",  "anger"};

TEST(ClassificationReportTest, NeverPredictedClasses) {
  const auto report = ClassificationReport(kMeldLabels, kMeldPredictions, kMeldNames);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->utterances(), 80);
  EXPECT_NEAR(report->accuracy(), 0.7875, kTolerance);
  EXPECT_NEAR(report->weighted_f1(), 0.7670580215118922, kTolerance);
  EXPECT_NEAR(report->macro_f1(), 0.5288015524343354, kTolerance);
  EXPECT_NEAR(report->micro_f1(), 0.7875, kTolerance);  // f1_score(average="micro")
  ExpectClasses(*report, kMeldNames,
                {{0.8809523809523809, 0.925, 0.9024390243902439, 40},
                 {0.8181818181818182, 0.9, 0.8571428571428571, 10},
                 {0, 0, 0, 3},
                 {0.7142857142857143, 0.625, 0.6666666666666666, 8},
                 {0.5833333333333334, 0.6363636363636364, 0.6086956521739131, 11},
                 {0, 0, 0, 1},
                 {0.625, 0.7142857142857143, 0.6666666666666666, 7}});
  EXPECT_THAT(Confusion(*report),
              ElementsAre(ElementsAre(37, 0, 0, 0, 2, 0, 1), ElementsAre(0, 9, 0, 1, 0, 0, 0),
                          ElementsAre(2, 0, 0, 0, 1, 0, 0), ElementsAre(0, 1, 0, 5, 1, 0, 1),
                          ElementsAre(2, 0, 0, 1, 7, 0, 1), ElementsAre(1, 0, 0, 0, 0, 0, 0),
                          ElementsAre(0, 1, 0, 0, 1, 0, 5)));
}

// angry: never predicted; excited: only predicted; frustrated: neither, so not in the macro mean.
TEST(ClassificationReportTest, ClassesWithoutSupport) {
  const std::vector<std::string> names = {"happy", "sad",     "neutral",
                                          "angry", "excited", "frustrated"};
  const auto report =
      ClassificationReport({0, 0, 0, 1, 1, 2, 2, 2, 2, 3}, {0, 0, 1, 1, 2, 2, 2, 2, 0, 4}, names);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_NEAR(report->accuracy(), 0.6, kTolerance);
  EXPECT_NEAR(report->weighted_f1(), 0.6, kTolerance);
  EXPECT_NEAR(report->macro_f1(), 0.3833333333333333, kTolerance);
  ExpectClasses(*report, names,
                {{0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 3},
                 {0.5, 0.5, 0.5, 2},
                 {0.75, 0.75, 0.75, 4},
                 {0, 0, 0, 1},
                 {0, 0, 0, 0},
                 {0, 0, 0, 0}});
  EXPECT_THAT(Confusion(*report),
              ElementsAre(ElementsAre(2, 1, 0, 0, 0, 0), ElementsAre(0, 1, 1, 0, 0, 0),
                          ElementsAre(1, 0, 3, 0, 0, 0), ElementsAre(0, 0, 0, 0, 1, 0),
                          ElementsAre(0, 0, 0, 0, 0, 0), ElementsAre(0, 0, 0, 0, 0, 0)));
}

TEST(ClassificationReportTest, SingleClass) {
  const auto report = ClassificationReport({0, 0, 0}, {0, 0, 0}, {"only"});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->accuracy(), 1);
  EXPECT_EQ(report->weighted_f1(), 1);
  EXPECT_EQ(report->macro_f1(), 1);
  EXPECT_THAT(Confusion(*report), ElementsAre(ElementsAre(3)));
}

TEST(ClassificationReportTest, EverythingWrong) {
  const auto report = ClassificationReport({0, 1}, {1, 0}, {"a", "b"});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->accuracy(), 0);
  EXPECT_EQ(report->micro_f1(), 0);
  EXPECT_EQ(report->weighted_f1(), 0);
  EXPECT_EQ(report->macro_f1(), 0);
}

TEST(ClassificationReportTest, ManyClassesHaveASparseConfusion) {
  std::vector<std::string> names;
  for (int c = 0; c < 100; ++c) names.push_back(absl::StrCat("class ", c));
  const std::vector<int64_t> labels = {3, 99, 3, 0, 99, 3}, predictions = {3, 0, 7, 0, 99, 7};
  const auto matrix = ClassificationReport(labels, predictions, names);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->confusion_size(), 100);
  EXPECT_FALSE(matrix->has_sparse_confusion());
  names.emplace_back("one more");
  const auto sparse = ClassificationReport(labels, predictions, names);
  ASSERT_TRUE(sparse.ok()) << sparse.status();
  EXPECT_EQ(sparse->confusion_size(), 0);
  std::vector<std::vector<int>> counts;
  for (const ConfusionCount& one : sparse->sparse_confusion().counts()) {
    counts.push_back({one.label(), one.predicted(), one.utterances()});
  }
  EXPECT_THAT(counts, ElementsAre(ElementsAre(0, 0, 1), ElementsAre(3, 3, 1), ElementsAre(3, 7, 2),
                                  ElementsAre(99, 0, 1), ElementsAre(99, 99, 1)));
  EXPECT_EQ(sparse->weighted_f1(), matrix->weighted_f1());
  EXPECT_EQ(sparse->macro_f1(), matrix->macro_f1());
  const std::vector<int64_t> predicted = PredictedCounts(*sparse);
  EXPECT_EQ(predicted[0], 2);
  EXPECT_EQ(predicted[7], 2);
  EXPECT_EQ(predicted[100], 0);
  EXPECT_EQ(PredictedCounts(*matrix), std::vector<int64_t>(predicted.begin(), predicted.end() - 1));
}

TEST(WeightedF1Test, EqualsTheReport) {
  const auto f1 = WeightedF1(kMeldLabels, kMeldPredictions, 7);
  ASSERT_TRUE(f1.ok()) << f1.status();
  EXPECT_NEAR(*f1, 0.7670580215118922, kTolerance);
}

F1Without Without(const std::vector<int64_t>& labels, const std::vector<int64_t>& predictions,
                  const std::vector<std::string>& names, const std::vector<std::string>& unscored) {
  const auto report = ClassificationReport(labels, predictions, names);
  EXPECT_TRUE(report.ok()) << report.status();
  return F1WithoutClasses(*report, unscored);
}

// f1_score(labels=[...], average=...): what is left out counts as a false positive of others, and
// a class that is asked for counts whether or not it occurs.
TEST(F1WithoutClassesTest, IsThatOfTheOtherClasses) {
  const std::vector<int64_t> labels = {0, 0, 1, 1, 2, 3}, predictions = {0, 1, 1, 2, 2, 0};
  const std::vector<std::string> names = {"neutral", "a", "b", "c", "d"};
  // True positives a 1, b 1; of a 2 utterances and 2 predictions, of b 1 and 2, of c 1 and none.
  const F1Without without = Without(labels, predictions, names, {"neutral"});
  EXPECT_THAT(without.classes(), ElementsAre("neutral"));
  EXPECT_NEAR(without.micro_f1(), 4.0 / (4 + 4), kTolerance);
  EXPECT_NEAR(without.macro_f1(), (0.5 + 2.0 / 3 + 0 + 0) / 4, kTolerance);
  EXPECT_NEAR(without.weighted_f1(), (2 * 0.5 + 2.0 / 3 + 0) / 4, kTolerance);
  // In the order of the data set, whatever the order in which they are named.
  const F1Without two = Without(labels, predictions, names, {"c", "neutral", "d"});
  EXPECT_THAT(two.classes(), ElementsAre("neutral", "c", "d"));
  EXPECT_NEAR(two.micro_f1(), 4.0 / (3 + 4), kTolerance);
  EXPECT_NEAR(two.macro_f1(), (0.5 + 2.0 / 3) / 2, kTolerance);
  // A class that nobody has and nobody predicts: 0 / 0 is 0.
  const F1Without nothing = Without(labels, predictions, names, {"neutral", "a", "b", "c"});
  EXPECT_EQ(nothing.micro_f1(), 0);
  EXPECT_EQ(nothing.macro_f1(), 0);
  EXPECT_EQ(nothing.weighted_f1(), 0);
}

TEST(F1WithoutClassesTest, OfUtterancesLikeMeldsWithoutNeutral) {
  // 26 of 40 are right, of 38 predictions.
  const F1Without without = Without(kMeldLabels, kMeldPredictions, kMeldNames, {"neutral"});
  EXPECT_NEAR(without.micro_f1(), 2.0 * 26 / (40 + 38), kTolerance);
  EXPECT_NEAR(without.macro_f1(), 0.4665286404416839, kTolerance);
  EXPECT_NEAR(without.weighted_f1(), 0.6316770186335404, kTolerance);
}

TEST(F1WithoutClassesTest, OfManyClassesItIsTheSame) {
  std::vector<std::string> names = kMeldNames;
  for (int c = 7; c < 150; ++c) names.push_back(absl::StrCat("class_", c));
  const F1Without without = Without(kMeldLabels, kMeldPredictions, names, {"neutral"});
  EXPECT_NEAR(without.micro_f1(), 2.0 * 26 / (40 + 38), kTolerance);
  EXPECT_NEAR(without.macro_f1(), 0.4665286404416839 * 6 / 149, kTolerance);
  EXPECT_NEAR(without.weighted_f1(), 0.6316770186335404, kTolerance);
}

struct BadInput {
  std::vector<int64_t> labels, predictions;
  std::string message;
};

class BadInputTest : public ::testing::TestWithParam<BadInput> {};

TEST_P(BadInputTest, IsInvalidArgument) {
  const BadInput& bad = GetParam();
  const std::vector<std::string> names = {"a", "b"};
  const auto report = ClassificationReport(bad.labels, bad.predictions, names);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr(bad.message));
  EXPECT_EQ(WeightedF1(bad.labels, bad.predictions, 2).status(), report.status());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadInputTest,
    ::testing::Values(BadInput{{}, {}, "0 utterances, want at least 1"},
                      BadInput{{0, 1}, {0}, "2 labels but 1 predictions"},
                      BadInput{{0, 2}, {0, 1}, "labels[1] = 2, want 0 <= class < 2"},
                      BadInput{{0, -1}, {0, 1}, "labels[1] = -1"},
                      BadInput{{0, 1}, {0, 2}, "predictions[1] = 2"},
                      BadInput{{0, 1}, {-7, 1}, "predictions[0] = -7"}));

}  // namespace
}  // namespace cmerc
