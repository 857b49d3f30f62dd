#include "tests/backbones/small_data.h"

#include <google/protobuf/any.pb.h>

#include <utility>

namespace cmerc {

DatasetInfo SmallInfo(std::vector<ModalityInfo> modalities, int64_t num_speakers) {
  DatasetInfo info;
  info.name = "test";
  info.modalities = std::move(modalities);
  info.class_names = {"angry", "happy", "sad"};
  info.num_speakers = num_speakers;
  info.class_counts = {1, 1, 1};
  return info;
}

std::vector<Conversation> SmallConversations(const std::vector<int64_t>& lengths,
                                             const DatasetInfo& info) {
  torch::manual_seed(2);
  std::vector<Conversation> conversations;
  for (const int64_t n : lengths) {
    Conversation conversation;
    for (const ModalityInfo& modality : info.modalities) {
      conversation.features.emplace_back();
      for (int64_t s = 0; s < modality.num_streams; ++s) {
        conversation.features.back().push_back(torch::randn({n, modality.width}));
      }
    }
    conversation.speakers = torch::arange(n).remainder(info.num_speakers);
    conversation.labels = torch::arange(n).remainder(info.num_classes());
    conversations.push_back(conversation);
  }
  return conversations;
}

Batch SmallBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info) {
  return MakeBatch(SmallConversations(lengths, info), info);
}

absl::StatusOr<std::unique_ptr<Backbone>> CreateBackbone(const google::protobuf::Message& options,
                                                         const DatasetInfo& info) {
  google::protobuf::Any any;
  any.PackFrom(options);
  torch::manual_seed(1);
  return Backbones().Create(any, info);
}

Prediction Predict(Backbone& model, const Batch& batch) {
  absl::StatusOr<Prediction> prediction = model.Forward(batch);
  TORCH_CHECK(prediction.ok(), prediction.status().ToString());
  return *std::move(prediction);
}

double MaxDifference(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.sizes() == b.sizes(), a.sizes(), " and ", b.sizes());
  return (a - b).abs().max().item<double>();
}

}  // namespace cmerc
