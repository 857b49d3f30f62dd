// Wrong uses of `cmerc`, and what it must say to each: a table per topic. Those of records, plans
// and predictions are in files of their own; bad_files.h writes the files that all of them name.
#ifndef CMERC_TESTS_BIN_BAD_INPUT_CASES_H_
#define CMERC_TESTS_BIN_BAD_INPUT_CASES_H_

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace cmerc {

struct BadInput {
  std::string name;  // of the test, and in words of the row in docs/troubleshooting.md
  std::vector<std::string> args;
  // Parts of the message, in its order: the place, the value and what to do.
  std::vector<std::string> says;
  std::map<std::string, std::string> environment = {};
  int exit_code = 2;
  std::string standard_output = "";  // as in Surroundings
};

// As GoogleTest prints it.
std::ostream& operator<<(std::ostream& out, const BadInput& input);

struct BadInputTopic {
  std::string title;
  std::vector<BadInput> cases;
};

// Relative paths are those of WriteBadFiles(), and "run/", the output of a run of tiny.textproto.
const std::vector<BadInputTopic>& BadInputTopics();

// All of them.
std::vector<BadInput> BadInputs();

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_INPUT_CASES_H_
