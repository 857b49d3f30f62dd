// The speakers of a data set, numbered.
#ifndef CMERC_DATASETS_OFFICIAL_SPEAKER_TABLE_H_
#define CMERC_DATASETS_OFFICIAL_SPEAKER_TABLE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "core/dataset.h"
#include "datasets/official/official_file.h"

namespace cmerc::datasets {

// Collects the speakers of all conversations and then gives each an index: one-hot rows the
// position of the 1; of IEMOCAP M is 0 and F is 1, as in the official dataloader.py; other names or
// numbers are numbered in ascending order.
class SpeakerTable {
 public:
  // Adds the speakers of the next conversation. InvalidArgument: it does not name them as the first
  // conversation does; the message begins with "has".
  absl::Status Add(const ConversationId& id, RawSpeakers speakers);

  // Returns the length of the one-hot rows; 0 where the speakers are no such rows.
  int64_t one_hot_width() const { return speakers_.empty() ? 0 : speakers_.front().width; }

  // Sets the number and the names of speakers in `info`, and in each of the conversations, which
  // are those that were added, in their order, the speakers: [n] int64. Nothing was refused, and at
  // least one conversation was added.
  void Assign(DatasetInfo* info, std::vector<Conversation>* conversations) const;

 private:
  std::vector<RawSpeakers> speakers_;  // per conversation
  ConversationId first_id_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_SPEAKER_TABLE_H_
