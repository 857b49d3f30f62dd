#include "tests/backbones/dialogue_gcn/dialogue_gcn_data.h"

#include "tests/backbones/small_data.h"

namespace cmerc {

DatasetInfo Info(int64_t num_speakers) {
  return SmallInfo({{"text", 6, 2}, {"audio", 3, 1}}, num_speakers);
}

std::vector<Conversation> Conversations(const std::vector<int64_t>& lengths,
                                        const DatasetInfo& info) {
  std::vector<Conversation> conversations = SmallConversations(lengths, info);
  for (Conversation& conversation : conversations) {
    conversation.speakers =
        torch::randint(info.num_speakers, {conversation.length()}, torch::kInt64);
  }
  return conversations;
}

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info) {
  return MakeBatch(Conversations(lengths, info), info);
}

}  // namespace cmerc
