// `cmerc` is two programs: a small one that users start, and the engine that it becomes. Whatever
// the surroundings, they are one command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "bin/command_line.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The libraries that the system loads for a program, as `ldd` prints them.
std::string LibrariesOf(const std::string& program) {
  Surroundings surroundings;
  surroundings.environment = {{"LD_TRACE_LOADED_OBJECTS", "1"}};
  return RunProgram(program, {}, NewFolder(), surroundings).out;
}

TEST(StartingTest, HelpLoadsNothingLarge) {
  const std::string libraries = LibrariesOf("bin/cmerc");
  EXPECT_THAT(libraries, AllOf(HasSubstr("libc.so"), Not(HasSubstr("libtorch")),
                               Not(HasSubstr("libc10")), Not(HasSubstr("openblas")),
                               Not(HasSubstr("libgomp")), Not(HasSubstr("libprotobuf"))));
  EXPECT_THAT(LibrariesOf("bin/cmerc_engine"), HasSubstr("libtorch"));  // this would be seen
}

// A folder with `cmerc` and not its engine.
std::string FolderWithoutEngine() {
  const std::string folder = NewFolder();
  std::filesystem::copy_file(std::filesystem::canonical("bin/cmerc"), folder + "/cmerc");
  return folder;
}

TEST(StartingTest, WithoutItsEngineItStillHelps) {
  const std::string folder = FolderWithoutEngine();
  const auto run = [&](const std::vector<std::string>& args) {
    return RunProgram(folder + "/cmerc", args, folder);
  };
  const Outcome help = run({"help", "train"});
  EXPECT_EQ(help.exit_code, 0) << help.err;
  EXPECT_EQ(help.out, RunCmerc({"train", "--help"}, folder).out);
  const Outcome unknown = run({"train", "--ouput=x"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, StartsWith("cmerc: unknown flag --ouput; did you mean --output?"));
}

TEST(StartingTest, WithoutItsEngineItSaysWhatToDo) {
  const std::string folder = std::filesystem::canonical(FolderWithoutEngine());
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"plugins"}, {"help", "config"}, {"--version"}, {"train", "--config=x"}}) {
    const Outcome outcome = RunProgram(folder + "/cmerc", args, folder);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err,
                AllOf(StartsWith(absl::StrCat("cmerc: cannot start ", folder,
                                              "/cmerc_engine: No such file or directory; ")),
                      HasSubstr("build both (`bazel build //bin:cmerc`)"), HasSubstr("copy both")));
  }
}

TEST(StartingTest, WorksThroughALink) {
  const std::string folder = NewFolder();
  std::filesystem::create_symlink(std::filesystem::absolute("bin/cmerc"), folder + "/emotions");
  const Outcome outcome = RunProgram(folder + "/emotions", {"--version"}, folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, RunCmerc({"--version"}, folder).out);
}

TEST(StartingTest, TheEngineKnowsEveryCommandButHelpAndServe) {
  const std::string folder = NewFolder();
  for (const CommandSpec& command : CommandSpecs()) {
    if (command.name == "plugins") continue;  // needs nothing and succeeds
    const Outcome outcome = RunProgram("bin/cmerc_engine", {command.name}, folder);
    EXPECT_EQ(outcome.exit_code, 2) << command.name;
    EXPECT_THAT(outcome.err,
                HasSubstr(command.name == "help"    ? "`cmerc`, beside it, has the help"
                          : command.name == "serve" ? "`cmerc`, beside it, starts the server"
                                                    : " is missing"));
  }
}

TEST(StartingTest, TheEngineKnowsEveryAction) {
  const std::string folder = NewFolder();
  for (const CommandSpec& command : CommandSpecs()) {
    for (const std::string& action : command.actions) {
      const Outcome outcome = RunProgram("bin/cmerc_engine", {command.name, action}, folder);
      EXPECT_EQ(outcome.exit_code, 2) << action;
      EXPECT_THAT(outcome.err, AllOf(HasSubstr(" is missing"), Not(HasSubstr("unknown word"))));
    }
    if (command.actions.empty()) continue;
    const Outcome outcome = RunProgram("bin/cmerc_engine", {command.name, "undo"}, folder);
    EXPECT_THAT(outcome.err, HasSubstr("unknown word \"undo\""));
  }
}

// An engine that says how its threads would wait, beside `cmerc`.
std::string HowThreadsWait(const Surroundings& surroundings) {
  const std::string folder = FolderWithoutEngine(), engine = folder + "/cmerc_engine";
  WriteFile(engine, "#!/bin/sh\necho ${OMP_WAIT_POLICY-none} ${GOMP_SPINCOUNT-none}\n");
  std::filesystem::permissions(engine, std::filesystem::perms::owner_all);
  return RunProgram(folder + "/cmerc", {"plugins"}, folder, surroundings).out;
}

TEST(StartingTest, ThreadsSleepSoonUnlessTheUserSaysHowTheyWait) {
  Surroundings surroundings;
  surroundings.unset = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"};
  EXPECT_EQ(HowThreadsWait(surroundings), "none 1000\n");
  surroundings.unset = {"OMP_WAIT_POLICY"};
  surroundings.environment = {{"GOMP_SPINCOUNT", "7"}};
  EXPECT_EQ(HowThreadsWait(surroundings), "none 7\n");
  surroundings.unset = {"GOMP_SPINCOUNT"};
  surroundings.environment = {{"OMP_WAIT_POLICY", "active"}};
  EXPECT_EQ(HowThreadsWait(surroundings), "active none\n");
}

// `cmerc`, started by a shell that has first set limits with `limit`.
Outcome RunLimited(const std::string& limit, const std::vector<std::string>& args,
                   const std::string& folder) {
  const std::string command =
      absl::StrCat(limit, "; exec ", std::filesystem::absolute("bin/cmerc").string(), " \"$@\"");
  std::vector<std::string> all = {"-c", command, "sh"};
  all.insert(all.end(), args.begin(), args.end());
  return RunProgram("/bin/sh", all, folder);
}

// Without the question, libraries would spin or crash before main().
TEST(LimitsTest, TooLittleMemoryIsSaid) {
  if (std::getenv("TSAN_OPTIONS") != nullptr || std::getenv("ASAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "a sanitizer needs more memory than the limits leave";
  }
  for (const auto& [limit, says] : {std::pair("ulimit -v 600000", "ulimit -v is 600000 kB"),
                                    {"ulimit -d 300000", "ulimit -d is 300000 kB"},
                                    {"ulimit -s 128", "ulimit -s is 128 kB"}}) {
    const Outcome outcome = RunLimited(limit, {"plugins"}, NewFolder());
    EXPECT_EQ(outcome.exit_code, 2) << limit;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(StartsWith("cmerc: too "), HasSubstr(says)));
    EXPECT_EQ(RunLimited(limit, {"help"}, NewFolder()).exit_code, 0) << limit;
  }
}

// The pool of LibTorch, and the threads of the config, in two programs. A limit of threads does not
// hold for root, so the small program is run as nobody; where that cannot be, the test says so.
TEST(LimitsTest, TooFewThreadsForThePoolIsSaid) {
  std::string folder = "/tmp/cmerc_limits_XXXXXX";  // nobody cannot look into the test's own
  if (mkdtemp(&folder[0]) == nullptr) GTEST_SKIP() << "no folder in /tmp";
  const absl::Cleanup remove = [&folder] { std::filesystem::remove_all(folder); };
  std::filesystem::permissions(folder, std::filesystem::perms(0755));
  std::filesystem::copy_file(std::filesystem::canonical("bin/cmerc"), folder + "/cmerc");
  std::filesystem::permissions(folder + "/cmerc", std::filesystem::perms(0755));
  const auto run = [&](const std::string& limit) {
    const std::string as_nobody =
        geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";
    return RunProgram("/bin/sh",
                      {"-c", absl::StrCat("exec ", as_nobody, "prlimit --nproc=", limit, " ",
                                          folder, "/cmerc train")},
                      folder);
  };
  // Its engine is not there, and that is what it says where nothing else is wrong.
  if (run("unlimited").err.find("cannot start ") == std::string::npos) {
    GTEST_SKIP() << "cannot run a program as nobody: " << run("unlimited").err;
  }
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one processor needs no pool";
  const Outcome outcome = run("1");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("cmerc: too few threads can be started for LibTorch: "
                                            "0 more of "),
                                 HasSubstr("ulimit -u is 1)")));
}

std::string FolderWithConfig() {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  return folder;
}

std::vector<std::string> TrainTiny() {
  return {"train", "--config=tiny.textproto", "--output=run"};
}

// Otherwise the first file that is opened would be standard output.
TEST(SurroundingsTest, WhatIsPrintedIntoAClosedOutputEndsUpInNoFile) {
  const std::string usual = FolderWithConfig(), closed = FolderWithConfig();
  const Outcome trained = RunCmerc(TrainTiny(), usual);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  Surroundings surroundings;
  surroundings.standard_output = "&-";
  surroundings.standard_input = "&-";
  const Outcome outcome = RunCmerc(TrainTiny(), closed, surroundings);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write to standard output; is it closed"));
  const auto want = Files(usual + "/run"), found = Files(closed + "/run");
  EXPECT_EQ(found.size(), want.size());
  for (const char* file : {"metrics.jsonl", "config.textproto", "test_predictions.jsonl"}) {
    EXPECT_EQ(found.at(file), want.at(file)) << file;
  }
}

TEST(SurroundingsTest, NeitherHomeNorTemporaryFolderIsNeeded) {
  const std::string folder = FolderWithConfig();
  Surroundings surroundings;
  surroundings.environment = {{"TMPDIR", "/nonexistent"}};
  surroundings.unset = {"HOME", "USER", "PATH", "TERM", "LANG"};
  const Outcome outcome = RunCmerc(TrainTiny(), folder, surroundings);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(Files(folder).count("run/summary.json"), 1u);
}

TEST(SurroundingsTest, WithoutBazelPathsStartInTheCurrentFolder) {
  const std::string folder = FolderWithConfig();
  Surroundings surroundings;
  surroundings.unset = {"BUILD_WORKING_DIRECTORY"};
  const Outcome outcome = RunCmerc(TrainTiny(), folder, surroundings);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Files(folder).count("run/summary.json"), 1u);
}

TEST(SurroundingsTest, HelpNeedsNoWorkingDirectory) {
  Surroundings surroundings;
  surroundings.environment = {{"BUILD_WORKING_DIRECTORY", "/nonexistent"},
                              {"OMP_NUM_THREADS", "abc"}};
  EXPECT_EQ(RunCmerc({"help"}, NewFolder(), surroundings).exit_code, 0);
}

TEST(LimitsTest, TooLittleMemoryForTheThreadsOfTheConfigIsSaid) {
  if (std::getenv("TSAN_OPTIONS") != nullptr || std::getenv("ASAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "a sanitizer needs more address space than the limit leaves";
  }
  const std::string folder = FolderWithConfig();
  std::vector<std::string> command = TrainTiny();
  command.emplace_back("--set=training { threads: 1000 }");
  const Outcome outcome =
      RunLimited("export OMP_NUM_THREADS=2; ulimit -v 4000000", command, folder);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, StartsWith("cmerc: 1000 threads (training.threads): too little address "
                                      "space for LibTorch: "));
  EXPECT_FALSE(std::filesystem::exists(folder + "/run"));
}

TEST(SurroundingsTest, ThreadsMayBeGivenPerLevel) {
  for (const char* threads : {"2", " 1 ", "2,1"}) {
    Surroundings surroundings;
    surroundings.environment = {{"OMP_NUM_THREADS", threads}};
    const Outcome outcome = RunCmerc({"plugins", "m3net"}, NewFolder(), surroundings);
    EXPECT_EQ(outcome.exit_code, 0) << threads;
    EXPECT_EQ(outcome.err, "") << threads;
  }
}

}  // namespace
}  // namespace cmerc
