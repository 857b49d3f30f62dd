// A run that is killed at random moments, and resumed each time, ends with the bytes of one
// that was not. CMERC_KILL_ROUNDS (8) makes the run longer: it is killed about half as many times.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using Microseconds = std::chrono::microseconds;

int Rounds() {
  const char* rounds = std::getenv("CMERC_KILL_ROUNDS");
  int number = 8;
  EXPECT_TRUE(rounds == nullptr || absl::SimpleAtoi(rounds, &number)) << rounds;
  return number;
}

std::vector<std::string> Command(int epochs) {
  return {"train", "--config=tiny.textproto", "--output=run", "--resume",
          absl::StrCat("--set=training { epochs: ", epochs, " compare_uncalibrated: true }")};
}

// How the README goes on with a run: with the config that its folder holds.
std::vector<std::string> CommandWithoutConfig() { return {"train", "--resume", "--output=run"}; }

std::string TinyFolder() {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  return folder;
}

// How long a run takes.
Microseconds Undisturbed(const std::string& folder, int epochs) {
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = RunCmerc(Command(epochs), folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return std::chrono::duration_cast<Microseconds>(std::chrono::steady_clock::now() - start);
}

// Every file but those of times.
std::map<std::string, std::string> Results(const std::string& folder) {
  std::map<std::string, std::string> files = Files(folder);
  for (auto it = files.begin(); it != files.end();) {
    it = absl::EndsWith(it->first, "timing.jsonl") ? files.erase(it) : std::next(it);
  }
  return files;
}

TEST(KillTest, TheSameBytesHoweverOftenARunIsKilled) {
  const int rounds = Rounds();
  const int epochs = 10 * rounds;
  const std::string whole = TinyFolder(), folder = TinyFolder();
  const Microseconds starting = Undisturbed(TinyFolder(), 1);
  const Microseconds all = Undisturbed(whole, epochs);
  // On the average a round begins, and does its share.
  const Microseconds most = 2 * (starting + (all - starting) / rounds);
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int64_t> moment(0, most.count());
  int kills = 0, with_state = 0;
  while (!std::filesystem::exists(folder + "/run/summary.json") && kills < 10 * rounds) {
    // Both ways by turns, once there is a config.
    const bool begun = std::filesystem::exists(folder + "/run/config.textproto");
    RunningProgram run("bin/cmerc",
                       begun && kills % 2 == 1 ? CommandWithoutConfig() : Command(epochs), folder);
    if (!run.EndsWithin(Microseconds(moment(random)))) {
      kill(run.pid(), SIGKILL);
      ++kills;
      for (const char* stage : {"/run/resume.pth", "/run/uncalibrated/resume.pth"}) {
        if (!std::filesystem::exists(folder + stage)) continue;
        ++with_state;
        break;
      }
    }
    const Outcome outcome = run.Wait();
    ASSERT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 128 + SIGKILL)
        << outcome.exit_code << ": " << outcome.err;
  }
  const Outcome last = RunCmerc(CommandWithoutConfig(), folder);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  std::cout << "killed " << kills << " times, " << with_state << " times with something saved\n";
  EXPECT_GT(with_state, 0);
  std::map<std::string, std::string> got = Results(folder);
  got.erase("run/lock");  // of a process that was killed after all was done
  EXPECT_EQ(got, Results(whole));
}

}  // namespace
}  // namespace cmerc
