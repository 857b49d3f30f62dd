// Conversations of a record file or JSON Lines that stay in it until they are asked for.
#ifndef CMERC_DATASETS_LATE_RECORDS_H_
#define CMERC_DATASETS_LATE_RECORDS_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "core/late_conversations.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/formats/conversations_at.h"

namespace cmerc {

class LateRecords final : public LateConversations {
 public:
  // `bytes` says where each of `outlines` is in `at`; outlines have all but features, which are
  // those of `modalities`, and sentences.
  LateRecords(std::unique_ptr<ConversationsAt> at, std::vector<BytesOfConversation> bytes,
              std::vector<Conversation> outlines, std::vector<ModalityInfo> modalities)
      : at_(std::move(at)),
        bytes_(std::move(bytes)),
        outlines_(std::move(outlines)),
        modalities_(std::move(modalities)) {}

  // Errors are those of ConversationsAt::Read(); OutOfRange: there is no such conversation.
  absl::StatusOr<Conversation> Read(int64_t index) const override;
  uint64_t Digest() const override;

 private:
  const std::unique_ptr<ConversationsAt> at_;
  const std::vector<BytesOfConversation> bytes_;
  const std::vector<Conversation> outlines_;
  const std::vector<ModalityInfo> modalities_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_LATE_RECORDS_H_
