#include "serving/extractor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "core/printable.h"
#include "core/status.h"

extern char** environ;

namespace cmerc::serving {
namespace {

constexpr size_t kMostOutput = size_t{256} << 20;
constexpr size_t kMostErrors = 2000;  // bytes of standard error that are told

// A process with its three streams, of which this one has the other ends.
struct Child {
  pid_t pid = -1;
  int in = -1, out = -1, err = -1;
};

void Close(int* descriptor) {
  if (*descriptor >= 0) close(*descriptor);
  *descriptor = -1;
}

absl::StatusOr<Child> Start(const std::string& command) {
  std::array<std::array<int, 2>, 3> pipes = {{{-1, -1}, {-1, -1}, {-1, -1}}};
  const auto close_all = [&] {
    for (auto& ends : pipes) {
      for (int& end : ends) Close(&end);
    }
  };
  absl::Cleanup at_end = close_all;
  for (auto& ends : pipes) {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return absl::UnavailableError(
          absl::StrCat("the extractor cannot be started: ", std::strerror(errno)));
    }
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes[0][0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipes[2][1], STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A group of its own, to be ended as a whole; and no signal blocked, as they are in this process.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t ignored_here;
  sigemptyset(&ignored_here);
  sigaddset(&ignored_here, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &ignored_here);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  Child child;
  std::string shell = "/bin/sh", option = "-c", text = command;
  std::array<char*, 4> arguments = {shell.data(), option.data(), text.data(), nullptr};
  const int error =
      posix_spawn(&child.pid, shell.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("the extractor cannot be started: ", std::strerror(error)));
  }
  child.in = std::exchange(pipes[0][1], -1);
  child.out = std::exchange(pipes[1][0], -1);
  child.err = std::exchange(pipes[2][0], -1);
  fcntl(child.in, F_SETFL, O_NONBLOCK);
  return child;
}

// Reads what there is; closes the descriptor at its end.
void ReadSome(int* descriptor, std::string* text) {
  std::array<char, 65536> buffer{};
  const ssize_t count = read(*descriptor, buffer.data(), buffer.size());
  if (count > 0) {
    text->append(buffer.data(), static_cast<size_t>(count));
  } else if (count == 0 || errno != EINTR) {
    Close(descriptor);
  }
}

// Writes what it takes of `rest`; closes the descriptor behind all of it, or where nobody reads.
void WriteSome(int* descriptor, absl::string_view* rest) {
  const ssize_t count = write(*descriptor, rest->data(), rest->size());
  if (count > 0) rest->remove_prefix(static_cast<size_t>(count));
  const bool failed = count < 0 && errno != EAGAIN && errno != EINTR;
  if (rest->empty() || failed) Close(descriptor);
}

// Writes `lines` to the child and reads its output until it closes that.
absl::Status Exchange(const std::string& lines, Deadline deadline, Child& child, std::string* out,
                      std::string* err) {
  absl::string_view rest = lines;
  if (rest.empty()) Close(&child.in);
  while (child.out >= 0 || child.err >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return absl::DeadlineExceededError(
          "the extractor took too long, and was ended (--timeout_s)");
    }
    std::array<pollfd, 3> ends = {
        {{child.in, POLLOUT, 0}, {child.out, POLLIN, 0}, {child.err, POLLIN, 0}}};
    poll(ends.data(), ends.size(), static_cast<int>(std::min<int64_t>(left.count(), 1000)));
    if (ends[0].revents != 0) WriteSome(&child.in, &rest);
    if (ends[1].revents != 0) ReadSome(&child.out, out);
    if (ends[2].revents != 0) ReadSome(&child.err, err);
    if (out->size() > kMostOutput) {
      return absl::ResourceExhaustedError("the extractor wrote more than 256 MiB");
    }
    if (err->size() > kMostErrors) err->erase(0, err->size() - kMostErrors);
  }
  return absl::OkStatus();
}

// Waits for the end of the child, which has closed its output; one that goes on is ended at the
// deadline. Returns what waitpid() says.
int WaitFor(pid_t pid, Deadline deadline) {
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill(-pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return status;
}

}  // namespace

absl::StatusOr<std::string> Extractor::Run(const std::string& lines, Deadline deadline) {
  const std::unique_lock<std::timed_mutex> lock(mutex_, deadline);
  if (!lock.owns_lock()) {
    return absl::DeadlineExceededError("the extractor had too much to do; try again later");
  }
  ASSIGN_OR_RETURN(Child child, Start(command_));
  std::string out, err;
  const absl::Status exchanged = Exchange(lines, deadline, child, &out, &err);
  for (int* end : {&child.in, &child.out, &child.err}) Close(end);
  if (!exchanged.ok()) kill(-child.pid, SIGKILL);
  const int status = WaitFor(child.pid, deadline);
  RETURN_IF_ERROR(exchanged);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return out;
  return absl::InvalidArgumentError(
      absl::StrCat("the extractor ended with ",
                   WIFEXITED(status) ? absl::StrCat("status ", WEXITSTATUS(status))
                                     : absl::StrCat("signal ", WTERMSIG(status)),
                   err.empty() ? "" : absl::StrCat(": ", Printable(err))));
}

}  // namespace cmerc::serving
