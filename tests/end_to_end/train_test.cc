// `cmerc train`: the quick start, what it writes, and that a run can be repeated to the bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "metrics/text_report.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> RegularFiles(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& [name, contents] : Files(folder)) {
    if (std::filesystem::is_regular_file(folder + "/" + name)) names.push_back(name);
  }
  return names;
}

// A folder with tiny.textproto.
std::string TinyFolder() {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  return folder;
}

Outcome Train(const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> args = {"train", "--config=tiny.textproto"};
  args.insert(args.end(), more.begin(), more.end());
  const Outcome outcome = RunCmerc(args, folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome;
}

TEST(QuickstartTest, TrainsBothModelsAndComparesThem) {
  const std::string folder = NewFolder();
  const std::string config = std::filesystem::absolute("config/examples/quickstart.textproto");
  const Outcome outcome =
      RunCmerc({"train", "--config", config,
                "--set=training { epochs: 2 } curriculum { scheduler { "
                "[type.googleapis.com/cmerc.BabyStepOptions] { epoch_ratio: 0.2 } } }"},
               folder);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, Not(HasSubstr("\033")));
  EXPECT_THAT(
      RegularFiles(folder + "/runs"),
      ElementsAre(
          "quickstart/config.textproto", "quickstart/curriculum.json", "quickstart/last.pth",
          "quickstart/metrics.jsonl", "quickstart/selected.pth", "quickstart/summary.json",
          "quickstart/test_predictions.jsonl", "quickstart/test_views.jsonl",
          "quickstart/timing.jsonl", "quickstart/uncalibrated/last.pth",
          "quickstart/uncalibrated/metrics.jsonl", "quickstart/uncalibrated/selected.pth",
          "quickstart/uncalibrated/summary.json", "quickstart/uncalibrated/test_predictions.jsonl",
          "quickstart/uncalibrated/test_views.jsonl", "quickstart/uncalibrated/timing.jsonl"));

  const std::string run = folder + "/runs/quickstart";
  const RunSummary summary = ReadSummary(run);
  EXPECT_THAT(summary.protocol(), testing::StartsWith("HELD_OUT"));
  EXPECT_EQ(summary.seed(), 1u);
  EXPECT_EQ(summary.backbone(), "cmerc.M3NetOptions");
  EXPECT_GT(summary.parameters(), 0);
  EXPECT_FALSE(summary.versions().at("libtorch").empty());
  EXPECT_FALSE(summary.has_uncalibrated() && summary.uncalibrated().has_uncalibrated());
  for (const RunSummary* stage : {&summary, &summary.uncalibrated()}) {
    EXPECT_EQ(stage->train().conversations(), 60);
    EXPECT_EQ(stage->valid().conversations(), 12);
    EXPECT_EQ(stage->test().conversations(), 20);
    EXPECT_EQ(stage->test().classes_size(), 6);
    EXPECT_EQ(stage->test().confusion_size(), 6);
    EXPECT_EQ(stage->test().views_size(), 5);
    // Two epochs, the second of few conversations, may leave a remedy that cannot be told.
    EXPECT_EQ(stage->test().post_hoc_size() + stage->warnings_size(), 3);
    EXPECT_TRUE(std::isfinite(stage->test().loss()));
  }
  // The report of this run, and the table that shows both.
  EXPECT_THAT(outcome.out, HasSubstr(FormatSplitReport(summary.test())));
  EXPECT_THAT(outcome.out, HasSubstr("\n" + FormatCalibration(summary.test())));
  EXPECT_THAT(outcome.out, HasSubstr(FormatComparison(summary, summary.uncalibrated())));

  const std::vector<EpochReport> epochs = ReadMetrics(run);
  ASSERT_EQ(epochs.size(), 2u);
  // A fifth of the 60 conversations, then twice that.
  EXPECT_EQ(epochs[0].conversations(), 12);
  EXPECT_EQ(epochs[1].conversations(), 24);
  EXPECT_EQ(epochs[0].losses_size(), 2);
  for (const EpochReport& epoch : ReadMetrics(run + "/uncalibrated")) {
    EXPECT_EQ(epoch.conversations(), 60);
    EXPECT_EQ(epoch.losses_size(), 1);
  }
}

TEST(TrainTest, SelectsTheEpochThatIsBestOnTheValidationSplit) {
  const std::string folder = TinyFolder();
  Train(folder, {"--output=run", "--set=training { epochs: 6 learning_rate: 0.01 }"});
  const RunSummary summary = ReadSummary(folder + "/run");
  const std::vector<EpochReport> epochs = ReadMetrics(folder + "/run");
  ASSERT_EQ(epochs.size(), 6u);
  size_t best = 0;
  for (size_t e = 0; e < epochs.size(); ++e) {
    EXPECT_EQ(epochs[e].epoch(), static_cast<int>(e) + 1);
    EXPECT_FALSE(epochs[e].has_test());
    if (epochs[e].valid().weighted_f1() > epochs[best].valid().weighted_f1()) best = e;
  }
  EXPECT_EQ(summary.selected_epoch(), static_cast<int>(best) + 1);
  EXPECT_EQ(summary.valid().weighted_f1(), epochs[best].valid().weighted_f1());
}

TEST(TrainTest, TheOfficialProtocolSelectsOnTheTestSplitAndSaysSo) {
  const std::string folder = TinyFolder();
  const Outcome outcome = Train(folder, {"--output=run", "--set=data { protocol: OFFICIAL }"});
  EXPECT_THAT(outcome.out, HasSubstr("protocol  OFFICIAL (trains on train + valid; the test set"));
  const RunSummary summary = ReadSummary(folder + "/run");
  EXPECT_THAT(summary.protocol(), testing::StartsWith("OFFICIAL"));
  EXPECT_EQ(summary.train().conversations(), 5);
  EXPECT_FALSE(summary.has_valid());
  const std::vector<EpochReport> epochs = ReadMetrics(folder + "/run");
  ASSERT_EQ(epochs.size(), 1u);
  EXPECT_FALSE(epochs[0].has_valid());
  EXPECT_EQ(epochs[0].test().weighted_f1(), summary.test().weighted_f1());
}

TEST(TrainTest, TheSameSeedGivesTheSameBytesAndAnotherSeedDoesNot) {
  const std::string folder = TinyFolder();
  const auto metrics = [&](const std::string& run, const std::string& seed) {
    Train(folder, {"--output=" + run, "--set=training { epochs: 2 " + seed + " }"});
    return ReadFile(folder + "/" + run + "/metrics.jsonl");
  };
  const std::string first = metrics("first", "seed: 7");
  EXPECT_EQ(metrics("second", "seed: 7"), first);
  EXPECT_NE(metrics("third", "seed: 8"), first);
  // What a run has written trains the same model again.
  const Outcome again =
      RunCmerc({"train", "--config=first/config.textproto", "--output=fourth"}, folder);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ReadFile(folder + "/fourth/metrics.jsonl"), first);
  EXPECT_EQ(ReadFile(folder + "/fourth/config.textproto"),
            ReadFile(folder + "/first/config.textproto"));
}

TEST(TrainTest, MetricsHoldNoTimes) {
  const std::string folder = TinyFolder();
  Train(folder, {"--output=run"});
  EXPECT_THAT(ReadFile(folder + "/run/metrics.jsonl"), Not(HasSubstr("seconds")));
  EXPECT_THAT(ReadFile(folder + "/run/timing.jsonl"), HasSubstr("\"train_seconds\":"));
}

TEST(TrainTest, EveryRunGetsAFolderOfItsOwn) {
  const std::string folder = TinyFolder();
  EXPECT_THAT(Train(folder, {}).out, HasSubstr("output    runs/tiny\n"));
  EXPECT_THAT(Train(folder, {}).out, HasSubstr("output    runs/tiny-2\n"));
  EXPECT_EQ(ReadFile(folder + "/runs/tiny/metrics.jsonl"),
            ReadFile(folder + "/runs/tiny-2/metrics.jsonl"));
}

TEST(TrainTest, OverwriteReplacesARun) {
  const std::string folder = TinyFolder();
  Train(folder, {"--output=a/b/run/"});
  Train(folder, {"--output=a/b/run", "--overwrite", "--set=training { epochs: 3 seed: 2 }"});
  EXPECT_EQ(ReadMetrics(folder + "/a/b/run").size(), 3u);
  EXPECT_EQ(ReadSummary(folder + "/a/b/run").seed(), 2u);
  EXPECT_THAT(ReadFile(folder + "/a/b/run/config.textproto"), HasSubstr("epochs: 3"));
}

TEST(TrainTest, ProfileChangesNothingButAddsATableAndATrace) {
  const std::string folder = TinyFolder();
  const std::string two_steps = "--set=training { batch_size: 2 }";
  Train(folder, {"--output=plain", two_steps});
  const Outcome outcome = Train(folder, {"--output=profiled", "--profile", two_steps});
  EXPECT_EQ(ReadFile(folder + "/profiled/metrics.jsonl"),
            ReadFile(folder + "/plain/metrics.jsonl"));
  for (const char* part : {"\nbatch ", "\nfull prediction ", "\npredictions of views ", "\nlosses ",
                           "\nbackward ", "\noptimiser ", "\nall "}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
  // The table leaves out layers of less than 1 % of a step; the trace holds all.
  EXPECT_THAT(ReadFile(folder + "/profiled/trace.json"),
              testing::AllOf(testing::StartsWith("{\"traceEvents\":[\n{\"name\":\"batch\""),
                             HasSubstr("\n{\"name\":\"hypergraph\"")));
}

TEST(TrainTest, AProfileNeedsASecondStep) {
  const std::string folder = TinyFolder();
  const Outcome outcome = RunCmerc({"train", "--config=tiny.textproto", "--output=run", "--profile",
                                    "--set=training { batch_size: 100 }"},
                                   folder);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("set a smaller training.batch_size"));
}

// What is left of an interrupted run must not look like the end of an earlier one.
TEST(TrainTest, OverwriteRemovesWhatTheNewRunDoesNotReach) {
  const std::string folder = TinyFolder();
  Train(folder, {"--output=run", "--set=training { compare_uncalibrated: true }"});
  ASSERT_EQ(Files(folder).count("run/uncalibrated/summary.json"), 1u);
  const Outcome failed =
      RunCmerc({"train", "--config=tiny.textproto", "--output=run", "--overwrite",
                "--set=training { epochs: 3 learning_rate: 1e30 }"},
               folder);
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_EQ(Files(folder).count("run/summary.json"), 0u);
  EXPECT_EQ(Files(folder).count("run/uncalibrated/summary.json"), 0u);
  EXPECT_EQ(Files(folder).count("run/test_predictions.jsonl"), 0u);
  EXPECT_EQ(Files(folder).count("run/uncalibrated/test_predictions.jsonl"), 0u);
  EXPECT_THAT(ReadFile(folder + "/run/config.textproto"), HasSubstr("epochs: 3"));
}

TEST(TrainTest, AbsolutePathsDoNotDependOnTheFolder) {
  const std::string folder = TinyFolder();
  const std::string elsewhere = NewFolder();
  const Outcome outcome =
      RunCmerc({"train", "--config=" + folder + "/tiny.textproto", "--output=" + folder + "/run"},
               elsewhere);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Files(folder).count("run/summary.json"), 1u);
  EXPECT_THAT(Files(elsewhere), testing::IsEmpty());
}

// The conversations of tiny.textproto but those of a split, as a data set of their own; returns the
// fragment of a config that names it.
std::string WithoutSplit(const std::string& folder, const std::string& split) {
  const Outcome converted =
      RunCmerc({"data", "convert", "--config=tiny.textproto", "--output=all.jsonl"}, folder);
  EXPECT_EQ(converted.exit_code, 0) << converted.err;
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(ReadFile(folder + "/all.jsonl"), '\n')) {
    if (absl::StrContains(line, absl::StrCat("\"split\":\"", split, "\""))) continue;
    absl::StrAppend(&kept, line, "\n");
  }
  WriteFile(absl::StrCat(folder, "/no_", split, ".jsonl"), kept);
  return absl::StrCat(
      "--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: 'no_", split,
      ".jsonl' } } }");
}

TEST(TrainTest, WithoutATestSplit) {
  const std::string folder = TinyFolder();
  const std::string data = WithoutSplit(folder, "test");
  const Outcome outcome =
      Train(folder, {"--output=run", data, "--set=training { compare_uncalibrated: true }"});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(", no test split\n"),
                                 HasSubstr("\nValidation split (there is no test split), epoch 1 "),
                                 HasSubstr("\nvalidation split "),
                                 HasSubstr("\nwarning: the dataset has no test split, so there are "
                                           "no test scores"),
                                 Not(HasSubstr("test_predictions.jsonl"))));
  const RunSummary summary = ReadSummary(folder + "/run");
  EXPECT_FALSE(summary.has_test());
  EXPECT_FALSE(summary.uncalibrated().has_test());
  EXPECT_TRUE(summary.has_valid());
  EXPECT_EQ(Files(folder).count("run/test_predictions.jsonl"), 0u);

  const Outcome report = RunCmerc({"report", "run", "--output=report.html"}, folder);
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(ReadFile(folder + "/report.html"),
              AllOf(HasSubstr("Classes of the validation split"),
                    HasSubstr("Warning: the dataset has no test split")));
  const std::vector<std::string> evaluate = {"evaluate", "--checkpoint=run/selected.pth"};
  EXPECT_EQ(RunCmerc(evaluate, folder).exit_code, 2);
  EXPECT_EQ(RunCmerc({evaluate[0], evaluate[1], "--split=valid"}, folder).exit_code, 0);
  EXPECT_EQ(RunCmerc({evaluate[0], evaluate[1], "--input=all.jsonl"}, folder).exit_code, 0);
  EXPECT_EQ(RunCmerc({"difficulty", evaluate[1], "--output=d.json"}, folder).exit_code, 0);
}

TEST(TrainTest, WithoutAValidationSplitFoldsHoldSomeOut) {
  const std::string folder = TinyFolder();
  const std::string data = WithoutSplit(folder, "valid");
  const Outcome refused =
      RunCmerc({"train", "--config=tiny.textproto", "--output=run", data}, folder);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("the validation split of the dataset is empty"),
                                 HasSubstr("data { folds: 4 }"), Not(HasSubstr("OFFICIAL"))));
  Train(folder, {"--output=run", data, "--set=data { folds: 4 }"});
  const RunSummary summary = ReadSummary(folder + "/run");
  EXPECT_EQ(summary.valid().conversations(), 1);
  EXPECT_EQ(summary.train().conversations(), 3);
  EXPECT_EQ(summary.test().conversations(), 2);
}

}  // namespace
}  // namespace cmerc
