// Files of another kind than was wanted, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_KIND_CASES_H_
#define CMERC_TESTS_BIN_BAD_KIND_CASES_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddKinds(std::vector<BadInput>* cases);

// Writes the files that these cases name into `folder`.
void WriteKinds(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_KIND_CASES_H_
