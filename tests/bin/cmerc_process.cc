#include "tests/bin/cmerc_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

// In the child, between fork() and exec().
void Redirect(int descriptor, const std::string& path, int flags) {
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

Outcome RunCmerc(const std::vector<std::string>& args, const std::string& folder,
                 const std::map<std::string, std::string>& environment,
                 const std::string& standard_input) {
  const std::string binary = std::filesystem::absolute("bin/cmerc");
  const std::string capture = NewFolder();
  const std::string out = capture + "/out", err = capture + "/err";
  const pid_t child = fork();
  if (child == 0) {
    Redirect(STDIN_FILENO, standard_input, O_RDONLY);
    Redirect(STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC);
    Redirect(STDERR_FILENO, err, O_WRONLY | O_CREAT | O_TRUNC);
    setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), 1);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> argv = {const_cast<char*>("cmerc")};
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    if (chdir(capture.c_str()) == 0) execv(binary.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {exit_code, ReadFile(out), WithoutBlasWarnings(ReadFile(err))};
}

std::string NewFolder() {
  std::string folder = testing::TempDir() + "/cmerc-XXXXXX";
  EXPECT_NE(mkdtemp(&folder[0]), nullptr) << folder;
  return folder;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteFile(const std::string& path, const std::string& contents) {
  std::ofstream out(path, std::ios::binary);
  out << contents << std::flush;
  EXPECT_TRUE(out.good()) << path;
}

std::map<std::string, std::string> Files(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = std::filesystem::relative(entry.path(), folder);
    files[path] = entry.is_regular_file() ? ReadFile(entry.path()) : "";
  }
  return files;
}

}  // namespace cmerc
