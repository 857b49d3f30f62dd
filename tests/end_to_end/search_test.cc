// `cmerc experiment` of a plan that searches options, with real runs; and runs that are told to
// stop after some epochs.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "experiment/results.pb.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/experiments.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

SearchResults ReadSearch(const std::string& experiment) {
  SearchResults results;
  EXPECT_TRUE(
      google::protobuf::util::JsonStringToMessage(ReadFile(experiment + "/search.json"), &results)
          .ok());
  return results;
}

// Whether any trial below `folder` left what only a look at the test split leaves.
void ExpectThatNoTrialWasTested(const std::string& folder) {
  int trials = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = entry.path();
    if (!absl::StrContains(path, "/trial-")) continue;
    trials += entry.path().filename() == "metrics.jsonl" ? 1 : 0;
    EXPECT_THAT(entry.path().filename().string(),
                Not(testing::AnyOf(StartsWith("test_"), "summary.json")));
  }
  EXPECT_GT(trials, 0);
}

TEST(SearchTest, ThePlanThatComesWithItChoosesOptionsAndRunsThem) {
  const std::string folder = NewFolder();
  const std::vector<std::string> command = {
      "experiment", "--config",
      std::filesystem::absolute("config/experiments/search_quickstart.textproto"), "--output=out"};
  const Outcome outcome = RunCmerc(command, folder);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(StartsWith("4 runs in out\nsearch, round 1 of 2: 8 runs up to 1/2 of their "
                               "epochs\ngru/trial-1/seed-1: begins; its log is "),
                    HasSubstr("search, round 2 of 2: 4 runs up to the end of their epochs\n"),
                    HasSubstr("Chosen by the search (all trials: out/search.md):"),
                    HasSubstr("| - | mmgcn | HELD_OUT | 2 | ")));
  ExpectThatNoTrialWasTested(folder + "/out");
  const SearchResults search = ReadSearch(folder + "/out");
  ASSERT_EQ(search.searches_size(), 2);
  for (const SearchedVariant& one : search.searches()) {
    ASSERT_EQ(one.trials_size(), 4);
    const SearchedTrial& best = one.trials(0);
    EXPECT_EQ(best.trial(), one.chosen().value());
    ASSERT_EQ(best.scores_size(), 2);
    EXPECT_EQ(best.scores(1).epochs(), 6);
    EXPECT_EQ(one.trials(3).dropped_after().value(), 3);
    for (const int seed : {1, 2}) {
      const std::string config = ReadFile(
          absl::StrCat(folder, "/out/", one.variant(), "/seed-", seed, "/config.textproto"));
      for (const DrawnOption& option : best.options()) {
        const std::string name = option.path().substr(option.path().find('.') + 1);
        EXPECT_THAT(config, HasSubstr(absl::StrCat(name, ": ", option.value(), "\n")))
            << option.path();
      }
    }
    // The score of the search is the best of the trial's epochs on the validation split.
    double highest = 0;
    for (const EpochReport& epoch : ReadMetrics(
             absl::StrCat(folder, "/out/", one.variant(), "/trial-", best.trial(), "/seed-1"))) {
      highest = std::max(highest, epoch.valid().weighted_f1());
    }
    EXPECT_EQ(best.scores(1).score(), highest);
  }
  const std::string before = ReadFile(folder + "/out/search.json");
  const Outcome again = RunCmerc(command, folder);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, Not(HasSubstr("begins")));
  EXPECT_THAT(again.out, HasSubstr("8 runs were finished already"));
  EXPECT_EQ(ReadFile(folder + "/out/search.json"), before);
}

TEST(SearchTest, ATrialThatFailsIsRankedLastAndRepetitionsAreNotTrained) {
  const Ran ran = RunPlan(NewFolder(), Plan(R"pb(
                            search {
                              trials: 8
                              halvings: 0
                              draw { path: "training.learning_rate" choice: "1e-3" choice: "1e30" }
                            }
                          )pb"));
  EXPECT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_EQ(ran.results.rows_size(), 1);
  const SearchedVariant search = ReadSearch(ran.folder + "/out/tiny").searches(0);
  ASSERT_EQ(search.trials_size(), 8);
  EXPECT_EQ(search.trials(0).options(0).value(), "1e-3");
  EXPECT_EQ(search.chosen().value(), search.trials(0).trial());
  EXPECT_THAT(search.trials(1).failed().value(), StartsWith("failed with exit status 1: epoch 1"));
  std::set<int> others;
  for (int i = 2; i < 8; ++i) others.insert(search.trials(i).same_as().value());
  EXPECT_THAT(others, testing::IsSubsetOf({search.trials(0).trial(), search.trials(1).trial()}));
  EXPECT_THAT(ReadFile(ran.folder + "/out/tiny/search.md"),
              AllOf(HasSubstr("| chosen |"), HasSubstr("| failed: failed with exit status 1: "),
                    HasSubstr("| not trained: the options of trial ")));
}

TEST(SearchTest, VariantsTakeTheOptionsOfTheOneThatIsSearched) {
  const Ran ran = RunPlan(NewFolder(), Plan(R"pb(
                            variants { name: "plain" }
                            variants {
                              name: "calibrated"
                              baseline: "plain"
                              set { training { compare_uncalibrated: true } }
                            }
                            search {
                              trials: 2
                              halvings: 0
                              variant: "plain"
                              draw {
                                path: "training.learning_rate"
                                log_uniform { min: 1e-3 max: 1e-2 }
                              }
                            }
                          )pb"));
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  const SearchResults search = ReadSearch(ran.folder + "/out/tiny");
  ASSERT_EQ(search.searches_size(), 1);
  const std::string rate =
      absl::StrCat("learning_rate: ", search.searches(0).trials(0).options(0).value(), "\n");
  for (const char* variant : {"plain", "calibrated"}) {
    EXPECT_THAT(
        ReadFile(absl::StrCat(ran.folder, "/out/tiny/", variant, "/seed-1/config.textproto")),
        HasSubstr(rate));
  }
  EXPECT_FALSE(std::filesystem::exists(ran.folder + "/out/tiny/calibrated/trial-1"));
}

// Every part that is tested on has a search of its own, which has not seen it.
TEST(SearchTest, DryRunSaysWhichTrialsThereAre) {
  const std::string plan =
      absl::StrReplaceAll(Plan(R"pb(
                            search {
                              trials: 2
                              halvings: 1
                              training_seeds: 4
                              set { training { gradient_clip_norm: 1 } }
                              draw {
                                path: "training.batch_size"
                                uniform { min: 1 max: 100 }
                              }
                            }
                          )pb"),
                          {{" data {", " data { test_folds: 3 "}, {"epochs: 1", "epochs: 5"}});
  const Ran ran = RunPlan(NewFolder(), plan, {"--dry_run"});
  EXPECT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_THAT(ran.outcome.out, StartsWith("trial-1/seed-4-test-0: training.batch_size="));
  EXPECT_THAT(ran.outcome.out,
              AllOf(HasSubstr("\ntrial-2/seed-4-test-1: training.batch_size="),
                    HasSubstr(": compared after epochs 3, 5, to do\n"),
                    HasSubstr("\n6 runs of trials; with the options of the best of them:\n"),
                    HasSubstr("\nseed-1-test-2: to do\n3 runs in out/tiny: ")));
  EXPECT_FALSE(std::filesystem::exists(ran.folder + "/out"));
}

TEST(SearchTest, OneThatIsStoppedGoesOn) {
  const std::string plan = absl::StrReplaceAll(Plan(R"pb(
                                                 search {
                                                   trials: 4
                                                   halvings: 1
                                                   draw {
                                                     path: "training.learning_rate"
                                                     log_uniform { min: 1e-3 max: 1e-1 }
                                                   }
                                                 }
                                                 parallel_runs: 1
                                               )pb"),
                                               {{"epochs: 1", "epochs: 2"}});
  const std::string folder = NewFolder();
  WriteFile(folder + "/plan.textproto", plan);
  const std::string fifo = NewFolder() + "/out";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  Surroundings surroundings;
  surroundings.standard_output = fifo;
  RunningProgram program("bin/cmerc",
                         {"experiment", "--config=plan.textproto", "--output=out/tiny"}, folder,
                         surroundings);
  std::ifstream out(fifo);
  std::string line;
  while (std::getline(out, line) && !absl::StartsWith(line, "[2/4] ")) {
  }
  kill(program.pid(), SIGTERM);
  while (std::getline(out, line)) {
  }
  EXPECT_EQ(program.Wait().exit_code, 128 + SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(folder + "/out/tiny/search.json"));
  const Ran gone_on = RunPlan(folder, plan);
  EXPECT_EQ(gone_on.outcome.exit_code, 0) << gone_on.outcome.err;
  EXPECT_THAT(gone_on.outcome.out, Not(HasSubstr("trial-1/seed-1: begins")));
  const Ran whole = RunPlan(NewFolder(), plan);
  for (const char* file : {"search.json", "search.md", "results.csv"}) {
    EXPECT_EQ(ReadFile(absl::StrCat(folder, "/out/tiny/", file)),
              ReadFile(absl::StrCat(whole.folder, "/out/tiny/", file)))
        << file;
  }
}

// Neither the schedule of the learning rate nor anything else is that of a shorter run.
TEST(StopAfterTest, ARunThatStopsAndGoesOnEndsWithTheSameBits) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  const auto train = [&](const std::string& output, const std::string& flag) {
    return RunCmerc({"train", "--config=tiny.textproto", "--output=" + output, flag,
                     "--set=training { epochs: 4 learning_rate: 0.01 learning_rate_schedule { "
                     "[type.googleapis.com/cmerc.CosineRateOptions] { warmup_epochs: 2 } } }"},
                    folder);
  };
  ASSERT_EQ(train("whole", "--overwrite").exit_code, 0);
  const std::string whole = ReadFile(folder + "/whole/metrics.jsonl");
  std::filesystem::create_directory(folder + "/run");
  std::string flag = "--overwrite";
  for (const int epochs : {1, 3, 4}) {
    WriteFile(folder + "/run/stop_after.txt", absl::StrCat(epochs));
    const Outcome outcome = train("run", flag);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out,
                HasSubstr(absl::StrCat("\nstopped after epoch ", epochs,
                                       " of 4, as run/stop_after.txt says; for the rest remove "
                                       "that file, and: cmerc train --resume --output=run\n")));
    EXPECT_THAT(whole, StartsWith(ReadFile(folder + "/run/metrics.jsonl")));
    EXPECT_EQ(ReadMetrics(folder + "/run").size(), static_cast<size_t>(epochs));
    for (const char* file : {"/run/summary.json", "/run/test_predictions.jsonl"}) {
      EXPECT_FALSE(std::filesystem::exists(folder + file)) << file;
    }
    EXPECT_TRUE(std::filesystem::exists(folder + "/run/resume.pth"));
    flag = "--resume";
  }
  std::filesystem::remove(folder + "/run/stop_after.txt");
  ASSERT_EQ(train("run", flag).exit_code, 0);
  for (const char* file :
       {"metrics.jsonl", "summary.json", "selected.pth", "last.pth", "test_predictions.jsonl"}) {
    EXPECT_EQ(ReadFile(absl::StrCat(folder, "/run/", file)),
              ReadFile(absl::StrCat(folder, "/whole/", file)))
        << file;
  }
}

TEST(StopAfterTest, AFileThatIsNoNumberIsRefused) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  std::filesystem::create_directory(folder + "/run");
  WriteFile(folder + "/run/stop_after.txt", "soon");
  const Outcome outcome = RunCmerc({"train", "--config=tiny.textproto", "--output=run"}, folder);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err,
              StartsWith("cmerc: run/stop_after.txt holds \"soon\", must be the number "
                         "of epochs after which the run is to stop"));
}

}  // namespace
}  // namespace cmerc
