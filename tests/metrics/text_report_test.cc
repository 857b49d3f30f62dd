// The score tables are what sklearn.metrics.classification_report(digits=4, zero_division=0)
// printed, with `labels` the classes that occur and `target_names` their names.
#include "metrics/text_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "metrics/classification.h"

namespace cmerc {
namespace {

std::string Format(const std::vector<int64_t>& labels, const std::vector<int64_t>& predictions,
                   const std::vector<std::string>& names) {
  const auto report = ClassificationReport(labels, predictions, names);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? FormatSplitReport(*report) : "";
}

TEST(FormatSplitReportTest, ClassesWithoutSupport) {
  EXPECT_EQ(Format({0, 0, 0, 1, 1, 2, 2, 2, 2, 3}, {0, 0, 1, 1, 2, 2, 2, 2, 0, 4},
                   {"happy", "sad", "neutral", "angry", "excited", "frustrated"}),
            R"(              precision    recall  f1-score   support

       happy     0.6667    0.6667    0.6667         3
         sad     0.5000    0.5000    0.5000         2
     neutral     0.7500    0.7500    0.7500         4
       angry     0.0000    0.0000    0.0000         1
     excited     0.0000    0.0000    0.0000         0

    accuracy                         0.6000        10
   macro avg     0.3833    0.3833    0.3833        10
weighted avg     0.6000    0.6000    0.6000        10

confusion matrix (row: true class, column: predicted class)
            happy  sad  neutral  angry  excited  frustrated
     happy      2    1        0      0        0           0
       sad      0    1        1      0        0           0
   neutral      1    0        3      0        0           0
     angry      0    0        0      0        1           0
   excited      0    0        0      0        0           0
frustrated      0    0        0      0        0           0
warning: "angry" is never predicted (1 of 10 utterances)
)");
}

TEST(FormatSplitReportTest, UtterancesWithoutALabelAreCounted) {
  const std::vector<std::string> names = {"joy", "anger"};
  SplitReport report = ClassificationReport({0, 1}, {0, 1}, names).value();
  const std::string whole = FormatSplitReport(report);
  report.mutable_unlabelled_utterances()->set_value(12);
  EXPECT_EQ(FormatSplitReport(report),
            whole + "12 utterances have no label: context, and in no score\n");
}

TEST(FormatSplitReportTest, NeverPredictedClasses) {
  const std::string text =
      Format({0, 0, 3, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 3, 6, 1, 0, 6, 0, 5, 0, 0, 0, 0,
              4, 0, 2, 3, 0, 1, 0, 0, 0, 3, 0, 0, 2, 0, 0, 4, 4, 0, 1, 1, 6, 4, 0, 6, 0, 0, 4,
              0, 1, 0, 3, 4, 1, 6, 0, 4, 2, 1, 0, 4, 6, 1, 3, 0, 4, 3, 6, 4, 0, 0, 3, 0, 0},
             {0, 0, 3, 0, 1, 0, 0, 1, 0, 4, 0, 0, 0, 6, 0, 0, 3, 6, 1, 0, 6, 0, 0, 0, 0, 4, 0,
              3, 0, 4, 4, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 4, 4, 0, 3, 1, 6, 4, 0, 6, 6, 0, 4,
              0, 1, 0, 3, 0, 1, 1, 0, 4, 0, 1, 0, 0, 6, 1, 1, 0, 4, 6, 4, 4, 0, 0, 3, 0, 0},
             {"neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"});
  EXPECT_THAT(text, ::testing::StartsWith(R"(              precision    recall  f1-score   support

     neutral     0.8810    0.9250    0.9024        40
    surprise     0.8182    0.9000    0.8571        10
        fear     0.0000    0.0000    0.0000         3
     sadness     0.7143    0.6250    0.6667         8
         joy     0.5833    0.6364    0.6087        11
     disgust     0.0000    0.0000    0.0000         1
       anger     0.6250    0.7143    0.6667         7

    accuracy                         0.7875        80
   macro avg     0.5174    0.5429    0.5288        80
weighted avg     0.7491    0.7875    0.7671        80

)"));
  EXPECT_THAT(
      text, ::testing::EndsWith("warning: \"fear\" is never predicted (3 of 80 utterances)\n"
                                "warning: \"disgust\" is never predicted (1 of 80 utterances)\n"));
}

TEST(FormatSplitReportTest, LongAndNonAsciiNamesLineUp) {
  EXPECT_EQ(Format({0, 1, 2}, {0, 0, 2}, {"ok", "a class with a long name", "été"}),
            R"(                          precision    recall  f1-score   support

                      ok     0.5000    1.0000    0.6667         1
a class with a long name     0.0000    0.0000    0.0000         1
                     été     1.0000    1.0000    1.0000         1

                accuracy                         0.6667         3
               macro avg     0.5000    0.6667    0.5556         3
            weighted avg     0.5000    0.6667    0.5556         3

confusion matrix (row: true class, column: predicted class)
                          ok  a class with a long name  été
                      ok   1                         0    0
a class with a long name   1                         0    0
                     été   0                         0    1
warning: "a class with a long name" is never predicted (1 of 3 utterances)
)");
}

TEST(FormatSplitReportTest, SingleClass) {
  EXPECT_EQ(Format({0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {"only"}),
            R"(              precision    recall  f1-score   support

        only     1.0000    1.0000    1.0000         5

    accuracy                         1.0000         5
   macro avg     1.0000    1.0000    1.0000         5
weighted avg     1.0000    1.0000    1.0000         5

confusion matrix (row: true class, column: predicted class)
      only
only     5
)");
}

TEST(FormatSplitReportTest, OfManyClassesTheLargestConfusions) {
  std::vector<std::string> names;
  for (int c = 0; c < 102; ++c) names.push_back(absl::StrCat("c", c));
  const std::string text = Format({5, 5, 5, 7, 7, 101, 4, 4}, {6, 6, 5, 5, 5, 101, 4, 5}, names);
  EXPECT_THAT(text, ::testing::EndsWith(R"(
the largest confusions (3 of 3)
true class  utterances  predicted class
        c5           2  c6
        c7           2  c5
        c4           1  c5
warning: 1 of 4 classes that occur are never predicted (2 of 8 utterances)
)"));
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("confusion matrix")));
  EXPECT_THAT(Format({5, 6}, {5, 6}, names), ::testing::Not(::testing::HasSubstr("confusions")));
}

// Of those, at most 20.
TEST(FormatSplitReportTest, OfManyConfusionsTheFirst) {
  std::vector<std::string> names;
  std::vector<int64_t> labels, predictions;
  for (int c = 0; c < 101; ++c) {
    names.push_back(absl::StrCat("c", c));
    labels.push_back(c);
    predictions.push_back((c + 1) % 101);
  }
  const std::string text = Format(labels, predictions, names);
  EXPECT_THAT(text, ::testing::HasSubstr("the largest confusions (20 of 101)\n"));
  EXPECT_THAT(text, ::testing::EndsWith("       c19           1  c20\n"));
}

// A report read from elsewhere must not crash the program.
TEST(FormatSplitReportTest, EmptyAndInconsistentReports) {
  EXPECT_THAT(FormatSplitReport(SplitReport()), ::testing::HasSubstr("accuracy"));
  SplitReport report;
  report.add_classes()->set_name("a");
  report.add_confusion()->add_predicted(1);
  report.mutable_confusion(0)->add_predicted(2);
  report.add_confusion();
  EXPECT_THAT(FormatSplitReport(report), ::testing::EndsWith("   a\na  1\n"));
  ConfusionCount* count = report.mutable_sparse_confusion()->add_counts();
  count->set_predicted(7);
  count->set_utterances(2);
  EXPECT_THAT(FormatSplitReport(report), ::testing::HasSubstr("accuracy"));
}

CalibrationReport Calibration(double ece, double nll, double brier, double e_aurc) {
  CalibrationReport report;
  report.set_ece(ece);
  report.set_nll(nll);
  report.set_brier(brier);
  report.set_e_aurc(e_aurc);
  return report;
}

void AddRemedy(SplitReport* report, const std::string& method,
               const std::vector<double>& parameters, const CalibrationReport& calibration) {
  PostHocReport* remedy = report->add_post_hoc();
  remedy->set_method(method);
  remedy->mutable_parameters()->Add(parameters.begin(), parameters.end());
  *remedy->mutable_calibration() = calibration;
}

TEST(FormatCalibrationTest, ARowPerRemedy) {
  SplitReport report;
  EXPECT_EQ(FormatCalibration(report), "");
  *report.mutable_calibration() = Calibration(0.12345, 1.5, 0.75, 0.0625);
  report.mutable_calibration()->mutable_ece_error()->set_value(0.0125);
  report.mutable_calibration()->mutable_ece_floor()->set_value(0.03);
  AddRemedy(&report, "temperature", {1.6958806}, Calibration(0.03, 1.25, 0.7, 0.06));
  AddRemedy(&report, "classwise_temperature", {1.5, 2}, Calibration(0.04, 12.25, 0.71, 0.07));
  EXPECT_EQ(FormatCalibration(report),
            R"(calibration                  ECE     error     floor       NLL     Brier    E-AURC
as predicted              0.1235    0.0125    0.0300    1.5000    0.7500    0.0625
temperature 1.696         0.0300         -         -    1.2500    0.7000    0.0600
classwise temperature     0.0400         -         -   12.2500    0.7100    0.0700
error: standard error of the ECE over conversations; floor: the mean ECE of a perfectly calibrated model with these confidences
)");
}

void AddView(SplitReport* report, const std::string& name, double share) {
  ViewReport* view = report->add_views();
  view->set_view(name);
  view->set_share_surer_without(share);
}

TEST(FormatComparisonTest, SideBySide) {
  RunSummary calibrated, uncalibrated;
  calibrated.mutable_test()->set_weighted_f1(0.6412345);
  calibrated.mutable_test()->set_macro_f1(0.5);
  calibrated.mutable_test()->set_accuracy(0.65);
  AddView(calibrated.mutable_test(), "text", 0.125);
  AddView(calibrated.mutable_test(), "same_speaker", 0.18);
  uncalibrated.mutable_test()->set_weighted_f1(0.63);
  uncalibrated.mutable_test()->set_macro_f1(0.49);
  uncalibrated.mutable_test()->set_accuracy(0.64);
  AddView(uncalibrated.mutable_test(), "same_speaker", 0.39);
  AddView(uncalibrated.mutable_test(), "audio", 0.4);
  EXPECT_EQ(FormatComparison(calibrated, uncalibrated),
            R"(test split                  calibrated  uncalibrated
weighted F1                     0.6412        0.6300
macro F1                        0.5000        0.4900
accuracy                        0.6500        0.6400
surer without text              0.1250             -
surer without same_speaker      0.1800        0.3900
surer without audio                  -        0.4000
)");
}

void AddEvidence(ViewReport* view, double right, double vrr, double weighted_f1, double ece) {
  view->mutable_evidence()->mutable_share_of_right()->set_value(right);
  view->mutable_evidence()->set_violating_ranking_rate(vrr);
  view->mutable_evidence()->set_weighted_f1(weighted_f1);
  *view->mutable_calibration() = Calibration(ece, 1.5, 0, 0);
}

TEST(FormatComparisonTest, MeansOverTheViewsWhereAllHaveThem) {
  RunSummary calibrated, uncalibrated;
  AddView(calibrated.mutable_test(), "text", 0.125);
  AddView(calibrated.mutable_test(), "audio", 0.25);
  AddEvidence(calibrated.mutable_test()->mutable_views(0), 0.01, 0.125, 0.5, 0.05);
  AddEvidence(calibrated.mutable_test()->mutable_views(1), 0.02, 0.375, 0.6, 0.08);
  AddView(uncalibrated.mutable_test(), "text", 0.375);
  AddView(uncalibrated.mutable_test(), "audio", 0.5);
  AddEvidence(uncalibrated.mutable_test()->mutable_views(0), 0.4, 0.5, 0.55, 0.1);
  AddEvidence(uncalibrated.mutable_test()->mutable_views(1), 0.5, 0.25, 0.6, 0.15);
  uncalibrated.mutable_test()->mutable_views(1)->mutable_evidence()->clear_share_of_right();
  EXPECT_THAT(FormatComparison(calibrated, uncalibrated), ::testing::EndsWith(R"(
surer without text                 0.1250        0.3750
surer without audio                0.2500        0.5000
mean over views, surer, right      0.0150             -
mean over views, VRR               0.2500        0.3750
mean over views, weighted F1       0.5500        0.5750
mean over views, ECE               0.0650        0.1250
)"));
}

TEST(FormatComparisonTest, CalibrationWhereARunHasIt) {
  RunSummary calibrated, uncalibrated;
  *calibrated.mutable_test()->mutable_calibration() = Calibration(0.1, 1.5, 0, 0);
  *uncalibrated.mutable_test()->mutable_calibration() = Calibration(0.2, 1.75, 0, 0);
  AddRemedy(uncalibrated.mutable_test(), "temperature", {2}, Calibration(0.05, 1.25, 0, 0));
  EXPECT_THAT(FormatComparison(calibrated, uncalibrated), ::testing::EndsWith(R"(
ECE                   0.1000        0.2000
ECE, temperature           -        0.0500
NLL                   1.5000        1.7500
NLL, temperature           -        1.2500
)"));
  calibrated.mutable_test()->mutable_calibration()->mutable_ece_error()->set_value(0.01);
  calibrated.mutable_test()->mutable_calibration()->mutable_ece_floor()->set_value(0.03);
  uncalibrated.add_warnings("doubtful");
  EXPECT_THAT(FormatComparison(calibrated, uncalibrated), ::testing::EndsWith(R"(
ECE                   0.1000        0.2000
ECE, temperature           -        0.0500
ECE's error           0.0100             -
ECE's floor           0.0300             -
NLL                   1.5000        1.7500
NLL, temperature           -        1.2500
warning: uncalibrated: doubtful
)"));
}

}  // namespace
}  // namespace cmerc
