// Wrong checkpoints, runs to report and places for results, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_OUTPUT_CASES_H_
#define CMERC_TESTS_BIN_BAD_OUTPUT_CASES_H_

#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddCheckpoints(std::vector<BadInput>* cases);
void AddReports(std::vector<BadInput>* cases);
void AddOutputs(std::vector<BadInput>* cases);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_OUTPUT_CASES_H_
