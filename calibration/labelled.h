// Which utterances have a label, and that there are some where labels are needed.
#ifndef CMERC_CALIBRATION_LABELLED_H_
#define CMERC_CALIBRATION_LABELLED_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "calibration/prepared_data.h"
#include "core/dataset.h"
#include "core/loss.h"
#include "torch/types.h"

namespace cmerc {

// How many utterances of a conversation have a label.
int64_t CountLabelled(const Conversation& conversation);
// How many utterances of the conversations at `indices` have none.
int64_t CountUnlabelled(const PreparedData& data, absl::Span<const int64_t> indices);

// InvalidArgument: no utterance of the conversations at `indices` has a label, and `why` some need
// one: "the training split", "what is trained on needs some".
absl::Status CheckHasLabels(const PreparedData& data, absl::Span<const int64_t> indices,
                            const std::string& name, const std::string& why);

// What losses see of the predictions of a batch: its rows at `labelled` (Batch::labelled). `input`
// itself, the same tensors, where that is undefined.
LossInput OnlyLabelled(LossInput input, const torch::Tensor& labelled);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_LABELLED_H_
