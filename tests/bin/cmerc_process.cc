#include "tests/bin/cmerc_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

// Opens `path` as this descriptor; for the child, between fork() and exec().
void Redirect(int descriptor, const std::string& path, int flags) {
  if (path == "&-") {
    close(descriptor);
    return;
  }
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
  close(file);
}

std::string WithoutBlasWarnings(const std::string& text) {
  std::istringstream lines(text);
  std::string kept, line;
  while (std::getline(lines, line)) {
    if (!absl::StartsWith(line, "warning: the OpenBLAS")) absl::StrAppend(&kept, line, "\n");
  }
  return kept;
}

}  // namespace

RunningProgram::RunningProgram(const std::string& program, const std::vector<std::string>& args,
                               const std::string& folder, const Surroundings& surroundings) {
  const std::string binary = std::filesystem::absolute(program);
  const std::string capture = NewFolder();
  out_ = capture + "/out";
  err_ = capture + "/err";
  // Before it begins: it may be killed at any time.
  WriteFile(out_, "");
  WriteFile(err_, "");
  child_ = fork();
  if (child_ == 0) {
    Redirect(STDIN_FILENO, surroundings.standard_input, O_RDONLY);
    Redirect(STDOUT_FILENO,
             surroundings.standard_output.empty() ? out_ : surroundings.standard_output, O_WRONLY);
    Redirect(STDERR_FILENO, err_, O_WRONLY);
    setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), 1);
    for (const auto& [name, value] : surroundings.environment) {
      setenv(name.c_str(), value.c_str(), 1);
    }
    for (const std::string& name : surroundings.unset) unsetenv(name.c_str());
    std::vector<char*> argv = {const_cast<char*>("cmerc")};
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    const bool told = std::getenv("BUILD_WORKING_DIRECTORY") != nullptr;
    if (chdir(told ? capture.c_str() : folder.c_str()) == 0) execv(binary.c_str(), argv.data());
    _exit(127);
  }
}

bool RunningProgram::EndsWithin(std::chrono::microseconds patience) const {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, child_, 0));
  EXPECT_GE(process, 0) << std::strerror(errno);
  pollfd ended{process, POLLIN, 0};
  const timespec most{patience.count() / 1000000, patience.count() % 1000000 * 1000};
  const int count = ppoll(&ended, 1, &most, nullptr);
  close(process);
  return count == 1;
}

Outcome RunningProgram::Wait() {
  int status = 0;
  EXPECT_EQ(waitpid(child_, &status, 0), child_);
  const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {exit_code, ReadFile(out_), WithoutBlasWarnings(ReadFile(err_))};
}

Outcome RunProgram(const std::string& program, const std::vector<std::string>& args,
                   const std::string& folder, const Surroundings& surroundings) {
  return RunningProgram(program, args, folder, surroundings).Wait();
}

Outcome RunCmerc(const std::vector<std::string>& args, const std::string& folder,
                 const Surroundings& surroundings) {
  return RunProgram("bin/cmerc", args, folder, surroundings);
}

}  // namespace cmerc
