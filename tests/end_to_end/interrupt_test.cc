// `cmerc train` that is interrupted by signals, by a second process, by a full disk; and gone on
// with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// So many epochs that none of these tests sees the last one unless it wants to.
constexpr char kEndless[] = "--set=training { epochs: 100000 }";

std::string TinyFolder() {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  return folder;
}

// Begins a run in `folder`/run and returns once two epochs are behind it.
class UnendingRun {
 public:
  explicit UnendingRun(const std::string& folder) {
    const std::string fifo = NewFolder() + "/out";
    EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    Surroundings surroundings;
    surroundings.standard_output = fifo;
    program_.emplace(
        "bin/cmerc",
        std::vector<std::string>{"train", "--config=tiny.textproto", "--output=run", kEndless},
        folder, surroundings);
    out_.open(fifo);
    std::string line;
    while (std::getline(out_, line) && !absl::StartsWith(line, "epoch   2/")) {
    }
  }

  // Reads what is left of the output, so that the process can write it, and waits for the end.
  Outcome End(int signal) {
    kill(program_->pid(), signal);
    std::string line;
    while (std::getline(out_, line)) {
    }
    return program_->Wait();
  }
  pid_t pid() const { return program_->pid(); }

 private:
  std::optional<RunningProgram> program_;
  std::ifstream out_;
};

TEST(InterruptTest, ASignalStopsAfterTheStepAndSaysHowToGoOn) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string folder = TinyFolder();
    const Outcome stopped = UnendingRun(folder).End(signal);
    EXPECT_EQ(stopped.exit_code, 128 + signal);
    EXPECT_THAT(stopped.err, StartsWith("\nstopping after this step, to go on later; once more "
                                        "stops at once\ncmerc: stopped in epoch "));
    EXPECT_THAT(stopped.err, HasSubstr("\n  to go on: cmerc train --resume --output=run\n"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/run/lock"));
    EXPECT_TRUE(std::filesystem::exists(folder + "/run/resume.pth"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/run/summary.json"));
    const Outcome again =
        RunCmerc({"train", "--config=tiny.textproto", "--output=run", kEndless}, folder);
    EXPECT_EQ(again.exit_code, 2);
    EXPECT_THAT(again.err, HasSubstr("--resume to go on with it, or --overwrite"));
    const Outcome other =
        RunCmerc({"train", "--config=tiny.textproto", "--output=run", "--resume"}, folder);
    EXPECT_EQ(other.exit_code, 2);
    EXPECT_THAT(other.err, HasSubstr("\"epochs: 100000\", now "));
  }
}

TEST(InterruptTest, NobodyElseWritesIntoTheFolder) {
  const std::string folder = TinyFolder();
  UnendingRun run(folder);
  for (const char* flag : {"--overwrite", "--resume"}) {
    const Outcome second =
        RunCmerc({"train", "--config=tiny.textproto", "--output=run", kEndless, flag}, folder);
    EXPECT_EQ(second.exit_code, 2);
    EXPECT_THAT(second.err,
                StartsWith(absl::StrCat("cmerc: --output=run: another process (process ", run.pid(),
                                        ") writes into run; wait for ")));
  }
  EXPECT_EQ(run.End(SIGKILL).exit_code, 128 + SIGKILL);
}

// Neither success and names of files that are elsewhere, nor hours of work for nothing.
TEST(InterruptTest, AFolderThatIsMovedOrDeletedEndsTheRunAtOnce) {
  for (const bool moved : {true, false}) {
    const std::string folder = TinyFolder();
    UnendingRun run(folder);
    if (moved) {
      std::filesystem::rename(folder + "/run", folder + "/elsewhere");
    } else {
      // The run may write a file while they are removed.
      std::error_code again;
      do {
        std::filesystem::remove_all(folder + "/run", again);
      } while (again);
    }
    const Outcome outcome = run.End(0);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, StartsWith("cmerc: run was moved or deleted since the run began: "));
    EXPECT_FALSE(std::filesystem::exists(folder + "/run"));
    if (!moved) continue;
    // It goes on from where it is now.
    ASSERT_TRUE(std::filesystem::exists(folder + "/elsewhere/resume.pth"));
  }
}

TEST(InterruptTest, AFinishedRunIsLeftAsItIs) {
  const std::string folder = TinyFolder();
  const std::vector<std::string> command = {"train", "--config=tiny.textproto", "--output=run",
                                            "--resume"};
  const Outcome first = RunCmerc(command, folder);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("nothing was saved there to go on with"));
  const std::map<std::string, std::string> files = Files(folder);
  const Outcome second = RunCmerc(command, folder);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out, HasSubstr("run holds a finished run"));
  EXPECT_EQ(Files(folder), files);
}

// Stands for a full disk: the limit on the size of files stops the first checkpoint of the run,
// which is resumed when there is room again.
TEST(InterruptTest, NoRoomForACheckpoint) {
  if (std::getenv("TSAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "the limit cuts short the files that ThreadSanitizer maps at the start";
  }
  const std::string folder = TinyFolder();
  ASSERT_EQ(UnendingRun(folder).End(SIGTERM).exit_code, 128 + SIGTERM);
  std::map<std::string, std::string> before = Files(folder);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit tight{before["run/selected.pth"].size() / 2, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);  // for the process that is started
  const Outcome full = RunCmerc({"train", "--output=run", "--resume"}, folder);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.err, HasSubstr(".pth: File too large; raise the limit on the size of files"));
  EXPECT_THAT(full.err, HasSubstr("to go on: cmerc train --resume --output=run"));
  const std::map<std::string, std::string> after = Files(folder);
  for (const char* file : {"run/selected.pth", "run/last.pth", "run/resume.pth"}) {
    EXPECT_EQ(after.at(file), before[file]) << file;
  }
  for (const auto& [name, contents] : after) {
    EXPECT_FALSE(absl::EndsWith(name, ".cmerc-tmp")) << name;
  }
}

}  // namespace
}  // namespace cmerc
