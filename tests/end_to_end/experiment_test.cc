// `cmerc experiment`: every run of a plan, none twice, and what its tables say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "experiment/results.pb.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/experiments.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(ExperimentTest, WarnsOfAFormerNameInAPlan) {
  const Ran ran = RunPlan(NewFolder(), Plan(R"pb(
                            variants {
                              name: "small"
                              set {
                                training { epochs: 1 }
                                backbone {
                                  [type.googleapis.com/cmerc.GruOptions] { hidden_size: 4 }
                                }
                              }
                            }
                          )pb"));
  EXPECT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_THAT(ran.outcome.err, AllOf(HasSubstr("warning: plan.textproto:"),
                                     HasSubstr("hidden_size"), HasSubstr("hidden_width")));
  EXPECT_EQ(ran.results.rows_size(), 1);
}

TEST(ExperimentTest, RunsEveryVariantWithEverySeed) {
  const Ran ran = RunPlan(NewFolder(), FourRuns());
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_THAT(ran.outcome.out,
              AllOf(StartsWith("4 runs in out/tiny\nplain/seed-7: begins; its log is "),
                    HasSubstr("\n[4/4] "), HasSubstr("/seed-8: weighted F1 "),
                    HasSubstr("| - | calibrated | HELD_OUT | 2 | ")));
  std::vector<std::string> rows;
  for (const ExperimentRow& row : ran.results.rows()) rows.push_back(row.variant());
  EXPECT_THAT(rows, ElementsAre("plain", "calibrated, uncalibrated", "calibrated"));

  const ExperimentRow& plain = ran.results.rows(0);
  const ExperimentRow& calibrated = ran.results.rows(2);
  std::vector<double> differences;
  for (const int i : {0, 1}) {
    const std::string seed = absl::StrCat("/seed-", 7 + i);
    const RunSummary of_plain = ReadSummary(ran.folder + "/out/tiny/plain" + seed);
    const RunSummary of_calibrated = ReadSummary(ran.folder + "/out/tiny/calibrated" + seed);
    EXPECT_EQ(of_plain.seed(), 7u + i);
    EXPECT_EQ(plain.weighted_f1_of_seeds(i), of_plain.test().weighted_f1());
    EXPECT_EQ(calibrated.weighted_f1_of_seeds(i), of_calibrated.test().weighted_f1());
    EXPECT_EQ(ReadMetrics(ran.folder + "/out/tiny/calibrated" + seed).size(), 2u);
    differences.push_back(of_calibrated.test().weighted_f1() - of_plain.test().weighted_f1());
  }
  EXPECT_EQ(calibrated.comparison().baseline(), "plain");
  EXPECT_EQ(calibrated.comparison().seeds(), 2);
  // One rounding each of a sum and a quotient of numbers below 1.
  EXPECT_NEAR(calibrated.comparison().difference().mean(), (differences[0] + differences[1]) / 2,
              1e-15);
  const ConversationComparison& over = calibrated.comparison().over_conversations();
  EXPECT_GT(over.p_value(), 0);
  EXPECT_LE(over.p_value(), 1);
  // The only comparison.
  EXPECT_EQ(over.p_value_holm(), over.p_value());
  EXPECT_EQ(calibrated.comparison().p_value_holm(), calibrated.comparison().p_value());
  // Interval and difference are of the same number.
  EXPECT_NEAR((over.low().value() + over.high().value()) / 2,
              calibrated.comparison().difference().mean(), 1e-12);
  EXPECT_LE(calibrated.weighted_f1().low().value(), calibrated.weighted_f1().mean());
  const RunSummary one = ReadSummary(ran.folder + "/out/tiny/calibrated/seed-7");
  const RunSummary other = ReadSummary(ran.folder + "/out/tiny/calibrated/seed-8");
  EXPECT_EQ(over.conversations(), one.test().conversations());
  EXPECT_EQ(over.utterances(), one.test().utterances());
  EXPECT_NEAR(calibrated.calibration().ece_floor().mean(),
              (one.test().calibration().ece_floor().value() +
               other.test().calibration().ece_floor().value()) /
                  2,
              1e-15);
  EXPECT_NEAR(calibrated.calibration().ece().mean(),
              (one.test().calibration().ece() + other.test().calibration().ece()) / 2, 1e-15);
  EXPECT_NEAR(
      calibrated.calibration_scaled().nll().mean(),
      (one.test().post_hoc(0).calibration().nll() + other.test().post_hoc(0).calibration().nll()) /
          2,
      1e-15);
  EXPECT_NEAR(calibrated.views(0).share_surer_without_scaled().mean(),
              (one.test().post_hoc(0).share_surer_without(0) +
               other.test().post_hoc(0).share_surer_without(0)) /
                  2,
              1e-15);
  EXPECT_EQ(calibrated.views_size(), 5);
  EXPECT_FALSE(plain.has_comparison());
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results.md"),
              HasSubstr("| - | plain | HELD_OUT | 2 | "));
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results.csv"),
              AllOf(HasSubstr("\"base\",\"calibrated, uncalibrated\",\"weighted_f1\",2,"),
                    HasSubstr("\"HELD_OUT\",\"calibrated\",false\n"),
                    HasSubstr("\"HELD_OUT\",\"calibrated\",true\n")));
}

// Scores that mean different things have no difference, and one run has no interval.
TEST(ExperimentTest, WhatMayNotBeComparedIsNot) {
  const Ran ran = RunPlan(NewFolder(), Plan(R"pb(
                            variants { name: "plain" }
                            variants {
                              name: "official"
                              baseline: "plain"
                              set { data { protocol: OFFICIAL } }
                            }
                            variants {
                              name: "four"
                              baseline: "plain"
                              set {
                                data {
                                  dataset {
                                    [type.googleapis.com/cmerc.SyntheticOptions] { num_classes: 4 }
                                  }
                                }
                              }
                            }
                            variants {
                              name: "others"
                              baseline: "plain"
                              set {
                                data {
                                  dataset {
                                    [type.googleapis.com/cmerc.SyntheticOptions] { seed: 5 }
                                  }
                                }
                              }
                            }
                            seeds: 3
                          )pb"));
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_THAT(
      ran.results.remarks(),
      ElementsAre("official: not compared with plain: one was scored under OFFICIAL, the other "
                  "under HELD_OUT",
                  "four: not compared with plain: their classes differ",
                  "others: compared with plain over seeds alone: their test splits are not the "
                  "same utterances"));
  ASSERT_EQ(ran.results.rows_size(), 4);
  EXPECT_FALSE(ran.results.rows(1).has_comparison());
  EXPECT_FALSE(ran.results.rows(2).has_comparison());
  EXPECT_TRUE(ran.results.rows(3).has_comparison());
  EXPECT_FALSE(ran.results.rows(0).weighted_f1().has_low());
  EXPECT_THAT(ran.outcome.out,
              AllOf(HasSubstr("| - | official | OFFICIAL | 1 | "),
                    HasSubstr("official: not compared with plain: one was scored under OFFICIAL"),
                    HasSubstr("OFFICIAL: the test set selected the epoch")));
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/results.csv"),
              AllOf(HasSubstr("\"base\",\"official\",\"weighted_f1\",1,"),
                    HasSubstr(",,,,\"OFFICIAL\","), HasSubstr(",,,,\"HELD_OUT\",")));
}

TEST(ExperimentTest, EverySeedHasItsFold) {
  const Ran ran = RunPlan(NewFolder(), Plan("variants { name: 'v' set { data { folds: 2 } training "
                                            "{ epochs: 1 } } } seeds: 4 seeds: 5"));
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  int valid = 0;
  for (const int seed : {4, 5}) {
    const std::string run = absl::StrCat(ran.folder, "/out/tiny/v/seed-", seed);
    EXPECT_THAT(ReadFile(run + "/config.textproto"),
                HasSubstr(absl::StrCat("fold: ", seed - 4, "\n")));
    valid += ReadSummary(run).valid().conversations();
  }
  // Together the folds validate on every conversation that the last one trains or validates on.
  const RunSummary last = ReadSummary(ran.folder + "/out/tiny/v/seed-5");
  EXPECT_EQ(valid, last.train().conversations() + last.valid().conversations());
}

TEST(ExperimentTest, FinishedRunsAreNotRepeated) {
  const std::string folder = NewFolder();
  const Ran first = RunPlan(folder, FourRuns());
  ASSERT_EQ(first.outcome.exit_code, 0) << first.outcome.err;
  // The folder now looks as if the experiment had been killed during one run.
  std::filesystem::remove(folder + "/out/tiny/plain/seed-8/finished.txt");
  WriteFile(folder + "/out/tiny/plain/seed-7/train.log", "untouched");
  const Ran second = RunPlan(folder, FourRuns());
  ASSERT_EQ(second.outcome.exit_code, 0) << second.outcome.err;
  EXPECT_THAT(second.outcome.out,
              AllOf(HasSubstr("3 runs were finished already\n"), HasSubstr("] plain/seed-8: "),
                    Not(HasSubstr("] plain/seed-7: "))));
  EXPECT_EQ(ReadFile(folder + "/out/tiny/plain/seed-7/train.log"), "untouched");
  EXPECT_EQ(second.results.SerializeAsString(), first.results.SerializeAsString());
}

// Runs of earlier versions have no predictions.
TEST(ExperimentTest, WithoutPredictionsThereIsNoTestOverConversations) {
  const std::string folder = NewFolder();
  const Ran first = RunPlan(folder, FourRuns());
  ASSERT_EQ(first.outcome.exit_code, 0) << first.outcome.err;
  const std::string file = folder + "/out/tiny/plain/seed-7/test_predictions.jsonl";
  std::filesystem::remove(file);
  const Ran second = RunPlan(folder, FourRuns());
  ASSERT_EQ(second.outcome.exit_code, 0) << second.outcome.err;
  EXPECT_TRUE(first.results.rows(2).comparison().has_over_conversations());
  EXPECT_EQ(first.results.remarks_size(), 0);
  EXPECT_TRUE(second.results.rows(2).has_comparison());
  EXPECT_FALSE(second.results.rows(2).comparison().has_over_conversations());
  EXPECT_THAT(second.results.remarks(),
              ElementsAre("calibrated: compared with plain over seeds alone: a run has no "
                          "test_predictions.jsonl"));
  WriteFile(file, "{\"id\":\"c\",\"labels\":[0],\"predicted\":[9],\"probabilities\":[[1,0]]}\n");
  const Ran third = RunPlan(folder, FourRuns());
  EXPECT_EQ(third.outcome.exit_code, 1);
  EXPECT_THAT(third.outcome.err, HasSubstr("test_predictions.jsonl:1: cannot be read"));
}

TEST(ExperimentTest, AChangedConfigIsAnotherRun) {
  const std::string folder = NewFolder();
  ASSERT_EQ(RunPlan(folder, Plan("seeds: 1")).outcome.exit_code, 0);
  const Ran changed = RunPlan(folder, Plan("variants { name: 'v' } seeds: 1"));
  EXPECT_THAT(changed.outcome.out, HasSubstr("[1/1] v/seed-1: "));
  const Ran again = RunPlan(folder, Plan("seeds: 1 parallel_runs: 1"));
  EXPECT_THAT(again.outcome.out, HasSubstr("1 runs were finished already"));
  const Ran wider =
      RunPlan(folder, Plan("variants { name: 'v' set { training { batch_size: 1 } } } "
                           "seeds: 1"));
  EXPECT_THAT(wider.outcome.out, HasSubstr("[1/1] v/seed-1: "));
}

// A file that changes under the same name is other data.
TEST(ExperimentTest, ChangedDataAreAnotherRun) {
  const std::string folder = NewFolder();
  const std::string plan = Plan(
      "variants { name: 'pickle' set { data { dataset { "
      "[type.googleapis.com/cmerc.OfficialPicklesOptions] { roberta_file: 'tiny.pkl' } } } "
      "training { epochs: 1 } } } seeds: 1");
  TinyCorpus corpus;
  WriteFile(folder + "/tiny.pkl", PickleOf(corpus));
  const Ran first = RunPlan(folder, plan);
  ASSERT_EQ(first.outcome.exit_code, 0) << first.outcome.out << first.outcome.err;
  EXPECT_THAT(RunPlan(folder, plan).outcome.out, HasSubstr("1 runs were finished already"));
  corpus.conversations[0].text[0][0] = 5;
  WriteFile(folder + "/tiny.pkl", PickleOf(corpus));
  EXPECT_THAT(RunPlan(folder, plan).outcome.out, HasSubstr("[1/1] pickle/seed-1: "));
}

TEST(ExperimentTest, AFailedRunDoesNotStopTheOthers) {
  const Ran ran = RunPlan(NewFolder(), Plan(R"pb(
                            variants {
                              name: "diverges"
                              set { training { epochs: 3 learning_rate: 1e30 } }
                            }
                            variants { name: "works" }
                            seeds: 1
                          )pb"));
  EXPECT_EQ(ran.outcome.exit_code, 1);
  EXPECT_THAT(ran.outcome.err, HasSubstr("1 of 2 runs failed"));
  EXPECT_THAT(ran.outcome.out, HasSubstr("diverges/seed-1: failed with exit status 1: epoch "));
  ASSERT_EQ(ran.results.rows_size(), 1);
  EXPECT_EQ(ran.results.rows(0).variant(), "works");
  ASSERT_EQ(ran.results.failed_runs_size(), 1);
  EXPECT_THAT(ran.results.failed_runs(0), StartsWith("diverges/seed-1: failed with exit status 1"));
}

TEST(ExperimentTest, ThePlansThatComeWithItAreValid) {
  const std::string folder = NewFolder();
  // Reached only when every run's config is valid.
  WriteFile(folder + "/a_file", "");
  int plans = 0;
  for (const auto& entry : std::filesystem::directory_iterator("config/experiments")) {
    const Outcome outcome = RunCmerc(
        {"experiment", "--config", std::filesystem::absolute(entry.path()), "--output=a_file/out"},
        folder);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("--output=a_file/out: cannot create"));
    ++plans;
  }
  EXPECT_GE(plans, 1);
}

}  // namespace
}  // namespace cmerc
