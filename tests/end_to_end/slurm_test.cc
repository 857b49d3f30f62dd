// Experiments on real Slurm: two nodes of this machine. Skips itself where there can be none
// (tools/setup.sh --test installs Slurm; it takes root to start nodes).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/experiments.h"
#include "tests/end_to_end/slurm_cluster.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// The long runs take a second or two.
std::string TwelveRuns() { return TwoByTwo(/*seeds=*/3, /*epochs=*/100); }

std::string WithSlurm(const std::string& plan, const std::string& options) {
  return absl::StrCat(plan, "\n",
                      "launcher { [type.googleapis.com/cmerc.SlurmOptions] { poll_seconds: 0.3 "
                      "lost_after_seconds: 5 ",
                      options, " } }\n");
}

// A file of /proc; "" where the process has gone, also while it is read.
std::string ProcessFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The process of `cmerc train` whose arguments have this; 0: there is none.
pid_t TrainProcess(const std::string& part) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    pid_t process = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &process)) continue;
    const std::string line = ProcessFile(entry.path() / "cmdline");
    if (absl::StrContains(line, std::string("\0train\0", 7)) && absl::StrContains(line, part)) {
      return process;
    }
  }
  return 0;
}

// The node that a process runs on, as Slurm tells its jobs.
bool IsOnNode(pid_t process, const std::string& node) {
  const std::string environment = ProcessFile(absl::StrCat("/proc/", process, "/environ"));
  return absl::StrContains(environment, "SLURMD_NODENAME=" + node);
}

// Looks until it is so; false: it has not been in two minutes.
bool Becomes(const std::function<bool()>& so) {
  for (int look = 0; look < 12000; ++look) {
    if (so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

size_t Lines(const std::string& path) {
  if (!std::filesystem::exists(path)) return 0;
  const std::string text = ReadFile(path);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

class SlurmTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    why_not_ = SlurmCluster::WhyNot();
    if (why_not_.empty()) cluster_ = std::make_unique<SlurmCluster>();
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  void SetUp() override {
    if (!why_not_.empty()) GTEST_SKIP() << why_not_;
    if (!cluster_->ok()) GTEST_SKIP() << "Slurm does not come up here:\n" << cluster_->Logs();
    folder_ = NewFolder();
  }

  // `cmerc experiment` of plan.textproto, whose output is then in the file out-NUMBER.
  std::unique_ptr<RunningProgram> Start(const std::string& plan) {
    WriteFile(folder_ + "/plan.textproto", plan);
    out_ = absl::StrCat(folder_, "/out-", started_++);
    WriteFile(out_, "");
    Surroundings surroundings{cluster_->Environment()};
    surroundings.standard_output = out_;
    return std::make_unique<RunningProgram>(
        "bin/cmerc",
        std::vector<std::string>{"experiment", "--config=plan.textproto", "--output=out/tiny"},
        folder_, surroundings);
  }

  bool Says(const std::string& words) const { return absl::StrContains(ReadFile(out_), words); }

  Outcome Run(const std::string& plan) { return Start(plan)->Wait(); }

  static std::string why_not_;
  static std::unique_ptr<SlurmCluster> cluster_;
  std::string folder_;
  std::string out_;  // of the experiment that was started last
  int started_ = 0;
};

std::string SlurmTest::why_not_;
std::unique_ptr<SlurmCluster> SlurmTest::cluster_;

// One task is told that its time is up, one node dies, the experiment is killed once and stopped
// once. The first of the tests, since Slurm looks at time limits every 30 s from its start on.
TEST_F(SlurmTest, TheSameBytesAsOnThisMachineWhateverHappens) {
  // Slurm tells a task with a limit of a minute that this will be up in a minute when it looks
  // next, which it does twice a minute.
  const std::string plan = WithSlurm(TwelveRuns(), "partition: 'cpu' time: '1' array_limit: 8");
  std::unique_ptr<RunningProgram> experiment = Start(plan);

  // One run is held up until its time limit comes.
  const std::string slow = folder_ + "/out/tiny/one/long/seed-1";
  ASSERT_TRUE(Becomes([&] { return Lines(slow + "/metrics.jsonl") > 2; })) << ReadFile(out_);
  const pid_t held = TrainProcess("out/tiny/one/long/seed-1");
  ASSERT_NE(held, 0);
  kill(held, SIGSTOP);
  const std::string on = IsOnNode(held, "n1") ? "n2" : "n1";  // the others are done there

  kill(experiment->pid(), SIGKILL);
  experiment->Wait();
  experiment = Start(plan);
  EXPECT_TRUE(Becomes([&] { return Says("found in the queue: job "); })) << ReadFile(out_);
  EXPECT_TRUE(Becomes([&] { return Says(": is under way; its log is "); })) << ReadFile(out_);

  pid_t there = 0;
  ASSERT_TRUE(Becomes([&] {
    there = TrainProcess("/long/seed-");
    if (there == held) there = TrainProcess("/plain/seed-");
    return there != 0 && IsOnNode(there, on);
  })) << ReadFile(out_);
  cluster_->KillNode(on);
  EXPECT_TRUE(Becomes([&] { return Says("NODE_FAIL"); })) << ReadFile(out_);
  cluster_->StartNode(on);

  kill(experiment->pid(), SIGINT);
  const Outcome stopped = experiment->Wait();
  EXPECT_EQ(stopped.exit_code, 128 + SIGINT);
  EXPECT_THAT(stopped.err, AllOf(HasSubstr("stopped with "), HasSubstr(" of 12 runs done"),
                                 HasSubstr("goes on without this process"),
                                 HasSubstr("the same command again, which finds it"),
                                 HasSubstr("to end it: scancel ")));
  experiment = Start(plan);
  // Meanwhile, what they are to be the same as.
  std::future<Ran> by_local =
      std::async(std::launch::async, [] { return RunPlan(NewFolder(), TwelveRuns()); });

  // What was held goes on once it has been asked to save.
  EXPECT_TRUE(Becomes([&] {
    std::string asked;
    if (!std::filesystem::exists(folder_ + "/out/tiny/slurm")) return false;
    for (const auto& [path, text] : Files(folder_ + "/out/tiny/slurm")) {
      if (absl::EndsWith(path, ".out")) absl::StrAppend(&asked, text);
    }
    return absl::StrContains(asked, "asked to save and stop");
  }));
  kill(held, SIGCONT);
  const Outcome outcome = experiment->Wait();
  EXPECT_EQ(outcome.exit_code, 0) << ReadFile(out_) << outcome.err;
  const Ran local = by_local.get();
  EXPECT_EQ(local.outcome.exit_code, 0) << local.outcome.err;
  // That the time limit came may have been said before the experiment was stopped.
  EXPECT_THAT(ReadFile(out_), AllOf(HasSubstr("\n[12/12] "), Not(HasSubstr("failed with"))));
  EXPECT_EQ(ResultFiles(folder_), ResultFiles(local.folder));
  for (const char* of_all : {"out-0", "out-1", "out-2"}) {
    std::cout << "--- " << of_all << "\n" << ReadFile(folder_ + "/" + of_all);
  }
  std::cout << "--- standard error\n" << stopped.err << outcome.err;
}

TEST_F(SlurmTest, WhatSlurmRefusesIsSaid) {
  const std::string plan = Plan("seeds: 1");
  Outcome outcome = Run(WithSlurm(plan, "partition: 'gpu'"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("launcher Slurm: sbatch has refused the job: \""),
                                 HasSubstr("Invalid partition name specified"),
                                 HasSubstr("see partition, time, memory")));
  outcome = Run(WithSlurm(plan, "extra: '--no-such-option'"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no-such-option"));
  // Nothing is left of a job that never was; the same folder can be gone on with.
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out/tiny/slurm"));
  outcome = Run(plan);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(SlurmTest, FailuresAndWhatIsCancelledAreTold) {
  const std::unique_ptr<RunningProgram> experiment =
      Start(WithSlurm(Plan(R"pb(
                        variants {
                          name: "diverges"
                          set { training { epochs: 3 learning_rate: 1e30 } }
                        }
                        variants { name: "works" }
                        variants {
                          name: "cancelled"
                          set { training { epochs: 100000 } }
                        }
                        seeds: 1
                      )pb"),
                      ""));
  ASSERT_TRUE(Becomes([] { return TrainProcess("out/tiny/cancelled") != 0; })) << ReadFile(out_);
  ASSERT_TRUE(
      Becomes([&] { return Lines(folder_ + "/out/tiny/cancelled/seed-1/metrics.jsonl") > 2; }));
  EXPECT_EQ(RunPlan(folder_, Plan("seeds: 1")).outcome.exit_code, 2);  // not both at once
  cluster_->Run("scancel", {"--state=running"});
  const Outcome outcome = experiment->Wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("2 of 3 runs failed"));
  EXPECT_THAT(ReadFile(out_),
              AllOf(HasSubstr("submitted job "), HasSubstr(": 3 runs\n"),
                    HasSubstr("] diverges/seed-1: failed with exit status 1: epoch "),
                    HasSubstr("] works/seed-1: weighted F1 "),
                    HasSubstr("] cancelled/seed-1: failed with job "),
                    HasSubstr("_2 CANCELLED in Slurm: stopped ")));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/out/tiny/cancelled/seed-1/resume.pth"));
}

// A search asks for runs round by round; the experiment is killed between two of them.
TEST_F(SlurmTest, TheTrialsOfASearchGoThroughTheQueue) {
  const std::string plan = Plan(R"pb(
    search {
      trials: 3
      halvings: 1
      draw {
        path: "training.learning_rate"
        log_uniform { min: 1e-3 max: 1e-1 }
      }
      set { training { epochs: 4 } }
    }
  )pb");
  std::unique_ptr<RunningProgram> experiment = Start(WithSlurm(plan, ""));
  ASSERT_TRUE(Becomes([&] { return Says("search, round 2 of 2: 2 runs"); })) << ReadFile(out_);
  kill(experiment->pid(), SIGKILL);
  experiment->Wait();
  EXPECT_THAT(ReadFile(out_), HasSubstr(" on the validation split within 2 epochs"));
  const Outcome outcome = Run(WithSlurm(plan, ""));
  EXPECT_EQ(outcome.exit_code, 0) << ReadFile(out_) << outcome.err;
  EXPECT_THAT(ReadFile(out_), AllOf(HasSubstr("3 runs were finished already"),
                                    HasSubstr(" on the validation split within 4 epochs"),
                                    HasSubstr("Chosen by the search")));
  const Ran local = RunPlan(NewFolder(), plan);
  EXPECT_EQ(local.outcome.exit_code, 0) << local.outcome.err;
  EXPECT_EQ(ResultFiles(folder_), ResultFiles(local.folder));
}

}  // namespace
}  // namespace cmerc
