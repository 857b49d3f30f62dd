// The runner with processes that behave badly in every way. A deadlock is a timeout of this test.
#include "experiment/runner.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = NewFolder();
    options_.output = folder;
    options_.program = std::filesystem::absolute("tests/experiment/runner_child");
    options_.parallel_runs = 2;
    for (const char* fifo : {"/gate", "/release"}) {
      ASSERT_EQ(mkfifo((folder + fifo).c_str(), 0600), 0);
    }
  }

  // Nothing that was started is left, alive or not waited for.
  void TearDown() override {
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
  }

  // A run of each kind of tests/experiment/runner_child.cc, in this order.
  absl::StatusOr<std::vector<std::string>> Do(const std::vector<std::string>& kinds,
                                              const std::string& identity = "1") {
    std::vector<PlannedRun> runs;
    for (const std::string& kind : kinds) {
      PlannedRun run;
      run.variant = kind;
      run.seed = runs.size();
      run.identity = identity;
      runs.push_back(run);
    }
    testing::internal::CaptureStdout();
    auto failures = DoRuns(runs, options_);
    out_ = testing::internal::GetCapturedStdout();
    return failures;
  }

  std::vector<std::string> Failures(const std::vector<std::string>& kinds) {
    const auto failures = Do(kinds);
    EXPECT_TRUE(failures.ok()) << failures.status();
    return failures.value_or(std::vector<std::string>());
  }

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

TEST_F(RunnerTest, AnInterruptedRunIsGoneOnWithUnlessItIsAnotherOneByNow) {
  const std::string folder = options_.output + "/is_interrupted/seed-0";
  EXPECT_THAT(Failures({"is_interrupted"}), ElementsAre(HasSubstr("exit status 130")));
  WriteFile(folder + "/resume.pth", "of the first");
  const auto another = Do({"is_interrupted"}, "2");
  ASSERT_TRUE(another.ok()) << another.status();
  EXPECT_THAT(*another, ElementsAre(HasSubstr("exit status 130")));
  EXPECT_FALSE(std::filesystem::exists(folder + "/resume.pth"));
  const auto again = Do({"is_interrupted"}, "2");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(*again, IsEmpty());
}

TEST_F(RunnerTest, AProgramThatCannotBeStarted) {
  options_.program = "/nonexistent/cmerc";
  EXPECT_THAT(Failures({"works", "works"}),
              UnorderedElementsAre(
                  "works/seed-0: failed with exit status 127: cannot start /nonexistent/cmerc: No "
                  "such file or directory",
                  HasSubstr("works/seed-1: failed")));
  options_.program = options_.output;
  EXPECT_THAT(Failures({"works"}), ElementsAre(HasSubstr(": Permission denied")));
}

TEST_F(RunnerTest, ALogOfMegabytes) {
  const std::vector<std::string> failures = Failures({"floods", "floods_last"});
  EXPECT_THAT(failures, UnorderedElementsAre(
                            "floods/seed-0: failed with exit status 1: the end",
                            StartsWith("floods_last/seed-1: failed with exit status 1: see ")));
  EXPECT_GT(std::filesystem::file_size(options_.output + "/floods/seed-0/train.log"), 4u << 20);
}

// With two at a time, the third run starts when the second has ended, while the first still waits
// for it, as for a slow disk.
TEST_F(RunnerTest, ASlowRunHoldsNoOtherUp) {
  EXPECT_THAT(Failures({"is_slow", "works", "opens_the_gate"}), IsEmpty());
  EXPECT_THAT(out_, StartsWith("[1/3] works/seed-1: "));
}

TEST_F(RunnerTest, AProcessThatARunLeavesBehindIsNotWaitedFor) {
  EXPECT_THAT(Failures({"leaves_a_process", "works"}), IsEmpty());
  // It still waits for this.
  const int release = open((options_.output + "/release").c_str(), O_WRONLY);
  EXPECT_GE(release, 0);
  close(release);
}

// As process 1 of a container is handed every orphan.
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

// CMERC_RUNNER_ROUNDS=10000 for the long form:
//   bazel test //tests/experiment:runner_test --test_env=CMERC_RUNNER_ROUNDS=10000
//   --test_timeout=7200 --test_filter=*ManyTimes --test_output=streamed
TEST_F(RunnerTest, StartsAndStopsManyTimes) {
  int rounds = 50;
  if (const char* asked = std::getenv("CMERC_RUNNER_ROUNDS")) {
    ASSERT_TRUE(absl::SimpleAtoi(asked, &rounds) && rounds > 0) << asked;
  }
  options_.parallel_runs = 3;
  for (int round = 0; round < rounds; ++round) {
    // Another identity: nothing has been finished.
    const std::string identity = absl::StrCat(round);
    const auto ended =
        Do({"works", "dies", "is_killed", "says_nothing", "leaves_a_process", "works"}, identity);
    ASSERT_TRUE(ended.ok()) << ended.status();
    ASSERT_EQ(ended->size(), 3u) << "round " << round;
    close(open((options_.output + "/release").c_str(), O_WRONLY));
    ASSERT_FALSE(Do({"works", "never_ends", "cannot_finish", "works"}, identity).ok());
    ASSERT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "round " << round;
    if ((round + 1) % 500 == 0) std::cerr << "[" << round + 1 << "/" << rounds << "] rounds\n";
  }
}

}  // namespace
}  // namespace cmerc
