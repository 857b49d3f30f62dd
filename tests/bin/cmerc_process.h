// Runs the real `cmerc` as a user does, for tests.
#ifndef CMERC_TESTS_BIN_CMERC_PROCESS_H_
#define CMERC_TESTS_BIN_CMERC_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tests/bin/files.h"

namespace cmerc {

struct Outcome {
  int exit_code;    // 128 + the signal when one ended it
  std::string out;  // standard output
  std::string err;  // standard error, without the lines "warning: ..." on the BLAS of this machine
};

// The environment and the streams of a process.
struct Surroundings {
  std::map<std::string, std::string> environment = {};  // on top of the test's own
  std::vector<std::string> unset = {};                  // variables that are taken away
  std::string standard_input = "/dev/null";             // an absolute path, or "&-": closed
  // An absolute path, "&-", or "" to have what it writes in Outcome.out.
  std::string standard_output = "";
};

// A program that runs beside the test.
class RunningProgram {
 public:
  // Starts the program; the arguments are those of RunProgram() below.
  RunningProgram(const std::string& program, const std::vector<std::string>& args,
                 const std::string& folder, const Surroundings& surroundings = {});
  pid_t pid() const { return child_; }
  // Waits for its end, at most so long: whether it has ended.
  bool EndsWithin(std::chrono::microseconds patience) const;
  // Waits for its end.
  Outcome Wait();

 private:
  std::string out_, err_;
  pid_t child_;
};

// Runs //bin:cmerc, a data dependency, with `args`. It finds itself in an unrelated folder, and
// BUILD_WORKING_DIRECTORY names `folder`, as under `bazel run`; where that variable is taken away,
// it finds itself in `folder`.
Outcome RunCmerc(const std::vector<std::string>& args, const std::string& folder,
                 const Surroundings& surroundings = {});

// Runs another program in the same way: "bin/cmerc_engine", or an absolute path.
Outcome RunProgram(const std::string& program, const std::vector<std::string>& args,
                   const std::string& folder, const Surroundings& surroundings = {});

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_CMERC_PROCESS_H_
