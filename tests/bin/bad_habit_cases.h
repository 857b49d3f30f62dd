// Wrong uses by habits of other programs, and files that a command would destroy, for
// bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_HABIT_CASES_H_
#define CMERC_TESTS_BIN_BAD_HABIT_CASES_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddHabits(std::vector<BadInput>* cases);
void AddKept(std::vector<BadInput>* cases);

// Writes the files of AddKept() into `folder`, which holds "run/" and the files of the other
// tables.
void WriteKept(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_HABIT_CASES_H_
