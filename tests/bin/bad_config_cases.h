// Configs that are not valid, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_CONFIG_CASES_H_
#define CMERC_TESTS_BIN_BAD_CONFIG_CASES_H_

#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddConfig(std::vector<BadInput>* cases);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_CONFIG_CASES_H_
