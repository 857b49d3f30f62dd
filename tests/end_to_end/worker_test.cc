// `cmerc experiment --worker`: hosts that share a folder and nothing else. Each worker is in
// namespaces of its own, without network and without the others' processes, where the test may make
// such; killing one is then as good as pulling a plug.
//
// CMERC_WORKER_ROUNDS=100 for the long form, which kills a hundred workers:
//   bazel test //tests/end_to_end:worker_test --test_env=CMERC_WORKER_ROUNDS=100
//   --test_timeout=3600
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/experiments.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::vector<std::string> kApart = {"--net", "--pid", "--fork", "--kill-child"};

// Whether a process can be started in namespaces of its own.
bool CanBeApart() {
  static const bool can = [] {
    std::vector<std::string> args = kApart;
    args.push_back("/bin/true");
    return std::filesystem::exists("/usr/bin/unshare") &&
           RunProgram("/usr/bin/unshare", args, NewFolder()).exit_code == 0;
  }();
  return can;
}

std::unique_ptr<RunningProgram> StartWorker(const std::string& folder,
                                            const std::vector<std::string>& more = {"--worker"}) {
  std::vector<std::string> args = {"experiment", "--config=plan.textproto", "--output=out/tiny",
                                   "--patience_s=2", "--jobs=1"};
  args.insert(args.end(), more.begin(), more.end());
  if (!CanBeApart()) return std::make_unique<RunningProgram>("bin/cmerc", args, folder);
  std::vector<std::string> apart = kApart;
  apart.push_back(std::filesystem::absolute("bin/cmerc"));
  apart.insert(apart.end(), args.begin(), args.end());
  return std::make_unique<RunningProgram>("/usr/bin/unshare", apart, folder);
}

// How many workers are killed.
int Rounds(int in_short) {
  int rounds = in_short;
  if (const char* asked = std::getenv("CMERC_WORKER_ROUNDS")) {
    EXPECT_TRUE(absl::SimpleAtoi(asked, &rounds) && rounds > 0) << asked;
  }
  return rounds;
}

// Three workers do a plan, of which one after the other is killed and another takes its place; what
// they leave is what one process leaves.
void ExpectTheSameBytes(const std::string& plan, int rounds) {
  const Ran alone = RunPlan(NewFolder(), plan);
  ASSERT_EQ(alone.outcome.exit_code, 0) << alone.outcome.err;

  const std::string folder = NewFolder();
  WriteFile(folder + "/plan.textproto", plan);
  std::vector<std::unique_ptr<RunningProgram>> workers;
  for (int i = 0; i < 3; ++i) workers.push_back(StartWorker(folder));
  std::mt19937_64 random(3);
  std::uniform_int_distribution<int> moment(0, 2000000);
  int kills = 0;
  while (kills < rounds) {
    std::unique_ptr<RunningProgram>& worker = workers[random() % workers.size()];
    // Only the last ones end by themselves.
    if (worker->EndsWithin(std::chrono::microseconds(moment(random)))) break;
    kill(worker->pid(), SIGKILL);
    EXPECT_EQ(worker->Wait().exit_code, 128 + SIGKILL);
    ++kills;
    worker = StartWorker(folder);
  }
  std::cout << "killed " << kills << " workers"
            << (CanBeApart() ? ", each on a host of its own\n" : "\n");
  EXPECT_GT(kills, 0);
  int tables = 0;
  for (const auto& worker : workers) {
    const Outcome outcome = worker->Wait();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    EXPECT_THAT(outcome.out, Not(HasSubstr("failed with")));
    if (absl::StrContains(outcome.out, "written to out/tiny")) ++tables;
  }
  EXPECT_GE(tables, 1);
  EXPECT_EQ(ResultFiles(folder), ResultFiles(alone.folder));
}

TEST(WorkerTest, TheSameBytesHoweverManyAreKilled) {
  const int rounds = Rounds(4);
  ExpectTheSameBytes(TwoByTwo(std::max(2, rounds / 3), /*epochs=*/20), rounds);
}

// Every worker goes from round to round, and drops the same trials.
TEST(WorkerTest, ASearchIsDoneByAllWhoeverIsKilled) {
  const int rounds = Rounds(2);
  ExpectTheSameBytes(Plan(absl::StrCat(R"pb(search { halvings: 1
                                                     draw {
                                                       path: "training.learning_rate"
                                                       log_uniform { min: 1e-3 max: 1e-1 }
                                                     }
                                                     set { training { epochs: 6 } }
                                                     trials:)pb",
                                       " ", std::max(4, rounds), " } seeds: 1 seeds: 2 ")),
                     rounds);
}

TEST(WorkerTest, ATrialThatFailsIsToldByEveryWorker) {
  const std::string plan = Plan(R"pb(
    search {
      trials: 8
      halvings: 0
      draw { path: "training.learning_rate" choice: "1e-3" choice: "1e30" }
    }
  )pb");
  const Ran alone = RunPlan(NewFolder(), plan);
  ASSERT_EQ(alone.outcome.exit_code, 0) << alone.outcome.err;
  const std::string folder = NewFolder();
  WriteFile(folder + "/plan.textproto", plan);
  const auto one = StartWorker(folder), other = StartWorker(folder);
  EXPECT_EQ(one->Wait().exit_code, 0);
  EXPECT_EQ(other->Wait().exit_code, 0);
  const std::map<std::string, std::string> files = ResultFiles(folder);
  EXPECT_EQ(files, ResultFiles(alone.folder));
  EXPECT_THAT(files.at("search.md"), HasSubstr("| failed: failed with exit status 1: "));
  EXPECT_EQ(
      std::count_if(files.begin(), files.end(),
                    [](const auto& file) { return absl::EndsWith(file.first, "/failed.txt"); }),
      1);
}

TEST(WorkerTest, ShardsAreDoneApartAndTheLastOneWritesTheTables) {
  const std::string plan = TwoByTwo(/*seeds=*/1, /*epochs=*/2);
  const Ran alone = RunPlan(NewFolder(), plan);
  ASSERT_EQ(alone.outcome.exit_code, 0) << alone.outcome.err;
  const std::string folder = NewFolder();
  const Ran second = RunPlan(folder, plan, {"--shard=2/2"});
  EXPECT_EQ(second.outcome.exit_code, 0) << second.outcome.err;
  EXPECT_THAT(
      second.outcome.out,
      AllOf(HasSubstr("[2/2] "), HasSubstr("2 of the 4 runs of the experiment are finished")));
  EXPECT_FALSE(std::filesystem::exists(folder + "/out/tiny/results.md"));
  const Ran first = RunPlan(folder, plan, {"--shard=1/2"});
  EXPECT_EQ(first.outcome.exit_code, 0) << first.outcome.err;
  EXPECT_THAT(first.outcome.out, HasSubstr("written to out/tiny"));
  EXPECT_EQ(ResultFiles(folder), ResultFiles(alone.folder));
  EXPECT_THAT(RunPlan(folder, plan).outcome.out, HasSubstr("4 runs were finished already"));
}

// Asked to stop, a worker gives its run back; the next one goes on with it without any patience.
TEST(WorkerTest, AWorkerThatIsStoppedGivesItsRunBack) {
  const std::string folder = NewFolder();
  const std::string plan =
      Plan("variants { name: 'v' set { training { epochs: 5000 } } } seeds: 1");
  WriteFile(folder + "/plan.textproto", plan);
  RunningProgram worker("bin/cmerc",
                        {"experiment", "--config=plan.textproto", "--output=out/tiny", "--worker"},
                        folder);
  const std::string metrics = folder + "/out/tiny/v/seed-1/metrics.jsonl";
  while (!std::filesystem::exists(metrics) && !worker.EndsWithin(std::chrono::milliseconds(10))) {
  }
  kill(worker.pid(), SIGTERM);
  const Outcome stopped = worker.Wait();
  EXPECT_EQ(stopped.exit_code, 128 + SIGTERM);
  EXPECT_THAT(stopped.err, HasSubstr("stopped with 0 of 1 runs done"));
  EXPECT_THAT(Files(folder + "/out/tiny").count("v/seed-1/claim.1"), 0);
  const Outcome other = RunCmerc({"experiment", "--config=plan.textproto", "--output=out/tiny",
                                  "--worker", "--patience_s=86400", "--set=training.epochs=1"},
                                 folder);
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_THAT(other.out, HasSubstr("v/seed-1: weighted F1"));
}

TEST(WorkerTest, AFailureIsToldByEveryWorker) {
  const Ran ran = RunPlan(NewFolder(), Plan(R"pb(
                            variants {
                              name: "diverges"
                              set { training { epochs: 3 learning_rate: 1e30 } }
                            }
                            variants { name: "works" }
                            seeds: 1
                          )pb"),
                          {"--worker"});
  EXPECT_EQ(ran.outcome.exit_code, 1);
  EXPECT_THAT(ran.outcome.err, HasSubstr("1 of 2 runs failed"));
  ASSERT_EQ(ran.results.failed_runs_size(), 1);
  EXPECT_EQ(ran.results.rows_size(), 1);
}

}  // namespace
}  // namespace cmerc
