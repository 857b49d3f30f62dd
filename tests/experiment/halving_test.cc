// Successive halving with a launcher that writes what `cmerc train` would, in no time. A search
// with real runs: //tests/end_to_end:search_test.
#include "experiment/halving.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "experiment/launcher.h"
#include "experiment/run_files.h"
#include "experiment/runner.h"
#include "experiment/search_table.h"
#include "storage/stop_after.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(RoundEpochsTest, DoubleUpToTheEnd) {
  const auto epochs = [](int all, int halvings) {
    std::vector<int> rounds;
    for (int round = 0; round <= halvings; ++round) {
      rounds.push_back(RoundEpochs(all, halvings, round));
    }
    return rounds;
  };
  EXPECT_THAT(epochs(30, 3), ElementsAre(4, 8, 15, 30));
  EXPECT_THAT(epochs(8, 3), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(epochs(9, 3), ElementsAre(2, 3, 5, 9));
  EXPECT_THAT(epochs(5, 0), ElementsAre(5));
}

std::vector<int> Numbers(const std::vector<Standing>& standings) {
  std::vector<int> numbers;
  for (const Standing& one : standings) numbers.push_back(one.trial);
  return numbers;
}

TEST(RankedTest, EqualScoresByNumberAndFailuresLast) {
  const std::vector<Standing> ranked =
      Ranked({{5, 0.5}, {4, std::nullopt}, {3, 0.5}, {2, 0.7}, {1, std::nullopt}});
  EXPECT_THAT(Numbers(ranked), ElementsAre(2, 3, 5, 1, 4));
  EXPECT_EQ(GoOn(ranked), 3U) << "the one in the middle goes on";
  EXPECT_EQ(GoOn(Ranked({{1, 0.1}, {2, std::nullopt}, {3, std::nullopt}})), 1U)
      << "none that failed does";
  EXPECT_EQ(GoOn(Ranked({{1, std::nullopt}})), 0U);
}

// Trains trial T to the scores of `scores[T]`, one for each epoch, and a tenth more for each seed;
// a trial fails where they end.
class ScriptedLauncher final : public Launcher {
 public:
  explicit ScriptedLauncher(std::map<int, std::vector<double>> scores)
      : scores_(std::move(scores)) {}

  bool HasRoom() const override { return ended_.size() < 2; }
  bool IsBusy() const override { return !ended_.empty(); }

  absl::Status Start(const Launch& launch) override {
    const size_t at = launch.folder.rfind("/trial-");
    const int trial = std::stoi(launch.folder.substr(at + 7));
    const int seed = std::stoi(launch.folder.substr(launch.folder.rfind('-') + 1));
    started_.push_back(trial);
    const bool has_weights = std::filesystem::exists(launch.folder + "/resume.pth");
    if (launch.resume && has_weights) ++resumed_;
    const int epochs = ReadStopAfter(launch.folder).value_or(-1);
    const std::vector<double>& scores = scores_.at(trial);
    std::ofstream metrics(launch.folder + "/metrics.jsonl");
    for (int epoch = 1; epoch <= std::min<int>(epochs, static_cast<int>(scores.size())); ++epoch) {
      metrics << "{\"epoch\":" << epoch << ",\"valid\":{\"weighted_f1\":"
              << scores[static_cast<size_t>(epoch - 1)] + 0.1 * seed << "}}\n";
    }
    const bool succeeds = epochs <= static_cast<int>(scores.size());
    WriteFile(launch.folder + "/resume.pth", "state");
    WriteFile(launch.folder + "/selected.pth", "weights");
    WriteFile(launch.folder + "/train.log", "cmerc: loss is not finite\n");
    if (looks_at_the_test_split_) {
      WriteFile(launch.folder + "/summary.json", R"({"test":{"weighted_f1":0.5}})");
    }
    ended_.push_back({launch.run, succeeds, succeeds ? "exit status 0" : "exit status 1", 0});
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<EndedRun>> WaitForOne(std::chrono::milliseconds) override {
    EndedRun ended = ended_.front();
    ended_.pop_front();
    return std::optional<EndedRun>(ended);
  }

  void StopAll() override { ended_.clear(); }

  std::vector<int> started_;
  int resumed_ = 0;
  bool looks_at_the_test_split_ = false;

 private:
  const std::map<int, std::vector<double>> scores_;
  std::deque<EndedRun> ended_;
};

// A search of 8 epochs.
SearchPlan PlanOf(int trials, int halvings, int seeds = 1) {
  SearchPlan plan;
  plan.halvings = halvings;
  plan.searches.push_back({"meld", "gru", std::nullopt, {}});
  plan.searched_as["gru"] = "gru";
  for (int number = 1; number <= trials; ++number) {
    Trial trial{number, {}, {}};
    DrawnOption& option = trial.options.emplace_back();
    option.set_path("training.learning_rate");
    option.set_value(absl::StrCat("0.", number));
    for (int seed = 0; seed < seeds; ++seed) {
      PlannedRun& run = trial.runs.emplace_back();
      run.dataset = "meld";
      run.variant = "gru";
      run.seed = static_cast<uint64_t>(seed);
      run.trial = number;
      run.config.mutable_training()->set_epochs(8);
      run.identity = absl::StrCat("identity of ", number, "\n");
    }
    plan.searches[0].trials.push_back(trial);
  }
  return plan;
}

class SearchTest : public testing::Test {
 protected:
  SearchedVariant Do(const SearchPlan& plan, ScriptedLauncher& launcher) {
    testing::internal::CaptureStdout();
    const absl::StatusOr<SearchResults> results = DoSearch(plan, output_, DoerBy(launcher));
    out_ = testing::internal::GetCapturedStdout();
    EXPECT_TRUE(results.ok()) << results.status();
    if (!results.ok()) return {};
    table_ = FormatSearch(*results);
    return results->searches(0);
  }

  RunsDoer DoerBy(Launcher& launcher) {
    return [&](const std::vector<PlannedRun>& runs) {
      return DoRuns(runs, output_, launcher, options_).status();
    };
  }

  bool HasWeights(int trial) const {
    return std::filesystem::exists(
        absl::StrCat(output_, "/meld/gru/trial-", trial, "/seed-0/selected.pth"));
  }

  const std::string output_ = NewFolder();
  RunnerOptions options_;
  std::string out_, table_;
};

std::vector<int> Order(const SearchedVariant& search) {
  std::vector<int> numbers;
  for (const SearchedTrial& trial : search.trials()) numbers.push_back(trial.trial());
  return numbers;
}

// Scores at epochs 1 to 8; the best so far counts.
const std::map<int, std::vector<double>>& Scores() {
  static const auto* scores = new std::map<int, std::vector<double>>{
      {1, {0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3}},   // dropped after 2 epochs
      {2, {0.3, 0.1, 0.4, 0.5, 0.5, 0.5, 0.5, 0.6}},   // its first epoch was the better one
      {3, {0.2, 0.25, 0.5, 0.1, 0.1, 0.9, 0.1, 0.1}},  // chosen, for an epoch before the last
      {4, {0.2}},                                      // fails
  };
  return *scores;
}

TEST_F(SearchTest, DropsTheWorseHalfAndGoesOnWithTheOthers) {
  ScriptedLauncher launcher(Scores());
  const SearchedVariant found = Do(PlanOf(4, 2), launcher);
  EXPECT_EQ(found.chosen().value(), 2) << "0.5 after four epochs, the first of two alike";
  EXPECT_THAT(launcher.started_, ElementsAre(1, 2, 3, 4, 2, 3, 2));
  EXPECT_EQ(launcher.resumed_, 3);
  EXPECT_THAT(Order(found), ElementsAre(2, 3, 1, 4));
  EXPECT_EQ(found.trials(1).tied_with().value(), 2);
  EXPECT_EQ(found.trials(1).dropped_after().value(), 4);
  EXPECT_EQ(found.trials(2).dropped_after().value(), 2);
  EXPECT_EQ(found.trials(0).scores_size(), 3);
  EXPECT_EQ(found.trials(0).scores(0).epochs(), 2);
  EXPECT_EQ(found.trials(0).scores(0).score(), 0.3);
  EXPECT_THAT(found.trials(3).failed().value(), HasSubstr("loss is not finite"));
  EXPECT_FALSE(HasWeights(1));
  EXPECT_FALSE(HasWeights(2)) << "the runs are trained anew";
  EXPECT_THAT(out_, AllOf(HasSubstr("search, round 1 of 3: 4 runs up to 1/4 of their epochs\n"),
                          HasSubstr("search, round 3 of 3: 1 runs up to the end of their epochs"),
                          HasSubstr("weighted F1 0.3000 on the validation split within 2 epochs")));
  EXPECT_THAT(table_, AllOf(HasSubstr("| meld | gru | - | 2 | training.learning_rate=0.2 | 60.00 | "
                                      "weighted F1 | 4 | 1 |\n"),
                            HasSubstr("| trial | training.learning_rate | epoch 2 | epoch 4 | "
                                      "epoch 8 | what became of it |\n"),
                            HasSubstr("| 2 | 0.2 | 30.00 | 50.00 | 60.00 | chosen |\n"),
                            HasSubstr("| 3 | 0.3 | 25.00 | 50.00 | - | dropped after epoch 4, the "
                                      "score of trial 2, whose number is lower |\n"),
                            HasSubstr("| 1 | 0.1 | 20.00 | - | - | dropped after epoch 2 |\n"),
                            HasSubstr("| 4 | 0.4 | - | - | - | failed: failed with exit status 1: "
                                      "loss is not finite |\n")));
}

TEST_F(SearchTest, WithoutHalvingEveryTrialIsTrainedToTheEnd) {
  ScriptedLauncher launcher(Scores());
  const SearchedVariant found = Do(PlanOf(3, 0), launcher);
  EXPECT_EQ(found.chosen().value(), 3);
  EXPECT_THAT(launcher.started_, ElementsAre(1, 2, 3));
  EXPECT_THAT(Order(found), ElementsAre(3, 2, 1));
  EXPECT_FALSE(found.trials(2).has_dropped_after());
}

TEST_F(SearchTest, WhatIsDoneIsNotDoneAgain) {
  ScriptedLauncher first(Scores()), second(Scores());
  const SearchedVariant found = Do(PlanOf(4, 2), first);
  const SearchedVariant again = Do(PlanOf(4, 2), second);
  EXPECT_THAT(second.started_, IsEmpty()) << "nor is the one that failed";
  EXPECT_EQ(again.SerializeAsString(), found.SerializeAsString());
}

TEST_F(SearchTest, GoesOnWhereItWasStopped) {
  ScriptedLauncher first(Scores()), second(Scores()), whole(Scores());
  int asked = 0;
  options_.should_stop = [&] { return ++asked > 12; };
  testing::internal::CaptureStdout();
  const absl::StatusOr<SearchResults> stopped = DoSearch(PlanOf(4, 2), output_, DoerBy(first));
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(first.started_, Not(IsEmpty()));
  EXPECT_LT(first.started_.size(), 7U);
  options_.should_stop = [] { return false; };
  const SearchedVariant gone_on = Do(PlanOf(4, 2), second);
  EXPECT_LT(second.started_.size(), 7U);
  std::filesystem::remove_all(output_ + "/meld");
  EXPECT_EQ(gone_on.SerializeAsString(), Do(PlanOf(4, 2), whole).SerializeAsString());
}

// With more trials an early one may no longer be among the worse half.
TEST_F(SearchTest, MoreTrialsKeepThoseThatThereAre) {
  std::map<int, std::vector<double>> scores = Scores();
  for (int trial = 4; trial <= 8; ++trial) scores[trial] = std::vector<double>(8, 0.01 * trial);
  ScriptedLauncher first(scores), second(scores);
  Do(PlanOf(3, 2), first);
  EXPECT_FALSE(HasWeights(1));
  const SearchedVariant found = Do(PlanOf(8, 2), second);
  EXPECT_THAT(std::vector<int>(second.started_.begin(), second.started_.begin() + 5),
              ElementsAre(4, 5, 6, 7, 8));
  EXPECT_THAT(std::set<int>(second.started_.begin() + 5, second.started_.end()),
              testing::Contains(1));
  EXPECT_EQ(found.chosen().value(), 3) << "which was dropped among three";
}

// Such as one that does a part of the runs alone.
TEST_F(SearchTest, RunsThatAreLeftToOthersHaveNotFailed) {
  testing::internal::CaptureStdout();
  const absl::StatusOr<SearchResults> results = DoSearch(
      PlanOf(2, 0), output_, [](const std::vector<PlannedRun>&) { return absl::OkStatus(); });
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(results.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(results.status().message()),
              HasSubstr("search: meld/gru/trial-1/seed-0 was left to another process"));
}

// Two processes in one folder; the second has done its part of the first round when the first one
// ends the whole search.
TEST_F(SearchTest, AProcessThatIsFarBehindFindsTheSame) {
  const std::map<int, std::vector<double>> scores = {
      {1, {0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3}},
      {2, {0.3, 0.1, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4}},
      {3, {0.2, 0.35}},  // among the best until it fails in the second round
      {4, {0.25, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9}},
  };
  ScriptedLauncher first(scores), second(scores);
  SearchedVariant ahead;
  int round = 0;
  const auto behind = DoSearch(PlanOf(4, 2), output_, [&](const std::vector<PlannedRun>& runs) {
    const absl::Status status = DoerBy(second)(runs);
    if (++round == 1) ahead = Do(PlanOf(4, 2), first);
    return status;
  });
  ASSERT_TRUE(behind.ok()) << behind.status();
  EXPECT_THAT(second.started_, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(first.started_, ElementsAre(3, 2, 2));
  EXPECT_EQ(ahead.chosen().value(), 2);
  EXPECT_EQ(behind->searches(0).SerializeAsString(), ahead.SerializeAsString());
  // A third one, too, that has come too late for all of them.
  ScriptedLauncher third(scores);
  EXPECT_EQ(Do(PlanOf(4, 2), third).SerializeAsString(), ahead.SerializeAsString());
  EXPECT_THAT(third.started_, IsEmpty());
}

// One that is ahead trains a trial anew whose weights are gone, while another wants to compare it.
TEST_F(SearchTest, ATrialThatIsBegunAnewIsWaitedFor) {
  ScriptedLauncher first(Scores()), second(Scores());
  const SearchedVariant found = Do(PlanOf(3, 2), first);
  int calls = 0;
  const auto again = DoSearch(PlanOf(3, 2), output_, [&](const std::vector<PlannedRun>& runs) {
    const absl::Status status = DoerBy(second)(runs);
    if (++calls == 1) std::filesystem::remove(output_ + "/meld/gru/trial-2/seed-0/finished.txt");
    return status;
  });
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(calls, 4) << "the first of three rounds twice";
  EXPECT_EQ(again->searches(0).SerializeAsString(), found.SerializeAsString());
}

TEST_F(SearchTest, WhereAllFailNothingIsChosenAndAllAreTriedAgain) {
  ScriptedLauncher first({{1, {}}, {2, {}}}), second({{1, {0.1, 0.1}}, {2, {0.2, 0.2}}});
  const SearchedVariant found = Do(PlanOf(2, 2), first);
  EXPECT_FALSE(found.has_chosen());
  EXPECT_THAT(table_, HasSubstr("| - | none: all that were left have failed | - |"));
  std::vector<PlannedRun> runs = {PlanOf(1, 2).searches[0].trials[0].runs[0]};
  runs[0].trial.reset();
  std::vector<FailedRun> failures;
  SearchResults results;
  *results.add_searches() = found;
  ASSERT_TRUE(ApplyChosen(PlanOf(2, 2), results, "1", &runs, &failures).ok());
  EXPECT_THAT(runs, IsEmpty());
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_THAT(failures[0].text(),
              AllOf(HasSubstr("meld/gru/seed-0: has no options, since all trials of gru"),
                    HasSubstr("; trial 1: failed with exit status 1: ")));
  Do(PlanOf(2, 2), second);
  EXPECT_THAT(second.started_, Not(IsEmpty()));
}

TEST_F(SearchTest, ARunThatLooksAtTheTestSplitHasFailed) {
  ScriptedLauncher launcher(Scores());
  launcher.looks_at_the_test_split_ = true;
  const SearchedVariant found = Do(PlanOf(2, 0), launcher);
  EXPECT_FALSE(found.has_chosen());
  EXPECT_THAT(found.trials(0).failed().value(),
              HasSubstr("it did not stop after epoch 8 but went on to the test split"));
}

TEST_F(SearchTest, TheLowestNllIsTheBest) {
  SearchPlan plan = PlanOf(2, 0);
  for (Trial& trial : plan.searches[0].trials) {
    for (PlannedRun& run : trial.runs) {
      run.config.mutable_training()->set_select_by(TrainingConfig::NLL);
      const std::string folder = RunFolder(output_, run);
      std::filesystem::create_directories(folder);
      WriteFile(folder + "/metrics.jsonl",
                absl::StrCat(R"({"valid":{"calibration":{"nll":)", 3 - trial.number, "}}}\n"));
      run.stop_after = 8;
      WriteFile(FinishedFile(folder), FinishedText(run));
      run.stop_after.reset();
    }
  }
  ScriptedLauncher launcher(std::map<int, std::vector<double>>{});
  const SearchedVariant found = Do(plan, launcher);
  EXPECT_EQ(found.chosen().value(), 2);
  EXPECT_EQ(found.trials(0).scores(0).score(), 1);
  EXPECT_THAT(table_, HasSubstr("| 1.0000 | NLL |"));
}

TEST_F(SearchTest, TheScoreIsTheMeanOverSeeds) {
  ScriptedLauncher launcher({{1, std::vector<double>(8, 0.4)}, {2, std::vector<double>(8, 0.5)}});
  const SearchedVariant found = Do(PlanOf(2, 1, 3), launcher);
  EXPECT_THAT(launcher.started_, ElementsAre(1, 1, 1, 2, 2, 2, 2, 2, 2));
  EXPECT_DOUBLE_EQ(found.trials(0).scores(1).score(), 0.6);
  EXPECT_DOUBLE_EQ(found.trials(1).scores(0).score(), 0.5);
}

TEST(StopAfterTest, IsANumberOfEpochsOrAnError) {
  const std::string folder = NewFolder();
  EXPECT_EQ(ReadStopAfter(folder).value(), 0);
  ASSERT_TRUE(WriteStopAfter(folder, 12).ok());
  EXPECT_EQ(ReadStopAfter(folder).value(), 12);
  ASSERT_TRUE(WriteStopAfter(folder, 0).ok());
  EXPECT_FALSE(std::filesystem::exists(StopAfterFile(folder)));
  ASSERT_TRUE(WriteStopAfter(folder, 0).ok());
  for (const char* text : {"", "0", "-3", "four", "99999999999999"}) {
    WriteFile(StopAfterFile(folder), text);
    const auto read = ReadStopAfter(folder);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(read.status().message()),
                AllOf(HasSubstr("/stop_after.txt holds \""), HasSubstr("remove the file")));
  }
}

}  // namespace
}  // namespace cmerc
