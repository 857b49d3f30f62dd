// `cmerc` as users start it: answers `help` and a wrong command line at once, and for everything
// else becomes the engine, the program with LibTorch that lies beside it. Loading LibTorch takes
// longer than all of this.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bin/command_line.h"
#include "bin/exit_status.h"
#include "bin/help.h"
#include "bin/machine_limits.h"
#include "bin/this_program.h"
#include "core/status.h"

namespace cmerc {
namespace {

// A descriptor of 0 to 2 that is closed would be given to the next file that is opened, and what is
// printed would end up in it. Opened the wrong way round, so that printing fails.
void OccupyStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0) continue;
    open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // takes the lowest free one
  }
}

// The most that `training { threads }` may ask for too.
constexpr int kMaxThreads = 1024;

// InvalidArgument: OMP_NUM_THREADS is set to something else than a number of threads. OpenMP and
// LibTorch would each say in their own way that they ignore it, and take every processor.
absl::Status CheckOmpNumThreads() {
  const char* variable = std::getenv("OMP_NUM_THREADS");
  if (variable == nullptr) return absl::OkStatus();
  for (const absl::string_view level : absl::StrSplit(variable, ',')) {  // of nested teams
    int threads = 0;
    if (absl::SimpleAtoi(level, &threads) && threads >= 1 && threads <= kMaxThreads) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the environment variable OMP_NUM_THREADS=", variable,
                     ", must be a number of threads from 1 to ", kMaxThreads,
                     "; correct it, or unset it for one thread per processor"));
  }
  return absl::OkStatus();
}

// How often libgomp's threads look for each other before they sleep. Its own choice, for
// milliseconds or for ever, makes a step several times slower on a machine that is busy with other
// work.
constexpr char kSpinCount[] = "1000";

// Where the user has not said how threads wait. The children of the engine inherit it.
void ChooseHowThreadsWait() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", kSpinCount, /*overwrite=*/0);
}

// Whether `command` runs a model, or starts programs that do: that takes threads.
bool RunsModels(const std::string& command) {
  for (const char* one : {"train", "evaluate", "predict", "difficulty", "experiment"}) {
    if (command == one) return true;
  }
  return false;
}

// Replaces this program by the engine; returns only where that fails. InvalidArgument:
// OMP_NUM_THREADS is no number of threads, or the system grants too little (machine_limits.h).
// NotFound: the engine cannot be started.
absl::Status BecomeEngine(const std::string& command, char** argv) {
  RETURN_IF_ERROR(CheckOmpNumThreads());
  RETURN_IF_ERROR(CheckMemoryLimits());
  if (RunsModels(command)) RETURN_IF_ERROR(CheckThreads(ThreadsOfPool()));
  ASSIGN_OR_RETURN(const std::string program, ThisProgram());
  const std::string engine = absl::StrCat(program, "_engine");
  OccupyStandardStreams();
  ChooseHowThreadsWait();
  execv(engine.c_str(), argv);
  return absl::NotFoundError(absl::StrCat(
      "cannot start ", engine, ": ", std::strerror(errno),
      "; it does everything but `help` and belongs beside ", program,
      ": build both (`bazel build //bin:cmerc`), and copy both or make a link to them"));
}

// Replaces this program by the server; returns only where that fails: NotFound.
absl::Status BecomeServer(char** argv) {
  RETURN_IF_ERROR(CheckMemoryLimits());
  ASSIGN_OR_RETURN(const std::string program, ThisProgram());
  OccupyStandardStreams();
  const std::string folder = program.substr(0, program.rfind('/'));
  // Installed beside this program; built in a folder of its own.
  for (const char* place : {"/cmerc_serve", "/../serving/cmerc_serve"}) {
    execv(absl::StrCat(folder, place).c_str(), argv);
  }
  return absl::NotFoundError(
      absl::StrCat("cannot start ", folder, "/cmerc_serve: ", std::strerror(errno),
                   "; the server is a program of its own: the Debian package cmerc-serve, or "
                   "tools/setup.sh --serve, then bazel build //serving:cmerc_serve "
                   "(docs/serve.md)"));
}

absl::Status Run(char** argv, const std::vector<std::string>& args) {
  ASSIGN_OR_RETURN(const CommandLine line, ParseCommandLine(args));
  if (line.command == "serve") return BecomeServer(argv);
  if (line.command != "help") return BecomeEngine(line.command, argv);
  if (line.flags.words().empty()) {
    std::cout << Help();
    return absl::OkStatus();
  }
  const absl::StatusOr<const CommandSpec*> command = FindCommand(line.flags.words()[0]);
  // The engine knows the config and the options of plugins, and what else can be asked for.
  if (!command.ok()) return BecomeEngine(line.command, argv);
  std::cout << HelpOn(**command);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) {
  return cmerc::Finish(cmerc::Run(argv, std::vector<std::string>(argv + 1, argv + argc)));
}
