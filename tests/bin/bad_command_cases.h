// Wrong command lines and environments, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_COMMAND_CASES_H_
#define CMERC_TESTS_BIN_BAD_COMMAND_CASES_H_

#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddCommandLine(std::vector<BadInput>* cases);
void AddEnvironment(std::vector<BadInput>* cases);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_COMMAND_CASES_H_
