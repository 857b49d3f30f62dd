// Wrong uses of `cmerc data`, and files of conversations that are wrong, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_RECORD_CASES_H_
#define CMERC_TESTS_BIN_BAD_RECORD_CASES_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddRecords(std::vector<BadInput>* cases);

// Writes the files that these cases name into `folder`.
void WriteBadRecords(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_RECORD_CASES_H_
