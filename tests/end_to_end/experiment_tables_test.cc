// What `cmerc experiment` makes of its runs, and what its command line changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/experiments.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// The tests of calibration are of the numbers that the summaries have.
TEST(ExperimentTablesTest, ComparesCalibrationToo) {
  const Ran ran = RunPlan(NewFolder(), FourRuns());
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  const std::string folder = ran.folder + "/out/tiny";
  ASSERT_EQ(ran.results.rows_size(), 3);
  EXPECT_EQ(ran.results.remarks_size(), 0);
  EXPECT_TRUE(ran.results.rows(2).calibrated().value());
  const Comparison& comparison = ran.results.rows(2).comparison();
  std::vector<std::string> names;
  for (const MeasureComparison& one : comparison.measures()) names.push_back(one.measure());
  EXPECT_THAT(names,
              ElementsAre("ece", "nll", "share_surer_without_text", "share_surer_without_audio",
                          "share_surer_without_visual", "share_surer_without_same_speaker",
                          "share_surer_without_other_speakers", "share_of_right",
                          "violating_ranking_rate"));
  std::vector<double> ece, nll, share, vrr;
  for (const char* seed : {"/seed-7", "/seed-8"}) {
    const SplitReport with = ReadSummary(folder + "/calibrated" + seed).test();
    const SplitReport without = ReadSummary(folder + "/plain" + seed).test();
    ece.push_back(with.calibration().ece() - without.calibration().ece());
    nll.push_back(with.calibration().nll() - without.calibration().nll());
    share.push_back(with.views(0).share_surer_without() - without.views(0).share_surer_without());
    double rise = 0;
    for (int v = 0; v < 5; ++v) {
      rise += with.views(v).evidence().violating_ranking_rate() -
              without.views(v).evidence().violating_ranking_rate();
    }
    vrr.push_back(rise / 5);
  }
  const std::map<int, std::vector<double>> expected = {{0, ece}, {1, nll}, {2, share}, {8, vrr}};
  for (const auto& [m, of_seeds] : expected) {
    const double mean = (of_seeds[0] + of_seeds[1]) / 2;
    const MeasureComparison& one = comparison.measures(m);
    EXPECT_NEAR(one.difference().mean(), mean, 1e-12) << names[m];
    ASSERT_TRUE(one.has_over_conversations()) << names[m];
    // The middle of the interval comes from the files of the runs, the difference from summaries.
    EXPECT_NEAR(
        (one.over_conversations().low().value() + one.over_conversations().high().value()) / 2,
        mean, 1e-9)
        << names[m];
    EXPECT_GE(one.p_value_holm(), one.p_value());
  }
}

TEST(ExperimentTablesTest, TablesForAPaper) {
  const Ran ran = RunPlan(NewFolder(), FourRuns());
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  const std::string folder = ran.folder + "/out/tiny";
  EXPECT_THAT(ran.outcome.out, HasSubstr("written to out/tiny: results.md, results.csv, "
                                         "results_runs.csv, results.tex, results.json\n"));
  EXPECT_THAT(
      ReadFile(folder + "/results.md"),
      AllOf(HasSubstr("Protocol: HELD_OUT (the validation split selects the epoch)."),
            HasSubstr("- Made with cmerc 0."), HasSubstr("with 2 seeds it cannot be below 0.5"),
            HasSubstr("| dataset | variant | class_0 | class_1 | class_2 |")));
  EXPECT_THAT(ReadFile(folder + "/results.tex"), HasSubstr("\\toprule"));
  const std::string runs = ReadFile(folder + "/results_runs.csv");
  // Three models with two seeds each, of three splits, and the heading.
  EXPECT_EQ(std::count(runs.begin(), runs.end(), '\n'), 1 + 3 * 2 * 3);
  EXPECT_THAT(runs, AllOf(StartsWith("\"dataset\",\"variant\",\"base_variant\",\"calibrated\","),
                          HasSubstr("\n\"base\",\"calibrated, uncalibrated\",\"calibrated\",false,"
                                    "\"HELD_OUT\",7,\"valid\",9,"),
                          HasSubstr(",\"f1_class_2\"")));
  const Outcome page = RunCmerc({"report", "out/tiny", "--output=page.html"}, ran.folder);
  EXPECT_EQ(page.exit_code, 0) << page.err;
  EXPECT_THAT(
      ReadFile(ran.folder + "/page.html"),
      AllOf(HasSubstr("Report of the experiment out/tiny"), HasSubstr("calibrated, uncalibrated")));
}

// --set, --seeds and --jobs in place of what the plan says; --dry_run does nothing.
TEST(ExperimentTablesTest, TheCommandLineChangesThePlan) {
  const std::string folder = NewFolder();
  const std::string plan =
      Plan("variants { name: 'a' } variants { name: 'b' set { training { epochs: 3 } } } seeds: 1");
  const std::vector<std::string> changed = {"--seeds=4,6-7", "--jobs=1",
                                            "--set=training { epochs: 2 batch_size: 3 }"};
  std::vector<std::string> dry = changed;
  dry.emplace_back("--dry_run");
  const Ran before = RunPlan(folder, plan, dry);
  EXPECT_EQ(before.outcome.exit_code, 0) << before.outcome.err;
  EXPECT_THAT(
      before.outcome.out,
      AllOf(StartsWith("a/seed-4: to do\nb/seed-4: to do\na/seed-6: to do\n"),
            HasSubstr("\n6 runs in out/tiny: 0 finished, 0 to go on with, 6 to do, 1 at the "
                      "same time; nothing was started or written (--dry_run)\n")));
  EXPECT_FALSE(std::filesystem::exists(folder + "/out"));
  const Ran ran = RunPlan(folder, plan, changed);
  ASSERT_EQ(ran.outcome.exit_code, 0) << ran.outcome.err;
  EXPECT_THAT(ran.outcome.out, HasSubstr("6 runs in out/tiny\na/seed-4: begins; its log is "
                                         "out/tiny/a/seed-4/train.log\n[1/6] a/seed-4: "));
  for (const char* run : {"/out/tiny/a/seed-4", "/out/tiny/b/seed-7"}) {
    EXPECT_EQ(ReadMetrics(folder + run).size(), 2u) << run;
    EXPECT_THAT(ReadFile(folder + run + "/config.textproto"), HasSubstr("batch_size: 3\n"));
  }
  EXPECT_THAT(ran.results.rows(1).seeds(), ElementsAre(4, 6, 7));
  EXPECT_THAT(ReadFile(folder + "/out/tiny/cmerc_experiment.textproto"),
              AllOf(HasSubstr("# --set='training { epochs: 2 batch_size: 3 }'\n"),
                    HasSubstr("seeds: 6\n")));
  EXPECT_THAT(RunPlan(folder, plan, dry).outcome.out,
              AllOf(HasSubstr("b/seed-7: finished\n"), HasSubstr(": 6 finished, 0 to go on")));
  // The plan in the folder is one to go on with, and is left as it is.
  const std::string kept = ReadFile(folder + "/out/tiny/cmerc_experiment.textproto");
  const Outcome own = RunCmerc({"experiment", "--config=out/tiny/cmerc_experiment.textproto",
                                "--output=out/tiny", changed[2]},
                               folder);
  EXPECT_EQ(own.exit_code, 0) << own.err;
  EXPECT_THAT(own.out, HasSubstr("6 runs were finished already"));
  EXPECT_EQ(ReadFile(folder + "/out/tiny/cmerc_experiment.textproto"), kept);
}

// Ctrl-C in a terminal reaches every process of its group; here the experiment alone, which then
// asks its run, as it has to for a signal that is sent to it.
TEST(ExperimentTablesTest, ASignalSavesStopsAndSaysHowToGoOn) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string folder = NewFolder();
    WriteFile(folder + "/plan.textproto", Plan("seeds: 1 seeds: 2 parallel_runs: 1"));
    const std::vector<std::string> args = {"experiment", "--config=plan.textproto", "--output=out",
                                           "--set=training { epochs: 1000000 }"};
    RunningProgram program("bin/cmerc", args, folder);
    // Once an epoch is behind it.
    const std::string metrics = folder + "/out/seed-1/metrics.jsonl";
    while (!std::filesystem::exists(metrics) || std::filesystem::file_size(metrics) == 0) {
      ASSERT_FALSE(program.EndsWithin(std::chrono::milliseconds(20)));
    }
    kill(program.pid(), signal);
    const Outcome stopped = program.Wait();
    EXPECT_EQ(stopped.exit_code, 128 + signal);
    EXPECT_THAT(stopped.err, HasSubstr("cmerc: stopped with 0 of 2 runs done\n  to go on: the same "
                                       "command again; it keeps what is finished"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/out/lock"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/out/seed-1/lock"));
    EXPECT_TRUE(std::filesystem::exists(folder + "/out/seed-1/resume.pth"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/out/seed-2"));
    std::vector<std::string> dry = args;
    dry.emplace_back("--dry_run");
    EXPECT_THAT(RunCmerc(dry, folder).out, StartsWith("seed-1: begun, goes on\nseed-2: to do\n"));
    const Outcome report = RunCmerc({"report", "out", "--output=x.html"}, folder);
    EXPECT_EQ(report.exit_code, 2);
    EXPECT_THAT(report.err, HasSubstr("the experiment has no results.json yet; wait"));
  }
}

}  // namespace
}  // namespace cmerc
