// Losses from the text of a config, and random input for them.
#ifndef CMERC_TESTS_LOSSES_LOSS_TESTING_H_
#define CMERC_TESTS_LOSSES_LOSS_TESTING_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/loss.h"

namespace cmerc {

// Modalities text, audio and visual; `num_classes` classes with 10, 20, 30, ... training
// utterances.
DatasetInfo LossTestInfo(int64_t num_classes);

// LossFromText("cmerc.FocalOptions", "gamma: 2", info). What Losses().Create() says, or
// InvalidArgument for a text that does not parse.
absl::StatusOr<std::unique_ptr<Loss>> LossFromText(const std::string& type,
                                                   const std::string& options,
                                                   const DatasetInfo& info);

// N utterances in C classes with log-probabilities and features of width H for the full prediction
// and for every view of `info`, drawn after seeding LibTorch with `seed`.
LossInput RandomLossInput(const DatasetInfo& info, int64_t num_utterances, int64_t feature_width,
                          torch::ScalarType dtype, uint64_t seed);

}  // namespace cmerc

#endif  // CMERC_TESTS_LOSSES_LOSS_TESTING_H_
