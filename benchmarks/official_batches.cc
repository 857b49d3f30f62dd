#include "benchmarks/official_batches.h"

namespace cmerc {
namespace {

using Lengths = std::vector<int64_t>;

// The first training batches of the official code.
const std::vector<Lengths> kIemocapLengths = {
    {76, 61, 45, 45, 64, 68, 8, 25, 56, 50, 66, 76, 22, 43, 68, 63},
    {41, 44, 64, 35, 52, 72, 23, 23, 65, 33, 42, 22, 42, 59, 60, 61},
    {24, 41, 36, 46, 67, 54, 46, 51, 64, 48, 58, 41, 49, 42, 62, 49},
    {26, 30, 42, 51, 79, 57, 39, 64, 68, 48, 65, 28, 78, 35, 52, 23}};
const std::vector<Lengths> kMeldLengths = {
    {11, 13, 6, 11, 8, 7, 21, 3, 11, 5, 4, 12, 5, 12, 4, 10},
    {3, 4, 9, 9, 2, 16, 5, 2, 5, 6, 7, 10, 7, 14, 12, 9},
    {4, 23, 18, 1, 4, 7, 20, 6, 18, 14, 9, 31, 12, 11, 16, 15},
    {16, 5, 13, 3, 3, 3, 19, 6, 4, 9, 21, 8, 11, 10, 10, 6}};

}  // namespace

Batch MakeRandomBatch(const DatasetInfo& info, const std::vector<int64_t>& lengths) {
  std::vector<Conversation> conversations;
  for (const int64_t n : lengths) {
    Conversation conversation;
    for (const ModalityInfo& modality : info.modalities) {
      conversation.features.emplace_back();
      for (int64_t s = 0; s < modality.num_streams; ++s) {
        conversation.features.back().push_back(torch::randn({n, modality.width}));
      }
    }
    conversation.speakers = torch::randint(info.num_speakers, {n}, torch::kInt64);
    conversation.labels = torch::randint(info.num_classes(), {n}, torch::kInt64);
    conversations.push_back(conversation);
  }
  return MakeBatch(conversations, info);
}

OfficialBatches MakeOfficialBatches(bool meld, Semantics semantics) {
  OfficialBatches corpus;
  corpus.info.modalities = {{"text", 1024, 4}, {"audio", meld ? 300 : 1582, 1}, {"visual", 342, 1}};
  corpus.info.class_names.assign(meld ? 7 : 6, "");
  corpus.info.num_speakers = meld ? 9 : 2;
  corpus.options.set_input_width(meld ? 1024 : 512);
  corpus.options.set_high_frequency_layers(meld ? 3 : 4);
  corpus.options.set_dropout(meld ? 0.4 : 0.5);
  corpus.options.set_semantics(semantics);
  for (const Lengths& lengths : meld ? kMeldLengths : kIemocapLengths) {
    corpus.batches.push_back(MakeRandomBatch(corpus.info, lengths));
  }
  return corpus;
}

std::unique_ptr<Backbone> MakeModel(const OfficialBatches& corpus) {
  google::protobuf::Any any;
  any.PackFrom(corpus.options);
  absl::StatusOr<std::unique_ptr<Backbone>> model = Backbones().Create(any, corpus.info);
  TORCH_CHECK(model.ok(), model.status().ToString());
  return *std::move(model);
}

}  // namespace cmerc
