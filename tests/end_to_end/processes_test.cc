// One model that several processes of `cmerc train` train together: started by hand, by torchrun,
// by mpirun and by srun; killed, stopped and gone on with. What a launcher's test needs and is not
// there (tools/setup.sh --test) is skipped by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "processes/sockets.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/slurm_cluster.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Programs = std::vector<std::unique_ptr<RunningProgram>>;

constexpr int kEpochs = 4;
// So many that a run is seen, and killed, before it ends.
constexpr int kManyEpochs = 40;

std::string TinyFolder() {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  return folder;
}

std::vector<std::string> Command(int epochs, const std::vector<std::string>& more = {}) {
  std::vector<std::string> args = {
      "train", "--config=tiny.textproto", "--output=run",
      absl::StrCat("--set=training { epochs: ", epochs, " parts: 8 batch_size: 3 }")};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// Every file of the run but those of times.
std::map<std::string, std::string> Results(const std::string& folder) {
  std::map<std::string, std::string> files = Files(folder + "/run");
  for (auto it = files.begin(); it != files.end();) {
    it = absl::EndsWith(it->first, "timing.jsonl") ? files.erase(it) : std::next(it);
  }
  return files;
}

// What one process writes, in parts as well.
const std::map<std::string, std::string>& OfOneProcess(int epochs) {
  static auto* const runs = new std::map<int, std::map<std::string, std::string>>();
  std::map<std::string, std::string>& results = (*runs)[epochs];
  if (results.empty()) {
    const std::string folder = TinyFolder();
    const Outcome outcome = RunCmerc(Command(epochs), folder);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    results = Results(folder);
  }
  return results;
}

void ExpectResultsOfOneProcess(const std::string& folder, int epochs = kEpochs) {
  const std::map<std::string, std::string> results = Results(folder);
  for (const auto& [file, text] : OfOneProcess(epochs)) {
    ASSERT_EQ(results.count(file), 1) << file;
    EXPECT_TRUE(results.at(file) == text) << file << " differs";
  }
  EXPECT_EQ(results.size(), OfOneProcess(epochs).size());
}

// Starts the processes as somebody without a launcher does, who meet in the folder.
Programs StartByHand(int size, const std::vector<std::string>& args, const std::string& folder) {
  Programs programs;
  for (int rank = size - 1; rank >= 0; --rank) {
    Surroundings surroundings;
    surroundings.environment = {{"RANK", absl::StrCat(rank)}, {"WORLD_SIZE", absl::StrCat(size)}};
    programs.insert(programs.begin(),
                    std::make_unique<RunningProgram>("bin/cmerc", args, folder, surroundings));
  }
  return programs;
}

std::string Cmerc() { return std::filesystem::absolute("bin/cmerc"); }

std::vector<std::string> Joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(ProcessesTest, AnyNumberWritesTheSameBytesAndOneOfThemSpeaks) {
  for (const int size : {2, 3}) {
    const std::string folder = TinyFolder();
    Programs programs = StartByHand(size, Command(kEpochs), folder);
    for (int rank = 0; rank < size; ++rank) {
      const Outcome outcome = programs[rank]->Wait();
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      if (rank == 0) {
        EXPECT_THAT(outcome.out, HasSubstr("written to run: "));
      } else {
        EXPECT_THAT(outcome.out, IsEmpty());
        EXPECT_THAT(outcome.err, IsEmpty());
      }
    }
    ExpectResultsOfOneProcess(folder);
  }
}

TEST(ProcessesTest, OneThatIsKilledIsNamedAndTheRunGoesOnAtAnotherSize) {
  for (const int victim : {0, 1}) {
    const std::string folder = TinyFolder();
    Programs programs = StartByHand(3, Command(kManyEpochs), folder);
    const std::string saved = folder + "/run/resume.pth";
    while (!std::filesystem::exists(saved) &&
           !programs[0]->EndsWithin(std::chrono::milliseconds(10))) {
    }
    kill(programs[victim]->pid(), SIGKILL);
    for (int rank = 0; rank < 3; ++rank) {
      const Outcome outcome = programs[rank]->Wait();
      if (rank == victim) {
        EXPECT_EQ(outcome.exit_code, 128 + SIGKILL);
        continue;
      }
      EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
      EXPECT_THAT(
          outcome.err,
          AllOf(HasSubstr(absl::StrCat("cmerc: rank ", rank, " of 3: ")),
                HasSubstr(absl::StrCat("rank ", victim, " of 3 (host ")),
                HasSubstr(absl::StrCat(", process ", programs[victim]->pid(), ") is gone: ")),
                HasSubstr("to go on: cmerc train --resume --output=run")));
    }
    Programs again = StartByHand(2, {"train", "--resume", "--output=run"}, folder);
    for (const auto& program : again) {
      const Outcome outcome = program->Wait();
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    ExpectResultsOfOneProcess(folder, kManyEpochs);
  }
}

// By a signal to any one of them, between the same two steps.
TEST(ProcessesTest, AllStopWithOneAndGoOnWithTheSameBits) {
  const std::string folder = TinyFolder();
  Programs programs = StartByHand(2, Command(kManyEpochs), folder);
  const std::string metrics = folder + "/run/metrics.jsonl";
  while (!std::filesystem::exists(metrics) &&
         !programs[0]->EndsWithin(std::chrono::milliseconds(1))) {
  }
  kill(programs[1]->pid(), SIGTERM);
  const Outcome first = programs[0]->Wait(), second = programs[1]->Wait();
  EXPECT_EQ(first.exit_code, 128 + SIGTERM) << first.err;
  EXPECT_EQ(second.exit_code, 128 + SIGTERM) << second.err;
  EXPECT_THAT(first.err, HasSubstr("cmerc: rank 0 of 2: stopped "));
  const Outcome outcome = RunCmerc({"train", "--resume", "--output=run"}, folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  ExpectResultsOfOneProcess(folder, kManyEpochs);
}

TEST(ProcessesTest, ByTorchrun) {
  if (!std::filesystem::exists("/usr/bin/torchrun")) {
    GTEST_SKIP() << "there is no torchrun (tools/setup.sh --test installs python3-torch)";
  }
  int port = 0;
  ASSERT_TRUE(Listen(&port).ok());
  // The second one has a store for its processes, the first one has not.
  for (const std::string& where :
       {std::string("--standalone"), absl::StrCat("--master_port=", port)}) {
    const std::string folder = TinyFolder();
    const Outcome outcome = RunProgram(
        "/usr/bin/torchrun",
        Joined({where, "--redirects=1", "--tee=1", "--no_python", "--nproc_per_node=2", Cmerc()},
               Command(kEpochs)),
        folder);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    ExpectResultsOfOneProcess(folder);
  }
}

TEST(ProcessesTest, ByMpirun) {
  if (!std::filesystem::exists("/usr/bin/mpirun")) {
    GTEST_SKIP() << "there is no mpirun (tools/setup.sh --test installs openmpi-bin)";
  }
  const std::string folder = TinyFolder();
  const Outcome outcome = RunProgram(
      "/usr/bin/mpirun",
      Joined({"--allow-run-as-root", "--oversubscribe", "-np", "3", Cmerc()}, Command(kEpochs)),
      folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  ExpectResultsOfOneProcess(folder);
}

TEST(ProcessesTest, BySrunOnTwoNodes) {
  if (const std::string why = SlurmCluster::WhyNot(); !why.empty()) GTEST_SKIP() << why;
  const SlurmCluster cluster;
  if (!cluster.ok()) GTEST_SKIP() << "Slurm does not come up here:\n" << cluster.Logs();
  const std::string folder = TinyFolder();
  Surroundings surroundings{cluster.Environment()};
  const Outcome outcome = RunProgram(
      "/usr/bin/srun",
      Joined({"--nodes=2", "--ntasks=2", "--kill-on-bad-exit=1", Cmerc()}, Command(kEpochs)),
      folder, surroundings);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err << cluster.Logs();
  ExpectResultsOfOneProcess(folder);
}

// A `cmerc train` that is started by another command is one process, whoever started that.
TEST(ProcessesTest, AnExperimentWithinALaunchTrainsByItself) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/plan.textproto",
            absl::StrCat("base { ", TinyConfig(), " }\n", "variants { name: 'tiny' } seeds: 1"));
  Surroundings surroundings;
  surroundings.environment = {{"RANK", "1"}, {"WORLD_SIZE", "2"}};
  const Outcome outcome = RunCmerc(
      {"experiment", "--config=plan.textproto", "--output=out", "--worker"}, folder, surroundings);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("tiny/seed-1: weighted F1"), Not(HasSubstr("failed"))));
}

}  // namespace
}  // namespace cmerc
