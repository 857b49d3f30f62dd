#include "experiment/launchers/slurm_commands.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/status.h"

namespace cmerc {
namespace {

using Clock = std::chrono::steady_clock;

// Slurm's commands try for a while to reach its controller.
constexpr std::chrono::seconds kPatience(120);

struct Ended {
  int status = 0;  // as waitpid() says it
  std::string out, err;
};

// For the child, between fork() and exec().
[[noreturn]] void Become(const std::vector<char*>& arguments, int out, int err) {
  // Ctrl-C in a terminal is not for it: whether a job was submitted must be known.
  setpgid(0, 0);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(errno == ENOENT ? 127 : 126);
}

// Reads both until they end, or until `end`.
void ReadBoth(int out, int err, Clock::time_point end, Ended* ended) {
  std::array<pollfd, 2> files = {{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  const std::array<std::string*, 2> texts = {&ended->out, &ended->err};
  int open = 2;
  while (open > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return;
    if (poll(files.data(), files.size(), static_cast<int>(left.count())) < 0 && errno != EINTR)
      return;
    for (size_t i = 0; i < files.size(); ++i) {
      if (files[i].fd < 0 || files[i].revents == 0) continue;
      std::array<char, 1 << 16> buffer;
      const ssize_t size = read(files[i].fd, buffer.data(), buffer.size());
      if (size > 0) {
        texts[i]->append(buffer.data(), static_cast<size_t>(size));
      } else if (size == 0 || errno != EINTR) {
        files[i].fd = -1;
        --open;
      }
    }
  }
}

// Runs a program to its end. Unavailable: it cannot be started, or takes too long.
absl::StatusOr<Ended> RunCommand(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> out{}, err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
  }
  if (pipe2(err.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    for (const int end : out) close(end);
    return absl::UnavailableError(absl::StrCat("cannot make a pipe: ", std::strerror(error)));
  }
  const pid_t child = fork();
  if (child == 0) Become(arguments, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  const absl::Cleanup close_ends = [&out, &err] {
    close(out[0]);
    close(err[0]);
  };
  if (child < 0) {
    return absl::UnavailableError(absl::StrCat("cannot start a process: ", std::strerror(errno)));
  }
  const Clock::time_point end = Clock::now() + kPatience;
  Ended ended;
  ReadBoth(out[0], err[0], end, &ended);
  const bool late = Clock::now() >= end;
  if (late) kill(child, SIGKILL);
  while (waitpid(child, &ended.status, 0) < 0 && errno == EINTR) {
  }
  if (late) {
    return absl::UnavailableError(
        absl::StrCat(words[0], " gave no answer in ", kPatience.count(), " s"));
  }
  return ended;
}

// What a command said, on one line.
std::string Said(const Ended& ended) {
  std::string text = ended.err.empty() ? ended.out : ended.err;
  absl::StripAsciiWhitespace(&text);
  if (text.empty()) return "it said nothing";
  return absl::StrCat("\"", absl::StrJoin(absl::StrSplit(text, '\n'), "; "), "\"");
}

absl::Status NotThere(const std::string& command) {
  return absl::InvalidArgumentError(absl::StrCat(
      "launcher Slurm: there is no ", command,
      " on the PATH; start the experiment where Slurm's commands are (a login node of the "
      "cluster), or leave `launcher` out of the plan to do the runs on this machine"));
}

// Runs one of Slurm's commands. InvalidArgument: it is not there.
absl::StatusOr<Ended> RunSlurm(const std::vector<std::string>& words) {
  ASSIGN_OR_RETURN(Ended ended, RunCommand(words));
  if (WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 127) return NotThere(words[0]);
  return ended;
}

}  // namespace

absl::Status CheckCommands() {
  const char* const path = std::getenv("PATH");
  const std::vector<std::string> folders = absl::StrSplit(path != nullptr ? path : "", ':');
  for (const char* command : {"sbatch", "squeue", "scancel"}) {
    const bool there = std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
      return access(absl::StrCat(folder, "/", command).c_str(), X_OK) == 0;
    });
    if (!there) return NotThere(command);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SubmitJob(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"sbatch", "--parsable"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  ASSIGN_OR_RETURN(const Ended ended, RunSlurm(words));
  // "JOB", or "JOB;CLUSTER".
  const std::string first = ended.out.substr(0, ended.out.find_first_of(";\n"));
  int64_t number = 0;
  if (ended.status == 0 && absl::SimpleAtoi(first, &number)) return absl::StrCat(number);
  return absl::InvalidArgumentError(absl::StrCat(
      "launcher Slurm: sbatch has refused the job: ", Said(ended),
      "; see partition, time, memory, extra and array_limit of cmerc.SlurmOptions in the "
      "plan (cmerc plugins Slurm)"));
}

absl::StatusOr<SlurmQueue> LookAtQueue(const std::vector<std::string>& names) {
  if (names.empty()) return SlurmQueue();
  ASSIGN_OR_RETURN(const Ended ended,
                   RunSlurm({"squeue", "--noheader", "--array", "--states=all",
                             "--name=" + absl::StrJoin(names, ","), "--format=%j|%F|%K|%T|%r"}));
  if (ended.status != 0) {
    return absl::UnavailableError(absl::StrCat("squeue has failed: ", Said(ended)));
  }
  SlurmQueue queue;
  for (const auto line : absl::StrSplit(ended.out, '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits('|', 4));
    int task = 0;
    if (fields.size() != 5 || !absl::SimpleAtoi(fields[2], &task)) continue;
    queue[{fields[0], task}] = {fields[1], fields[3], fields[4]};
  }
  return queue;
}

absl::Status CancelJobs(const std::vector<std::string>& jobs) {
  if (jobs.empty()) return absl::OkStatus();
  std::vector<std::string> words = {"scancel", "--quiet"};
  words.insert(words.end(), jobs.begin(), jobs.end());
  return RunSlurm(words).status();
}

bool IsUnderWay(const std::string& state) {
  constexpr std::array<const char*, 12> kEnded = {
      "BOOT_FAIL", "CANCELLED", "COMPLETED",     "DEADLINE", "FAILED",  "LAUNCH_FAILED",
      "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "REVOKED",  "TIMEOUT", "RECONFIG_FAIL"};
  return std::none_of(kEnded.begin(), kEnded.end(),
                      [&](const char* ended) { return state == ended; });
}

}  // namespace cmerc
