// Wrong uses of `cmerc`, and what it must say to each.
#ifndef CMERC_TESTS_BIN_BAD_INPUT_CASES_H_
#define CMERC_TESTS_BIN_BAD_INPUT_CASES_H_

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace cmerc {

struct BadInput {
  std::string name;  // of the test
  std::vector<std::string> args;
  std::vector<std::string> says;  // the place, the value and what to do, each in the message
  std::map<std::string, std::string> environment = {};
};

// As GoogleTest prints it.
std::ostream& operator<<(std::ostream& out, const BadInput& input);

// Relative paths are those of WriteBadFiles(), and "run/", the output of a run of tiny.textproto.
const std::vector<BadInput>& BadInputs();

// Writes the files that the cases name into `folder`, which holds "run/" already.
void WriteBadFiles(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_INPUT_CASES_H_
