// Claims of several holders on one folder, in one process, with clocks of the test's.
#include "experiment/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "experiment/plan.h"
#include "experiment/worker_runs.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using State = Claims::State;

class ClaimsTest : public testing::Test {
 protected:
  // A holder on a host of its own, whose clock is *clock.
  std::unique_ptr<Claims> On(const std::string& host, std::chrono::seconds* clock,
                             bool alone = false) {
    Claims::Options options;
    options.holder = {host + ", process 7", "boot-of-" + host + " pid:[1] 7 70"};
    options.alone = alone;
    options.patience = std::chrono::seconds(60);
    options.now = [clock] { return Claims::Clock::time_point(*clock); };
    return std::make_unique<Claims>(options);
  }

  State Take(Claims& claims) {
    const auto answer = claims.Take(folder_);
    EXPECT_TRUE(answer.ok()) << answer.status();
    text_ = answer.ok() ? answer->text : "";
    return answer.ok() ? answer->state : State::kTaken;
  }

  const std::string folder_ = NewFolder();
  std::string text_;  // of the last answer
  // Of hosts whose clocks differ by an hour.
  std::chrono::seconds a_{5}, b_{3605}, c_{7};
};

TEST_F(ClaimsTest, OneHasItAndGivesItBack) {
  const auto a = On("a", &a_), b = On("b", &b_);
  EXPECT_EQ(Take(*a), State::kMine);
  EXPECT_EQ(Take(*a), State::kMine);
  EXPECT_EQ(Take(*b), State::kTaken);
  EXPECT_EQ(text_, "a, process 7");
  EXPECT_EQ(ClaimantOf(folder_), "a, process 7");
  EXPECT_TRUE(a->Holds(folder_));
  EXPECT_FALSE(b->Holds(folder_));
  a->Release(folder_);
  EXPECT_THAT(Files(folder_), IsEmpty());
  EXPECT_EQ(Take(*b), State::kMine);
}

TEST_F(ClaimsTest, AHeartbeatThatGoesOnIsNeverOld) {
  const auto a = On("a", &a_), b = On("b", &b_);
  ASSERT_EQ(Take(*a), State::kMine);
  for (int minute = 0; minute < 10; ++minute) {
    EXPECT_EQ(Take(*b), State::kTaken) << minute;
    b_ += std::chrono::seconds(59);
    EXPECT_EQ(Take(*b), State::kTaken) << minute;
    a->Beat();
    b_ += std::chrono::seconds(1);
  }
  EXPECT_TRUE(a->Holds(folder_));
}

TEST_F(ClaimsTest, AHeartbeatThatStandsStillIsTakenOverOnce) {
  const auto a = On("a", &a_), b = On("b", &b_), c = On("c", &c_);
  ASSERT_EQ(Take(*a), State::kMine);
  EXPECT_EQ(Take(*b), State::kTaken);
  EXPECT_EQ(Take(*c), State::kTaken);
  b_ += std::chrono::seconds(60);
  c_ += std::chrono::seconds(60);
  EXPECT_EQ(Take(*b), State::kMine);
  // The claim is a new one by now, whose heartbeat is watched anew.
  EXPECT_EQ(Take(*c), State::kTaken);
  EXPECT_EQ(text_, "b, process 7");
  c_ += std::chrono::seconds(59);
  EXPECT_EQ(Take(*c), State::kTaken);
  // The first wakes up: it learns that it has lost, and touches nothing of the other's.
  EXPECT_FALSE(a->Holds(folder_));
  a->Beat();
  EXPECT_THAT(a->TakeLost(), ElementsAre(folder_));
  EXPECT_THAT(a->TakeLost(), IsEmpty());
  a->Release(folder_);
  EXPECT_TRUE(b->Holds(folder_));
  b->Beat();
  EXPECT_THAT(b->TakeLost(), IsEmpty());
  b->Release(folder_);
  EXPECT_THAT(Files(folder_), IsEmpty());
}

TEST_F(ClaimsTest, OneThatIsLostWhenItIsGivenBackIsLeftAlone) {
  const auto a = On("a", &a_), b = On("b", &b_);
  ASSERT_EQ(Take(*a), State::kMine);
  EXPECT_EQ(Take(*b), State::kTaken);
  b_ += std::chrono::minutes(2);
  ASSERT_EQ(Take(*b), State::kMine);
  a->ReleaseAll();
  EXPECT_TRUE(b->Holds(folder_));
}

TEST_F(ClaimsTest, AFailureIsKnownToOthersAndTriedAgainByWhoComesLater) {
  const auto a = On("a", &a_), b = On("b", &b_), later = On("c", &c_);
  b->Begin({folder_});
  ASSERT_EQ(Take(*a), State::kMine);
  a->Fail(folder_, "failed with exit status 1:\nthe disk is full");
  EXPECT_EQ(ClaimantOf(folder_), "");
  EXPECT_EQ(Take(*b), State::kFailed);
  EXPECT_EQ(text_, "failed with exit status 1: the disk is full");
  later->Begin({folder_});
  EXPECT_EQ(Take(*later), State::kMine);
  // Who began while it was under way knows of what became of it.
  const auto between = On("d", &b_);
  between->Begin({folder_});
  later->Fail(folder_, "failed again");
  EXPECT_EQ(Take(*between), State::kFailed);
}

// Two processes that hold the lock of the experiment one after the other.
TEST_F(ClaimsTest, WhoIsAloneDoesNotWaitForItsForerunner) {
  const auto killed = On("a", &a_, /*alone=*/true), next = On("b", &b_, /*alone=*/true);
  const auto worker = On("c", &c_);
  ASSERT_EQ(Take(*killed), State::kMine);
  EXPECT_EQ(Take(*worker), State::kTaken);
  EXPECT_EQ(Take(*next), State::kMine);
  const std::string other = NewFolder();
  ASSERT_TRUE(worker->Take(other).ok());
  const auto answer = next->Take(other);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->state, State::kTaken);
}

TEST_F(ClaimsTest, AProcessOfThisMachineThatIsGoneIsNotWaitedFor) {
  const pid_t child = fork();
  if (child == 0) {
    Claims claims({});
    const bool mine = claims.Take(folder_).ok();
    _exit(mine ? 0 : 1);  // without giving it back
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_THAT(ClaimantOf(folder_), HasSubstr(absl::StrCat("process ", child)));
  Claims here({});
  EXPECT_EQ(Take(here), State::kMine);
  Claims also_here({});
  EXPECT_EQ(Take(also_here), State::kTaken);
}

// A claim whose process died between making the file and writing it, where there are no hard links.
TEST_F(ClaimsTest, AnEmptyClaimIsWatchedLikeAnyOther) {
  WriteFile(folder_ + "/claim.3", "");
  const auto b = On("b", &b_);
  EXPECT_EQ(Take(*b), State::kTaken);
  EXPECT_EQ(ClaimantOf(folder_), "a process that has not said its name");
  b_ += std::chrono::seconds(60);
  EXPECT_EQ(Take(*b), State::kMine);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/claim.4"));
  WriteFile(folder_ + "/claim.4.host.1.0.new", "left by a process that was killed");
  WriteFile(folder_ + "/claims", "of somebody else");
  RemoveClaims(folder_);
  EXPECT_THAT(Files(folder_), ElementsAre(testing::Pair("claims", "of somebody else")));
}

TEST_F(ClaimsTest, AFolderThatCannotBeWritten) {
  const auto a = On("a", &a_);
  const absl::Status status = a->Take(folder_ + "/none").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("cannot claim "), HasSubstr("/none/claim.1: No such file")));
}

// Threads stand in for hosts: whenever one has the claim, no other has.
TEST_F(ClaimsTest, NeverTwoAtTheSameTime) {
  std::atomic<int> holders{0}, most{0}, times{0};
  std::vector<std::thread> threads;
  for (int host = 0; host < 4; ++host) {
    threads.emplace_back([&, host] {
      std::chrono::seconds clock(host);
      const auto claims = On(absl::StrCat("host", host), &clock);
      while (times < 400) {
        const auto answer = claims->Take(folder_);
        if (!answer.ok() || answer->state != State::kMine) continue;
        most = std::max(most.load(), ++holders);
        ++times;
        --holders;
        claims->Release(folder_);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_THAT(Files(folder_), IsEmpty());
}

TEST(WorkerRunsTest, WorkersMustMeanTheSameRuns) {
  const std::string output = NewFolder();
  std::vector<PlannedRun> runs(2);
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].variant = "v";
    runs[i].seed = i;
    runs[i].identity = absl::StrCat("config ", i);
    std::filesystem::create_directories(absl::StrCat(output, "/", runs[i].path()));
  }
  ASSERT_TRUE(AgreeOnRuns(runs, output, /*worker=*/false).ok());
  EXPECT_THAT(Files(output).count("worker_runs.txt"), 0);
  ASSERT_TRUE(AgreeOnRuns(runs, output, /*worker=*/true).ok());
  Claims claims({});
  ASSERT_TRUE(claims.Take(output + "/v/seed-1").ok());
  std::vector<PlannedRun> more = runs;
  more.push_back(runs[0]);
  more[2].seed = 9;
  EXPECT_TRUE(AgreeOnRuns(more, output, /*worker=*/true).ok());
  more[0].identity = "other data";
  for (const bool worker : {false, true}) {
    const absl::Status status = AgreeOnRuns(more, output, worker);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("v/seed-0 is another run for this process than for the workers "),
                      HasSubstr(" works on v/seed-1; give every worker the same plan")));
  }
  claims.Release(output + "/v/seed-1");
  EXPECT_TRUE(AgreeOnRuns(more, output, /*worker=*/true).ok());
}

}  // namespace
}  // namespace cmerc
