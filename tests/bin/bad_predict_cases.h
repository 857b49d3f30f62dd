// Wrong uses of `cmerc predict`, for bad_input_cases.cc.
#ifndef CMERC_TESTS_BIN_BAD_PREDICT_CASES_H_
#define CMERC_TESTS_BIN_BAD_PREDICT_CASES_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

void AddPredictInputs(std::vector<BadInput>* cases);
// What whoever scores every night, and labelled conversations, may do wrong.
void AddNightlyPredictions(std::vector<BadInput>* cases);

// Conversations that cannot be predicted, as files, beside those of WriteBadFiles().
void WriteBadConversations(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_PREDICT_CASES_H_
