// The runner with processes that behave badly in every way. A deadlock is a timeout of this test.
#include "experiment/runner.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "experiment/launcher.h"
#include "experiment/local_launcher.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

// What is printed from the first run on that has ended.
std::string EndedRuns(const std::string& out) {
  const size_t first = out.find("\n[");
  return first == std::string::npos ? "" : out.substr(first + 1);
}

// As users read them.
std::vector<std::string> Texts(const std::vector<FailedRun>& failures) {
  std::vector<std::string> texts;
  for (const FailedRun& failure : failures) texts.push_back(failure.text());
  return texts;
}

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    output_ = NewFolder();
    program_ = std::filesystem::absolute("tests/experiment/runner_child");
    for (const char* fifo : {"/gate", "/release"}) {
      ASSERT_EQ(mkfifo((output_ + fifo).c_str(), 0600), 0);
    }
  }

  // Nothing that was started is left, alive or not waited for.
  void TearDown() override {
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
  }

  // A run of each kind of tests/experiment/runner_child.cc, in this order.
  absl::StatusOr<std::vector<FailedRun>> Do(const std::vector<std::string>& kinds,
                                            const std::string& identity = "1") {
    LocalLauncher launcher(program_, parallel_runs_);
    return Do(kinds, identity, launcher);
  }

  absl::StatusOr<std::vector<FailedRun>> Do(const std::vector<std::string>& kinds,
                                            const std::string& identity, Launcher& launcher) {
    std::vector<PlannedRun> runs;
    for (const std::string& kind : kinds) {
      PlannedRun run;
      run.variant = kind;
      run.seed = runs.size();
      run.identity = identity;
      runs.push_back(run);
    }
    testing::internal::CaptureStdout();
    auto failures = DoRuns(runs, output_, launcher, options_);
    out_ = testing::internal::GetCapturedStdout();
    return failures;
  }

  std::vector<std::string> Failures(const std::vector<std::string>& kinds) {
    const auto failures = Do(kinds);
    EXPECT_TRUE(failures.ok()) << failures.status();
    return Texts(failures.value_or(std::vector<FailedRun>()));
  }

  std::string output_;
  std::string program_;
  int parallel_runs_ = 2;
  RunnerOptions options_;
  std::string out_;
};

TEST_F(RunnerTest, OthersGoOnWhateverBecomesOfARun) {
  EXPECT_THAT(
      Failures({"dies", "works", "complains", "is_killed", "says_nothing", "garbage", "works"}),
      UnorderedElementsAre(
          AllOf(StartsWith("dies/seed-0: failed with exit status 3: see "),
                EndsWith("/dies/seed-0/train.log")),
          "complains/seed-2: failed with exit status 1: the disk is full",
          StartsWith("is_killed/seed-3: failed with signal 9: see "),
          AllOf(StartsWith("says_nothing/seed-4: failed with exit status 0: "),
                HasSubstr("/summary.json: cannot be read as the summary of a run")),
          StartsWith("garbage/seed-5: failed with exit status 0: ")));
  EXPECT_THAT(out_, AllOf(HasSubstr("works/seed-1: weighted F1 0.5000"),
                          HasSubstr("works/seed-6: weighted F1 0.5000"), HasSubstr("\n[7/7] ")));
}

TEST_F(RunnerTest, AnInterruptedRunIsResumedUnlessItIsAnotherOneByNow) {
  const std::string folder = output_ + "/is_interrupted/seed-0";
  EXPECT_THAT(Failures({"is_interrupted"}), ElementsAre(HasSubstr("exit status 130")));
  WriteFile(folder + "/resume.pth", "of the first");
  const auto another = Do({"is_interrupted"}, "2");
  ASSERT_TRUE(another.ok()) << another.status();
  EXPECT_THAT(Texts(*another), ElementsAre(HasSubstr("exit status 130")));
  EXPECT_FALSE(std::filesystem::exists(folder + "/resume.pth"));
  const auto again = Do({"is_interrupted"}, "2");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(Texts(*again), IsEmpty());
}

TEST_F(RunnerTest, AProgramThatCannotBeStarted) {
  program_ = "/nonexistent/cmerc";
  EXPECT_THAT(Failures({"works", "works"}),
              UnorderedElementsAre(
                  "works/seed-0: failed with exit status 127: cannot start /nonexistent/cmerc: No "
                  "such file or directory",
                  HasSubstr("works/seed-1: failed")));
  program_ = output_;
  EXPECT_THAT(Failures({"works"}), ElementsAre(HasSubstr(": Permission denied")));
}

TEST_F(RunnerTest, ALogOfMegabytes) {
  const std::vector<std::string> failures = Failures({"floods", "floods_last"});
  EXPECT_THAT(failures, UnorderedElementsAre(
                            "floods/seed-0: failed with exit status 1: the end",
                            StartsWith("floods_last/seed-1: failed with exit status 1: see ")));
  EXPECT_GT(std::filesystem::file_size(output_ + "/floods/seed-0/train.log"), 4u << 20);
}

// With two at a time, the third run starts when the second has ended, while the first still waits
// for it, as for a slow disk.
TEST_F(RunnerTest, ASlowRunHoldsNoOtherUp) {
  EXPECT_THAT(Failures({"is_slow", "works", "opens_the_gate"}), IsEmpty());
  EXPECT_THAT(EndedRuns(out_), StartsWith("[1/3] works/seed-1: "));
}

TEST_F(RunnerTest, AProcessThatARunLeavesBehindIsNotWaitedFor) {
  EXPECT_THAT(Failures({"leaves_a_process", "works"}), IsEmpty());
  // It still waits for this.
  const int release = open((output_ + "/release").c_str(), O_WRONLY);
  EXPECT_GE(release, 0);
  close(release);
}

// Process 1 of a container is handed every orphan; here this process is.
TEST_F(RunnerTest, ProcessesOfOthersMayEndMeanwhile) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  EXPECT_THAT(Failures(std::vector<std::string>(20, "leaves_an_orphan")), IsEmpty());
  while (waitpid(-1, nullptr, 0) > 0) {
  }
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

TEST_F(RunnerTest, StartedWithSigchldIgnored) {
  std::signal(SIGCHLD, SIG_IGN);
  EXPECT_THAT(Failures({"works", "dies", "works"}), ElementsAre(HasSubstr("exit status 3")));
}

TEST_F(RunnerTest, AnErrorStopsWhatStillRuns) {
  const absl::Status status = Do({"never_ends", "cannot_finish", "works"}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot_finish/seed-1/finished.txt"));
}

// Starts nothing: a run of the kind "works" ends well at once, the last one started first.
class FakeLauncher final : public Launcher {
 public:
  bool HasRoom() const override { return started_.size() < 2; }
  bool IsBusy() const override { return !started_.empty(); }
  absl::Status Start(const Launch& launch) override {
    if (launch.folder.find("refused") != std::string::npos) {
      return absl::UnavailableError("no node is free");
    }
    WriteFile(launch.folder + "/summary.json", R"({"test":{"weighted_f1":0.25}})");
    started_.push_back(launch);
    most_ = std::max(most_, started_.size());
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<EndedRun>> WaitForOne(std::chrono::milliseconds) override {
    if (looks_ < epochs_.size()) {
      WriteFile(started_.back().folder + "/train.log", epochs_[looks_]);
      ++looks_;
      return std::nullopt;
    }
    const Launch launch = started_.back();
    started_.pop_back();
    const bool works = launch.folder.find("works") != std::string::npos;
    return std::optional<EndedRun>(EndedRun{launch.run, works, "time limit", 90});
  }
  void StopAll() override {
    stopped_ += static_cast<int>(started_.size());
    started_.clear();
  }

  // What a run has logged each time before it ends.
  void set_epochs(const std::vector<std::string>& epochs) { epochs_ = epochs; }
  size_t most() const { return most_; }
  int stopped() const { return stopped_; }

 private:
  std::vector<Launch> started_;
  std::vector<std::string> epochs_;
  size_t looks_ = 0;
  size_t most_ = 0;
  int stopped_ = 0;
};

TEST_F(RunnerTest, RunsByAnotherLauncher) {
  FakeLauncher launcher;
  const auto failures = Do({"works", "is_late", "works"}, "1", launcher);
  ASSERT_TRUE(failures.ok()) << failures.status();
  EXPECT_THAT(Texts(*failures),
              ElementsAre(AllOf(StartsWith("is_late/seed-1: failed with time limit: see "),
                                EndsWith("/is_late/seed-1/train.log"))));
  EXPECT_THAT(out_, StartsWith(absl::StrCat("works/seed-0: begins; its log is ", output_,
                                            "/works/seed-0/train.log\nis_late/seed-1: begins")));
  EXPECT_THAT(EndedRuns(out_), StartsWith("[1/3] is_late/seed-1: failed with time limit: "));
  EXPECT_THAT(out_, HasSubstr("\n[2/3] works/seed-2: weighted F1 0.2500, 90 s"));
  EXPECT_EQ(launcher.most(), 2u);
  EXPECT_EQ(launcher.stopped(), 0);

  const auto again = Do({"works", "is_late", "works"}, "1", launcher);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(
      out_, AllOf(StartsWith("is_late/seed-1: goes on; its log is "),
                  HasSubstr("\n[3/3] is_late/seed-1"), EndsWith("2 runs were finished already\n")));
}

TEST_F(RunnerTest, TellsHowFarARunHasGot) {
  FakeLauncher launcher;
  const std::string first = "data      toy\nepoch   1/9     4 conversations  loss 1\n";
  launcher.set_epochs({"data      toy\n", first, first + "epoch   2/9  half of a li",
                       first + "uncalibrated  epoch   2/9  loss 2\nTest split, epoch 2 of 9\n"});
  options_.between_lines = std::chrono::milliseconds(0);
  ASSERT_TRUE(Do({"works"}, "1", launcher).ok());
  EXPECT_THAT(out_, HasSubstr("train.log\nworks/seed-0: epoch 1/9 4 conversations loss 1\n"
                              "works/seed-0: uncalibrated epoch 2/9 loss 2\n[1/1] works/seed-0: "));
  FakeLauncher seldom;
  seldom.set_epochs({first});
  options_.between_lines = std::chrono::hours(1);
  ASSERT_TRUE(Do({"works"}, "2", seldom).ok());
  EXPECT_THAT(out_, HasSubstr("train.log\n[1/1] works/seed-0: "));
}

// Asked to stop while a run never ends: that run is asked too, and nothing is held afterwards.
TEST_F(RunnerTest, StopsWhenItIsAskedTo) {
  parallel_runs_ = 1;
  std::future<void> met =
      std::async(std::launch::async, [&] { close(open((output_ + "/gate").c_str(), O_RDONLY)); });
  options_.should_stop = [&] {
    return met.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  const absl::Status status = Do({"never_ends", "works"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(std::string(status.message()), AllOf(StartsWith("stopped with 0 of 2 runs done\n"),
                                                   HasSubstr("to go on: the same command again")));
  EXPECT_FALSE(std::filesystem::exists(output_ + "/lock"));
  EXPECT_FALSE(std::filesystem::exists(output_ + "/works"));
  PlannedRun begun;
  begun.variant = "never_ends";
  begun.seed = 0;
  begun.identity = "1";
  EXPECT_EQ(StateOf(begun, output_), RunState::kInterrupted);
  begun.identity = "2";
  EXPECT_EQ(StateOf(begun, output_), RunState::kNew);
}

TEST_F(RunnerTest, ALauncherThatRefusesARunStopsTheOthers) {
  FakeLauncher launcher;
  EXPECT_EQ(Do({"works", "refused"}, "1", launcher).status(),
            absl::UnavailableError("no node is free"));
  EXPECT_EQ(launcher.stopped(), 1);
}

// CMERC_RUNNER_ROUNDS=10000 for the long form:
//   bazel test //tests/experiment:runner_test --test_env=CMERC_RUNNER_ROUNDS=10000
//   --test_timeout=7200 --test_filter=*ManyTimes --test_output=streamed
TEST_F(RunnerTest, StartsAndStopsManyTimes) {
  int rounds = 50;
  if (const char* asked = std::getenv("CMERC_RUNNER_ROUNDS")) {
    ASSERT_TRUE(absl::SimpleAtoi(asked, &rounds) && rounds > 0) << asked;
  }
  parallel_runs_ = 3;
  for (int round = 0; round < rounds; ++round) {
    // Another identity: nothing has been finished.
    const std::string identity = absl::StrCat(round);
    const auto ended =
        Do({"works", "dies", "is_killed", "says_nothing", "leaves_a_process", "works"}, identity);
    ASSERT_TRUE(ended.ok()) << ended.status();
    ASSERT_EQ(ended->size(), 3u) << "round " << round;
    close(open((output_ + "/release").c_str(), O_WRONLY));
    ASSERT_FALSE(Do({"works", "never_ends", "cannot_finish", "works"}, identity).ok());
    ASSERT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "round " << round;
    if ((round + 1) % 500 == 0) std::cerr << "[" << round + 1 << "/" << rounds << "] rounds\n";
  }
}

}  // namespace
}  // namespace cmerc
