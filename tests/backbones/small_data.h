// Small data for the tests of backbones, and what they all do with it.
#ifndef CMERC_TESTS_BACKBONES_SMALL_DATA_H_
#define CMERC_TESTS_BACKBONES_SMALL_DATA_H_

#include <google/protobuf/message.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/backbone.h"

namespace cmerc {

// Three classes.
DatasetInfo SmallInfo(std::vector<ModalityInfo> modalities = {{"text", 4, 2}, {"audio", 3, 1}},
                      int64_t num_speakers = 2);

// Random features, always the same; speakers and labels take turns.
std::vector<Conversation> SmallConversations(const std::vector<int64_t>& lengths,
                                             const DatasetInfo& info);

// A batch of SmallConversations().
Batch SmallBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info);

// The backbone of these options, with random weights, always the same.
absl::StatusOr<std::unique_ptr<Backbone>> CreateBackbone(const google::protobuf::Message& options,
                                                         const DatasetInfo& info);

Prediction Predict(Backbone& model, const Batch& batch);

// The largest absolute difference of two tensors, which must have the same shape.
double MaxDifference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace cmerc

#endif  // CMERC_TESTS_BACKBONES_SMALL_DATA_H_
