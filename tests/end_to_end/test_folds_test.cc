// Leave one session out: every test fold of an experiment, scored together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "experiment/test_predictions.h"
#include "metrics/classification.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/experiments.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

// Two variants of which each conversation of 20, 9 and 2 is tested on once.
std::string FoldedPlan(const std::string& more = "") {
  return absl::StrReplaceAll(
      Plan(R"pb(
        variants { name: "plain" }
        variants {
          name: "longer"
          baseline: "plain"
          set { training { epochs: 2 learning_rate: 0.01 } }
        }
        seeds: 7
      )pb"),
      {{" data {", absl::StrCat(" data { test_folds: 3 unscored_classes: 'class_0' ", more)},
       {"train_conversations: 4", "train_conversations: 20"},
       {"valid_conversations: 1", "valid_conversations: 9"}});
}

TEST(TestFoldsTest, EveryConversationIsTestedOnOnceAndAllAreScoredTogether) {
  const Ran ran = RunPlan(NewFolder(), FoldedPlan());
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_THAT(ran.outcome.out,
              AllOf(HasSubstr("6 runs in out/tiny\n"), HasSubstr("plain/seed-7-test-0: begins"),
                    HasSubstr("longer/seed-7-test-2: weighted F1 ")));
  ASSERT_EQ(ran.results.rows_size(), 2);
  for (const ExperimentRow& row : ran.results.rows()) {
    EXPECT_EQ(row.test_folds().value(), 3);
    std::vector<int64_t> labels, predicted;
    std::set<std::string> ids;
    size_t conversations = 0;
    double mean = 0;
    for (int fold = 0; fold < 3; ++fold) {
      const std::string folder =
          absl::StrCat(ran.folder, "/out/tiny/", row.variant(), "/seed-7-test-", fold);
      const auto read = ReadTestPredictions(folder + "/test_predictions.jsonl",
                                            {"class_0", "class_1", "class_2"});
      ASSERT_TRUE(read.ok()) << read.status();
      ids.insert(read->ids.begin(), read->ids.end());
      conversations += read->ids.size();
      labels.insert(labels.end(), read->labels.begin(), read->labels.end());
      predicted.insert(predicted.end(), read->predicted.begin(), read->predicted.end());
      const RunSummary summary = ReadSummary(folder);
      mean += summary.test().weighted_f1() / 3;
      EXPECT_EQ(summary.protocol(),
                absl::StrCat("HELD_OUT (the validation split selects the epoch; test fold ", fold,
                             " of 3)"));
      EXPECT_EQ(summary.train().conversations() + summary.valid().conversations() +
                    summary.test().conversations(),
                31);
    }
    EXPECT_EQ(conversations, 31u);
    EXPECT_THAT(ids, SizeIs(31));
    const std::vector<std::string> names = {"class_0", "class_1", "class_2"};
    const auto report = ClassificationReport(labels, predicted, names);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(row.weighted_f1_of_seeds(0), report->weighted_f1());
    EXPECT_NE(row.weighted_f1_of_seeds(0), mean);
    const std::vector<std::string> unscored = {"class_0"};
    EXPECT_EQ(row.f1_without().micro_f1().mean(), F1WithoutClasses(*report, unscored).micro_f1());
  }
  const Comparison& comparison = ran.results.rows(1).comparison();
  EXPECT_EQ(comparison.seeds(), 1);
  EXPECT_EQ(comparison.over_conversations().conversations(), 31);
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results.md"),
              AllOf(HasSubstr("Test folds: each conversation is tested on once"),
                    HasSubstr("| - | longer | class_0 | ")));
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results.csv"),
              HasSubstr("\"base\",\"plain\",\"micro_f1_without\",1,"));
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results_runs.csv"), HasSubstr(",\"test_fold\","));
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results.tex"), HasSubstr("tab:f1-without"));
  EXPECT_EQ(RunCmerc({"report", "out/tiny", "--output=page.html"}, ran.folder).exit_code, 0);
  EXPECT_THAT(ReadFile(ran.folder + "/page.html"), HasSubstr("F1 over the other classes"));

  // A model is scored on the fold that it was not trained on.
  const Outcome evaluated = RunCmerc(
      {"evaluate", "--checkpoint=out/tiny/plain/seed-7-test-1/selected.pth", "--output=fold.json"},
      ran.folder);
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out,
              AllOf(HasSubstr("folds     test fold 1 of 3, conversation by conversation: one "
                              "recording session may be both trained and tested on"),
                    HasSubstr("F1 without class_0: micro ")));
  EXPECT_EQ(ReadEvaluation(ran.folder + "/fold.json").scores().weighted_f1(),
            ReadSummary(ran.folder + "/out/tiny/plain/seed-7-test-1").test().weighted_f1());
}

TEST(TestFoldsTest, GroupsAreTestedOnInTurn) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/plan.textproto", FoldedPlan("fold_group: '*_'"));
  const Outcome outcome =
      RunCmerc({"experiment", "--config=plan.textproto", "--output=out", "--dry_run"}, folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("longer/seed-7-test-2: to do\n6 runs in out"));
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  const Outcome trained = RunCmerc(
      {"train", "--config=tiny.textproto", "--output=run",
       "--set=data { test_folds: 3 test_fold: 1 fold_group: '*_' } training { epochs: 1 }"},
      folder);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(
      trained.out,
      AllOf(HasSubstr("train 2 conversations"), HasSubstr(", valid 1 ("), HasSubstr(", test 4 ("),
            HasSubstr("folds     test fold 1 of 3: tests on the groups train_, validates "
                      "on valid_\n")));
}

}  // namespace
}  // namespace cmerc
