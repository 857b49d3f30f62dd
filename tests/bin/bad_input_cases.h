// Wrong uses of `cmerc`, and what it must say to each: a table per topic, in bad_*_cases.cc.
// bad_files.h writes the files that the tables name.
#ifndef CMERC_TESTS_BIN_BAD_INPUT_CASES_H_
#define CMERC_TESTS_BIN_BAD_INPUT_CASES_H_

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace cmerc {

struct BadInput {
  std::string name;  // names the test and, in words, the row in docs/troubleshooting.md
  std::vector<std::string> args;
  // Parts of the message, in its order: the place, the value and what to do.
  std::vector<std::string> says;
  std::map<std::string, std::string> environment = {};
  int exit_code = 2;
  std::string standard_output = "";  // Surroundings::standard_output
};

// Prints the command line, for GoogleTest.
std::ostream& operator<<(std::ostream& out, const BadInput& input);

struct BadInputTopic {
  std::string title;
  std::vector<BadInput> cases;
};

// Relative paths are those of WriteBadFiles(), and "run/", the output of a run of tiny.textproto.
const std::vector<BadInputTopic>& BadInputTopics();

// The cases of all topics.
std::vector<BadInput> BadInputs();

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_INPUT_CASES_H_
