// Runs the real `cmerc` as a user does, for tests.
#ifndef CMERC_TESTS_BIN_CMERC_PROCESS_H_
#define CMERC_TESTS_BIN_CMERC_PROCESS_H_

#include <map>
#include <string>
#include <vector>

namespace cmerc {

struct Outcome {
  int exit_code;    // 128 + the signal when one ended it
  std::string out;  // standard output
  std::string err;  // standard error, without the lines "warning: ..." on the BLAS of this machine
};

// Runs //bin:cmerc, a data dependency, with `args`. It finds itself in an unrelated folder, and
// BUILD_WORKING_DIRECTORY names `folder`, as under `bazel run`; `environment` is set on top.
// `standard_input`: an absolute path.
Outcome RunCmerc(const std::vector<std::string>& args, const std::string& folder,
                 const std::map<std::string, std::string>& environment = {},
                 const std::string& standard_input = "/dev/null");

// A new, empty folder below the test's temporary one.
std::string NewFolder();

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& contents);

// Every file and folder below `folder`, as a path relative to it, and what the file holds.
std::map<std::string, std::string> Files(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_CMERC_PROCESS_H_
