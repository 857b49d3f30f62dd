#include "tests/calibration/stub.h"

namespace cmerc {

DatasetInfo StubInfo() {
  DatasetInfo info;
  info.name = "stub";
  info.modalities = {{"text", 3, 2}, {"audio", 3, 1}};
  info.class_names = {"angry", "happy", "sad"};
  info.num_speakers = 2;
  info.class_counts = {1, 1, 1};
  return info;
}

StubBackbone::StubBackbone(float gain)
    : Backbone(StubInfo()), gain(torch::tensor(gain)), steps(torch::zeros({}, torch::kInt64)) {
  this->gain = register_parameter("gain", this->gain);
  steps = register_buffer("steps", steps);
}

Prediction StubBackbone::ForwardImpl(const Batch& batch) {
  passes.push_back(is_training());
  if (is_training()) steps += 1;
  const torch::Tensor& text = batch.modalities[0].streams[0];
  const torch::Tensor others = batch.context.to(torch::kFloat32) * (1 - torch::eye(text.size(1)));
  const torch::Tensor evidence =
      text + batch.modalities[1].streams[0] + 0.5 * torch::bmm(others, text);
  const torch::Tensor logits =
      gain * evidence.flatten(0, 1).index_select(0, PackedRows(batch.lengths, batch.max_length()));
  return {logits.log_softmax(1), logits};
}

Conversation RandomConversation(const std::string& id, int64_t length) {
  Conversation conversation;
  conversation.id = id;
  conversation.features = {{torch::randn({length, 3}), torch::randn({length, 3})},
                           {torch::randn({length, 3})}};
  conversation.speakers = torch::randint(2, {length}, torch::kInt64);
  conversation.labels = torch::randint(3, {length}, torch::kInt64);
  return conversation;
}

Batch RandomBatch(const std::vector<int64_t>& lengths, uint64_t seed) {
  torch::manual_seed(seed);
  std::vector<Conversation> conversations;
  for (const int64_t length : lengths) {
    conversations.push_back(RandomConversation("c", length));
    if (conversations.size() == 1) {
      conversations[0].speakers = (torch::arange(length).remainder(3) == 1).to(torch::kInt64);
    }
  }
  return MakeBatch(conversations, StubInfo());
}

PreparedData StubData() {
  torch::manual_seed(5);
  PreparedData data;
  data.info = StubInfo();
  int i = 0;
  for (const int64_t length : {3, 1, 4, 2, 5, 2, 3}) {
    data.conversations.push_back(RandomConversation("c" + std::to_string(i++), length));
  }
  data.train = {0, 1, 2, 3};
  data.valid = {4};
  data.test = {5, 6};
  return data;
}

}  // namespace cmerc
