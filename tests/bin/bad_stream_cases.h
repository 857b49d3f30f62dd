// Wrong uses of `cmerc predict --stream` and of data.context, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_STREAM_CASES_H_
#define CMERC_TESTS_BIN_BAD_STREAM_CASES_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddStreams(std::vector<BadInput>* cases);

// Utterances that cannot be predicted, as files, beside those of WriteBadFiles().
void WriteBadUtterances(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_STREAM_CASES_H_
