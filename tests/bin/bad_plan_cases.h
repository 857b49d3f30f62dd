// Wrong uses of `cmerc experiment`, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_PLAN_CASES_H_
#define CMERC_TESTS_BIN_BAD_PLAN_CASES_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddPlans(std::vector<BadInput>* cases);

// Writes the plans that these cases name into `folder`.
void WriteBadPlans(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_PLAN_CASES_H_
