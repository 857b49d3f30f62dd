// Wrong feature files, generated data and curricula, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_DATA_CASES_H_
#define CMERC_TESTS_BIN_BAD_DATA_CASES_H_

#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddData(std::vector<BadInput>* cases);
void AddCurriculum(std::vector<BadInput>* cases);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_DATA_CASES_H_
