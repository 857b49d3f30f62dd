#include "experiment/local_launcher.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

using Clock = std::chrono::steady_clock;

// Waits for a child that has been asked to stop and may want to save first; not for ever.
void WaitOrKill(pid_t process) {
  constexpr std::chrono::seconds kPatience(60);
  const Clock::time_point start = Clock::now();
  while (waitpid(process, nullptr, WNOHANG) == 0) {
    if (Clock::now() - start > kPatience) {
      kill(process, SIGKILL);
      waitpid(process, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// `status` is what waitpid() found.
std::string Ending(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("signal ", WTERMSIG(status));
  return absl::StrCat("exit status ", WEXITSTATUS(status));
}

}  // namespace

LocalLauncher::LocalLauncher(std::string program, int parallel_runs)
    : program_(std::move(program)),
      parallel_runs_(parallel_runs > 0 ? parallel_runs
                                       : std::max(1u, std::thread::hardware_concurrency())) {
  // Where whoever started this process ignores SIGCHLD, the system forgets how a child ended.
  std::signal(SIGCHLD, SIG_DFL);
}

absl::Status LocalLauncher::Start(const Launch& launch) {
  const std::string config = "--config=" + launch.folder + "/config.textproto";
  const std::string output = "--output=" + launch.folder;
  const std::string log = launch.folder + "/train.log";
  const int descriptor = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", log, ": ", std::strerror(errno)));
  }
  const absl::Cleanup close_log = [descriptor] { close(descriptor); };
  const char* const arguments[] = {program_.c_str(),
                                   "train",
                                   config.c_str(),
                                   output.c_str(),
                                   launch.resume ? "--resume" : "--overwrite",
                                   nullptr};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    return absl::UnavailableError(absl::StrCat("cannot start a process: ", std::strerror(errno)));
  }
  if (child == 0) {
    // No run goes on unseen after its experiment has died.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    setpgid(0, 0);
    dup2(descriptor, STDOUT_FILENO);
    dup2(descriptor, STDERR_FILENO);
    execv(program_.c_str(), const_cast<char* const*>(arguments));
    dprintf(STDERR_FILENO, "cmerc: cannot start %s: %s\n", program_.c_str(), std::strerror(errno));
    _exit(127);
  }
  children_[child] = {launch.run, Clock::now()};
  return absl::OkStatus();
}

absl::StatusOr<std::optional<EndedRun>> LocalLauncher::WaitForOne(
    std::chrono::milliseconds patience) {
  const Clock::time_point end = Clock::now() + patience;
  // Looks seldom while nothing happens, and often while runs end quickly.
  constexpr std::chrono::milliseconds kLongestNap(50);
  std::chrono::milliseconds nap(1);
  while (true) {
    int status = 0;
    const pid_t process = waitpid(-1, &status, WNOHANG);
    if (process < 0 && errno == EINTR) continue;
    if (process < 0) {
      return absl::InternalError(
          absl::StrCat("cannot wait for the running processes: ", std::strerror(errno)));
    }
    if (process == 0) {
      if (Clock::now() >= end) return std::nullopt;
      std::this_thread::sleep_for(nap);
      nap = std::min(2 * nap, kLongestNap);
      continue;
    }
    const auto found = children_.find(process);
    if (found == children_.end()) continue;  // an orphan that this process was handed
    const Child child = found->second;
    children_.erase(found);
    return std::optional<EndedRun>(
        EndedRun{child.run, status == 0, Ending(status),
                 std::chrono::duration<double>(Clock::now() - child.start).count()});
  }
}

void LocalLauncher::Kill(size_t run) {
  for (auto child = children_.begin(); child != children_.end(); ++child) {
    if (child->second.run != run) continue;
    kill(child->first, SIGKILL);
    waitpid(child->first, nullptr, 0);
    children_.erase(child);
    return;
  }
}

void LocalLauncher::StopAll() {
  for (const auto& [process, child] : children_) kill(process, SIGTERM);
  for (const auto& [process, child] : children_) WaitOrKill(process);
  children_.clear();
}

}  // namespace cmerc
