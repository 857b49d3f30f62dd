#include "datasets/late_records.h"

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation.pb.h"
#include "torch/types.h"

namespace cmerc {
namespace {

constexpr uint64_t kDigestFactor = 1099511628211u;  // of FNV-1a

}  // namespace

absl::StatusOr<Conversation> LateRecords::Read(int64_t index) const {
  if (index < 0 || index >= static_cast<int64_t>(outlines_.size())) {
    return absl::OutOfRangeError(
        absl::StrCat("conversation ", index, " was asked for, want 0 to ", outlines_.size() - 1));
  }
  ASSIGN_OR_RETURN(const ConversationRecord record, at_->Read(bytes_[index]));
  return CatchTorch([&] {
    Conversation conversation = outlines_[index];
    conversation.utterances = SentencesOf(record);
    for (const ModalityInfo& info : modalities_) {
      const ConversationRecord::Modality* modality = FindModality(record, info.name);
      if (modality != nullptr) {
        conversation.features.push_back(StreamTensors(*modality, record.utterances_size()));
        continue;
      }
      const torch::Tensor zeros =
          torch::zeros({1, 1}).expand({record.utterances_size(), info.width});
      conversation.features.emplace_back(info.num_streams, zeros);
    }
    return conversation;
  });
}

uint64_t LateRecords::Digest() const {
  uint64_t digest = 0;
  for (const BytesOfConversation& bytes : bytes_) {
    digest = (digest ^ (static_cast<uint64_t>(bytes.size) << 32) ^ bytes.crc) * kDigestFactor;
  }
  return digest;
}

}  // namespace cmerc
