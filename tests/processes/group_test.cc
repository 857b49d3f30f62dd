// Groups of real processes on this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "processes/meeting.h"
#include "processes/process_group.h"
#include "processes/sockets.h"
#include "tests/bin/files.h"
#include "tests/processes/ranks.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// "float [2, 3]: 1 2 3 4 5 6 | ...".
std::string Show(const absl::StatusOr<std::vector<torch::Tensor>>& tensors) {
  if (!tensors.ok()) return tensors.status().ToString();
  std::vector<std::string> shown;
  for (const torch::Tensor& tensor : *tensors) {
    const torch::Tensor flat = tensor.to(torch::kFloat64).contiguous();
    const double* const values = flat.data_ptr<double>();
    shown.push_back(absl::StrCat(
        c10::toString(tensor.scalar_type()), " [", absl::StrJoin(tensor.sizes(), ", "),
        "]: ", absl::StrJoin(std::vector<double>(values, values + flat.numel()), " ")));
  }
  return absl::StrJoin(shown, " | ");
}

std::string Show(const absl::StatusOr<bool>& any) {
  return any.ok() ? absl::StrCat(*any) : any.status().ToString();
}

TEST(GroupTest, UnevenAndEmptyPartsOfEveryType) {
  const auto work = [](ProcessGroup& group) {
    const int64_t rows = group.rank() == 1 ? 0 : group.rank() + 1;
    const torch::Tensor mine = torch::arange(rows * 2).view({rows, 2}) + 10 * (group.rank() + 1);
    std::string text;
    for (const torch::ScalarType type :
         {torch::kFloat32, torch::kFloat64, torch::kInt64, torch::kUInt8}) {
      absl::StrAppend(&text, Show(group.AllGather(mine.to(type), "numbers")), "\n");
    }
    return absl::StrCat(text, Show(group.AllGather(mine > 13, "flags")));
  };
  const auto expected = [](const std::string& last) {
    std::string text;
    for (const char* type : {"Float", "Double", "Long", "Byte"}) {
      absl::StrAppend(&text, type, " [1, 2]: 10 11 | ", type,
                      " [0, 2]: ", last.empty() ? "" : absl::StrCat(" | ", type, last), "\n");
    }
    return absl::StrCat(text, "Bool [1, 2]: 0 0 | Bool [0, 2]: ",
                        last.empty() ? "" : " | Bool [3, 2]: 1 1 1 1 1 1");
  };
  EXPECT_THAT(RunRanks(2, work), Each(expected("")));
  EXPECT_THAT(RunRanks(3, work), Each(expected(" [3, 2]: 30 31 32 33 34 35")));
}

// Four processes, nothing from any of them, three axes, large tensors, and bits that are no
// numbers.
TEST(GroupTest, TheSameBitsComeOut) {
  const auto work = [](ProcessGroup& group) {
    const absl::StatusOr<std::vector<torch::Tensor>> none =
        group.AllGather(torch::empty({0, 3, 2}), "nothing");
    std::string text = Show(none);
    const int64_t rows = 100000 + group.rank();
    torch::Tensor large = torch::arange(rows * 5, torch::kInt32).view({rows, 5}) * 2654435761;
    const absl::StatusOr<std::vector<torch::Tensor>> all =
        group.AllGather(large.view(torch::kFloat32), "large");
    if (!all.ok()) return all.status().ToString();
    for (int rank = 0; rank < group.size(); ++rank) {
      const torch::Tensor its = (*all)[rank].contiguous().view(torch::kInt32);
      const int64_t wanted = 100000 + rank;
      const torch::Tensor expected =
          torch::arange(wanted * 5, torch::kInt32).view({wanted, 5}) * 2654435761;
      absl::StrAppend(&text, ", ", torch::equal(its, expected));
    }
    return text;
  };
  EXPECT_THAT(RunRanks(4, work), Each("Float [0, 3, 2]:  | Float [0, 3, 2]:  | "
                                      "Float [0, 3, 2]:  | Float [0, 3, 2]: , 1, 1, 1, 1"));
}

TEST(GroupTest, AnyOfThemMaySay) {
  const auto work = [](ProcessGroup& group) {
    std::vector<std::string> answers;
    for (int speaker = -1; speaker < group.size(); ++speaker) {
      answers.push_back(Show(group.Any(speaker == group.rank(), "stop?")));
    }
    return absl::StrJoin(answers, " ");
  };
  EXPECT_THAT(RunRanks(3, work), Each("0 1 1 1"));
}

// Gradients stay where they are, and what is not contiguous comes as it looks.
TEST(GroupTest, TensorsOfAnyKind) {
  const auto work = [](ProcessGroup& group) {
    torch::Tensor mine = torch::arange(6, torch::kFloat32).view({2, 3}) + group.rank();
    mine.set_requires_grad(true);
    const auto all = group.AllGather(mine.t(), "turned");
    return absl::StrCat(Show(all), all.ok() && (*all)[0].requires_grad() ? " with gradients" : "");
  };
  EXPECT_THAT(RunRanks(2, work), Each("Float [3, 2]: 0 3 1 4 2 5 | Float [3, 2]: 1 4 2 5 3 6"));
}

TEST(GroupTest, WhatDoesNotFitIsAnErrorOfAll) {
  const auto shapes = [](ProcessGroup& group) {
    return Show(group.AllGather(torch::zeros({1, 2 + group.rank()}), "outputs of step 7"));
  };
  EXPECT_THAT(RunRanks(2, shapes),
              Each(HasSubstr("outputs of step 7: rank 0 has Float [1, 2] and rank 1 Float [1, 3]; "
                             "only the first axis may differ")));
  const auto types = [](ProcessGroup& group) {
    return Show(group.AllGather(
        torch::zeros({1}, group.rank() == 1 ? torch::kInt64 : torch::kFloat32), "losses"));
  };
  EXPECT_THAT(RunRanks(2, types), Each(HasSubstr("rank 0 has Float [1] and rank 1 Long [1]")));
  const auto places = [](ProcessGroup& group) {
    return Show(group.AllGather(torch::zeros({1}), absl::StrCat("step ", group.rank())));
  };
  EXPECT_THAT(RunRanks(2, places), Each(HasSubstr("ranks 0 and 1 are not at the same place")));
}

// What a killed process has agreed on with the others before.
std::string UntilTheOthersAreGone(ProcessGroup& group, int victim) {
  for (int step = 1;; ++step) {
    const absl::StatusOr<bool> any = group.Any(false, absl::StrCat("step ", step));
    if (!any.ok()) {
      return absl::StrCat(any.status().ToString(), "\n", Show(group.Any(false, "again")));
    }
    if (step == 3 && group.rank() == victim) kill(getpid(), SIGKILL);
  }
}

class DeathTest : public testing::TestWithParam<int> {};

// Rank 0 has the store as well.
TEST_P(DeathTest, TheOthersNameTheOneThatDied) {
  const int victim = GetParam();
  Ranks ranks(NewFolder());
  std::vector<pid_t> processes;
  for (int rank = 0; rank < 4; ++rank) {
    processes.push_back(ranks.Start(RankOf(rank, 4), [victim](ProcessGroup& group) {
      return UntilTheOthersAreGone(group, victim);
    }));
  }
  const std::vector<std::string> results = ranks.Results();
  for (int rank = 0; rank < 4; ++rank) {
    if (rank == victim) {
      EXPECT_EQ(results[rank], "killed by 9");
      continue;
    }
    const std::string name = absl::StrCat("rank ", victim, " of 4 (host ");
    const std::string process = absl::StrCat(", process ", processes[victim], ") is gone");
    EXPECT_THAT(results[rank], AllOf(HasSubstr("UNAVAILABLE"), HasSubstr(name), HasSubstr(process),
                                     HasSubstr("(noticed at: step ")));
    // Nothing is tried after that.
    EXPECT_EQ(results[rank].substr(0, results[rank].find('\n')),
              results[rank].substr(results[rank].find('\n') + 1));
  }
}

INSTANTIATE_TEST_SUITE_P(Each, DeathTest, testing::Values(0, 1, 3));

// One that fails by itself is told from one that died.
TEST(GroupTest, OneThatLeavesEarlyIsNamed) {
  const auto work = [](ProcessGroup& group) {
    if (group.rank() == 1) return std::string("had enough");
    return Show(group.Any(true, "step 1"));
  };
  const std::vector<std::string> results = RunRanks(3, work);
  EXPECT_EQ(results[1], "had enough");
  for (const int rank : {0, 2}) {
    EXPECT_THAT(results[rank],
                AllOf(HasSubstr("rank 1 of 3 (host "),
                      HasSubstr(") has ended before the others; see what it said (noticed at: ")));
  }
}

// One is suspended and goes on when another has long been waiting for it.
TEST(GroupTest, OneThatIsSlowIsWaitedFor) {
  Ranks ranks(NewFolder());
  const pid_t slow = ranks.Start(RankOf(0, 2), [](ProcessGroup& group) {
    raise(SIGSTOP);
    return Show(group.Any(true, "step 1"));
  });
  ranks.Start(RankOf(1, 2), [slow](ProcessGroup& group) {
    // Until it is suspended.
    for (std::string state; state != "T";) {
      const std::string stat = ReadFile(absl::StrCat("/proc/", slow, "/stat"));
      state = stat.substr(stat.rfind(") ") + 2, 1);
    }
    if (fork() == 0) {
      // Another process wakes it up after this one has begun to wait, or about then.
      kill(slow, SIGCONT);
      _exit(0);
    }
    return Show(group.Any(false, "step 1"));
  });
  EXPECT_THAT(ranks.Results(), Each("1"));
}

TEST(JoinTest, TheFileByWhichTheyMetIsGone) {
  const std::string folder = NewFolder();
  Ranks ranks(folder);
  for (int rank = 0; rank < 2; ++rank) {
    ranks.Start(RankOf(rank, 2), [&](ProcessGroup&) {
      return std::string(std::filesystem::is_empty(folder) ? "empty" : "not empty");
    });
  }
  EXPECT_THAT(ranks.Results(), Each("empty"));
}

// Files of launches that were killed: of one whose port nobody has, of one whose port has somebody
// else's store by now, and half a file.
TEST(JoinTest, AFileThatWasLeftMisleadsNobody) {
  const std::string folder = NewFolder();
  const std::string other = NewFolder();
  Ranks others(other);
  others.Start(
      RankOf(0, 2), [](ProcessGroup&) { return std::string(); }, std::chrono::minutes(1));
  while (!std::filesystem::exists(MeetingFile(other))) {
  }
  std::string alive = ReadFile(MeetingFile(other));
  // The last digit of the number of that launch is another one.
  char& digit = alive[alive.find('\n', alive.find("\n\n") + 2) - 1];
  digit = digit == '1' ? '2' : '1';
  for (const std::string& left :
       {std::string("cmerc processes meet here\n\n17\n1\n127.0.0.1 ::1\n"), alive,
        std::string("cmerc processes meet here\n\n17")}) {
    WriteFile(MeetingFile(folder), left);
    Ranks ranks(folder);
    const auto work = [](ProcessGroup& group) { return Show(group.Any(true, "?")); };
    ranks.Start(RankOf(1, 2), work);
    ranks.Start(RankOf(0, 2), work);
    EXPECT_THAT(ranks.Results(), Each("1"));
  }
}

TEST(JoinTest, WhoHasNotComeIsNamed) {
  Ranks ranks(NewFolder());
  const auto work = [](ProcessGroup&) { return std::string("met"); };
  for (const int rank : {0, 2}) {
    ranks.Start(RankOf(rank, 4), work, std::chrono::milliseconds(700));
  }
  const std::vector<std::string> results = ranks.Results();
  EXPECT_THAT(results[0], HasSubstr("of the 4 processes, ranks 1, 3 have not come"));
  EXPECT_THAT(results[1], HasSubstr("UNAVAILABLE"));
  Ranks alone(NewFolder());
  alone.Start(RankOf(1, 2), work, std::chrono::milliseconds(300));
  EXPECT_THAT(alone.Results(),
              ElementsAre(AllOf(HasSubstr("rank 0 of 2 has not come"),
                                HasSubstr("on a file system that their hosts share"))));
}

// A port that nobody has.
int FreePort() {
  int port = 0;
  EXPECT_TRUE(Listen(&port).ok());
  return port;
}

ProcessIdentity AtAddress(int rank, int size, int port) {
  ProcessIdentity identity = RankOf(rank, size);
  identity.address = "localhost";
  identity.port = port;
  return identity;
}

TEST(JoinTest, TheyMeetAtAnAddress) {
  const int port = FreePort();
  Ranks ranks("/nonexistent");
  for (int rank = 0; rank < 3; ++rank) {
    ranks.Start(AtAddress(rank, 3, port),
                [](ProcessGroup& group) { return Show(group.Any(group.rank() == 2, "?")); });
  }
  EXPECT_THAT(ranks.Results(), Each("1"));
}

TEST(JoinTest, AnAddressThatCannotBeUsed) {
  const auto work = [](ProcessGroup&) { return std::string("met"); };
  int port = 0;
  const absl::StatusOr<Socket> somebody = Listen(&port);
  ASSERT_TRUE(somebody.ok());
  Ranks taken("/nonexistent");
  taken.Start(AtAddress(0, 2, port), work);
  EXPECT_THAT(taken.Results(),
              ElementsAre(AllOf(HasSubstr(absl::StrCat("UNAVAILABLE: MASTER_ADDR=localhost, "
                                                       "MASTER_PORT=",
                                                       port, ": rank 0 cannot listen there; ")),
                                HasSubstr("choose a port that is free"))));
  Ranks alone("/nonexistent");
  alone.Start(AtAddress(1, 2, FreePort()), work, std::chrono::seconds(1));
  EXPECT_THAT(alone.Results(),
              ElementsAre(HasSubstr("rank 0 does not answer there; it has ended")));
}

TEST(JoinTest, ARankThatTwoHaveIsRefused) {
  Ranks ranks(NewFolder());
  for (const int rank : {0, 1, 1}) {
    ranks.Start(
        RankOf(rank, 3), [](ProcessGroup&) { return std::string("met"); }, std::chrono::seconds(2));
  }
  const std::string all = absl::StrJoin(ranks.Results(), "\n");
  EXPECT_THAT(all, AllOf(HasSubstr("another process is rank 1 of 3 already; are there two launches "
                                   "of the same --output or MASTER_PORT?"),
                         HasSubstr("rank 2 has not come"), Not(HasSubstr("met"))));
}

TEST(JoinTest, LaunchesThatMixAreRefused) {
  Ranks ranks(NewFolder());
  const auto work = [](ProcessGroup&) { return std::string("met"); };
  for (const ProcessIdentity& identity : {RankOf(0, 2), RankOf(1, 3)}) {
    ranks.Start(identity, work, std::chrono::seconds(2));
  }
  EXPECT_THAT(ranks.Results(),
              ElementsAre(HasSubstr("was started as one of 3 processes, this one as one of 2"),
                          Not("met")));
  // Another launch says that it is another one.
  Ranks other(NewFolder());
  ProcessIdentity first = RankOf(0, 2);
  first.started_by = "SLURM_JOB_ID=1";
  ProcessIdentity second = RankOf(1, 2);
  second.started_by = "SLURM_JOB_ID=2";
  for (const ProcessIdentity& identity : {first, second}) {
    other.Start(identity, work, std::chrono::milliseconds(500));
  }
  EXPECT_THAT(other.Results(),
              ElementsAre(HasSubstr("rank 1 has not come"), HasSubstr("rank 0 of 2 has not come")));
}

}  // namespace
}  // namespace cmerc
