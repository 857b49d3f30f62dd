// Test folds scored together: on made-up runs whose scores are known.
#include "experiment/test_folds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "metrics/calibration.h"
#include "metrics/classification.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Utterance {
  std::string truth;
  std::string label;
  double joy;         // probability
  double calibrated;  // of joy, after temperature scaling; below 0: there is none
};

std::string Line(const std::string& id, const std::vector<Utterance>& utterances) {
  std::string text;
  for (const Utterance& one : utterances) {
    absl::StrAppend(&text, text.empty() ? "" : ",", R"({"true_label":")", one.truth,
                    R"(","label":")", one.label, R"(","probabilities":{"joy":)", one.joy,
                    R"(,"sad":)", 1 - one.joy, "}");
    if (one.calibrated >= 0) {
      absl::StrAppend(&text, R"(,"calibrated_probabilities":{"joy":)", one.calibrated, R"(,"sad":)",
                      1 - one.calibrated, "}");
    }
    text += "}";
  }
  return absl::StrCat(R"({"id":")", id, R"(","utterances":[)", text, "]}\n");
}

std::string ViewLine(const std::string& id, const std::string& full, const std::string& without) {
  return absl::StrCat(R"({"id":")", id, R"(","logProbs":[)", full,
                      R"(],"without":[{"view":"text","logProbs":[)", without, "]}]}\n");
}

// A run of a fold with these files; its summary says the classes, and scores that pooling must not
// average.
FinishedRun Fold(int fold, uint64_t seed, const std::string& predictions,
                 const std::string& views) {
  FinishedRun run{"toy", "gru", false, seed, NewFolder(), {}, fold};
  WriteFile(run.folder + "/test_predictions.jsonl", predictions);
  WriteFile(run.folder + "/test_views.jsonl", views);
  run.summary.set_protocol(
      absl::StrCat("HELD_OUT (the validation split selects the epoch; test fold ", fold, " of 2)"));
  run.summary.mutable_valid()->set_weighted_f1(0.5 + 0.25 * fold);
  SplitReport* test = run.summary.mutable_test();
  test->set_weighted_f1(0.125);
  for (const char* name : {"sad", "joy"}) test->add_classes()->set_name(name);
  test->mutable_f1_without()->add_classes("sad");
  test->add_views()->set_view("text");
  return run;
}

PlannedRun Planned(uint64_t seed, int fold) {
  PlannedRun run{"toy", "gru", seed, {}, {}};
  run.test_fold = fold;
  return run;
}

// Two folds of one and two conversations.
std::vector<FinishedRun> TwoFolds(double calibrated = 0.75) {
  return {Fold(0, 7, Line("b", {{"joy", "joy", 0.875, calibrated}, {"sad", "joy", 0.75, 0.625}}),
               ViewLine("b", "-0.125,-1.5", "-0.25,-1")),
          Fold(1, 7,
               Line("a", {{"joy", "sad", 0.25, 0.375}}) + Line("c", {{"sad", "sad", 0.125, 0.25}}),
               ViewLine("a", "-1.25", "-1") + ViewLine("c", "-0.125", "-0.5"))};
}

TEST(PoolTestFoldsTest, ScoresArePooledAndNotAveraged) {
  TestFiles files;
  const auto pooled = PoolTestFolds({Planned(7, 0), Planned(7, 1)}, TwoFolds(), &files);
  ASSERT_TRUE(pooled.ok()) << pooled.status();
  EXPECT_THAT(pooled->remarks, IsEmpty());
  ASSERT_THAT(pooled->runs, SizeIs(1));
  const FinishedRun& run = pooled->runs[0];
  EXPECT_EQ(run.seed, 7u);
  EXPECT_THAT(run.fold_folders, SizeIs(2));
  EXPECT_EQ(run.summary.protocol(),
            "HELD_OUT (the validation split selects the epoch; 2 test folds scored together)");
  EXPECT_EQ(run.summary.valid().weighted_f1(), 0.625);

  // sad is class 0.
  const std::vector<int64_t> labels = {1, 0, 1, 0}, predicted = {1, 1, 0, 0}, lengths = {2, 1, 1};
  const std::vector<std::string> names = {"sad", "joy"};
  const auto expected = ClassificationReport(labels, predicted, names);
  ASSERT_TRUE(expected.ok());
  const SplitReport& test = run.summary.test();
  EXPECT_EQ(test.conversations(), 3);
  EXPECT_EQ(test.utterances(), 4);
  EXPECT_EQ(test.weighted_f1(), expected->weighted_f1());
  EXPECT_EQ(test.confusion(1).SerializeAsString(), expected->confusion(1).SerializeAsString());
  EXPECT_THAT(test.f1_without().classes(), ElementsAre("sad"));
  EXPECT_EQ(test.f1_without().micro_f1(), 0.5);
  const auto logs = [](const std::vector<double>& joy) {
    std::vector<double> rows;
    for (const double p : joy) rows.insert(rows.end(), {std::log(1 - p), std::log(p)});
    return rows;
  };
  const auto as_predicted =
      MeasureCalibration(logs({0.875, 0.75, 0.25, 0.125}), labels, 2, lengths);
  const auto scaled = MeasureCalibration(logs({0.75, 0.625, 0.375, 0.25}), labels, 2, lengths);
  ASSERT_TRUE(as_predicted.ok() && scaled.ok());
  EXPECT_EQ(test.calibration().SerializeAsString(), as_predicted->SerializeAsString());
  ASSERT_EQ(test.post_hoc_size(), 1);
  EXPECT_EQ(test.post_hoc(0).calibration().SerializeAsString(), scaled->SerializeAsString());
  ASSERT_EQ(test.views_size(), 1);
  EXPECT_EQ(test.views(0).share_surer_without(), 0.5);
  EXPECT_EQ(test.views(0).mean_log_prob_rise(), (-0.125 + 0.5 + 0.25 - 0.375) / 4);
}

TEST(PoolTestFoldsTest, WithoutATemperatureInEveryFoldNothingIsScaled) {
  TestFiles files;
  const auto pooled = PoolTestFolds({Planned(7, 0), Planned(7, 1)}, TwoFolds(-1), &files);
  ASSERT_TRUE(pooled.ok()) << pooled.status();
  EXPECT_EQ(pooled->runs[0].summary.test().post_hoc_size(), 0);
}

TEST(PoolTestFoldsTest, ASeedWithoutAllOfItsFoldsIsLeftOut) {
  std::vector<FinishedRun> finished = TwoFolds();
  finished.push_back(finished[0]);
  finished[2].seed = 8;
  FinishedRun plain{"toy", "plain", false, 7, "nowhere", {}};
  finished.insert(finished.begin(), plain);
  TestFiles files;
  const auto pooled = PoolTestFolds({PlannedRun{"toy", "plain", 7, {}, {}}, Planned(7, 0),
                                     Planned(7, 1), Planned(8, 0), Planned(8, 1)},
                                    finished, &files);
  ASSERT_TRUE(pooled.ok()) << pooled.status();
  ASSERT_THAT(pooled->runs, SizeIs(2));
  EXPECT_EQ(pooled->runs[0].folder, "nowhere");
  EXPECT_EQ(pooled->runs[1].seed, 7u);
  EXPECT_THAT(pooled->remarks,
              ElementsAre("toy/gru: seed 8 is left out: 1 of its 2 test folds have finished"));
}

TEST(PoolTestFoldsTest, WhatCannotBeReadIsSaid) {
  std::vector<FinishedRun> finished = TwoFolds();
  WriteFile(finished[1].folder + "/test_predictions.jsonl", "{\"id\":\"a\",\n");
  TestFiles files;
  const auto unreadable = PoolTestFolds({Planned(7, 0), Planned(7, 1)}, finished, &files);
  EXPECT_EQ(unreadable.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(unreadable.status().message()),
              HasSubstr(finished[1].folder + "/test_predictions.jsonl:1: "));

  finished = TwoFolds();
  finished[1].summary.mutable_test()->mutable_classes(0)->set_name("calm");
  const auto others = PoolTestFolds({Planned(7, 0), Planned(7, 1)}, finished, &files);
  EXPECT_EQ(others.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(others.status().message()),
              HasSubstr("its classes are not those of the first test fold"));

  finished = TwoFolds();
  for (FinishedRun& run : finished) WriteFile(run.folder + "/test_predictions.jsonl", "");
  const auto empty = PoolTestFolds({Planned(7, 0), Planned(7, 1)}, finished, &files);
  EXPECT_EQ(empty.status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cmerc
