// Makes of a ConversationRecord what a model sees.
#ifndef CMERC_DATASETS_ASSEMBLY_CONVERSATION_TENSORS_H_
#define CMERC_DATASETS_ASSEMBLY_CONVERSATION_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "datasets/formats/conversation.pb.h"
#include "torch/types.h"

namespace cmerc {

// Returns the streams of a modality of a conversation of `length` utterances, each [length, width],
// 0 for utterances that lack the modality; one that repeats the stream before is the same tensor.
// CheckRecord() of conversation.h holds for its record.
std::vector<torch::Tensor> StreamTensors(const ConversationRecord::Modality& modality,
                                         int64_t length);

// Returns Conversation::present of a record for modalities of these names; CheckRecord() holds for
// it.
torch::Tensor PresentOf(const ConversationRecord& record, const std::vector<std::string>& names);

// Returns the sentences of a record, one for each utterance; none where no utterance has one.
std::vector<std::string> SentencesOf(const ConversationRecord& record);

// Returns the conversation with the features of `info`'s modalities, in its order, whatever else
// the record has; streams that the record shares are one tensor. What utterances lack is 0, and
// `present` says so; they may lack a modality altogether, unless the record has one that `info`
// does not know, which may be the same under another name. Speakers have the indices of
// SpeakerIndices() (core/speakers.h). Labels stay undefined. CheckRecord() of conversation.h holds
// for `record`.
//
// InvalidArgument, without the name of file or conversation: a modality is not there, and another
// is, or none of all; one is of another width or number of streams; there are more speakers than
// info.num_speakers.
absl::StatusOr<Conversation> ToConversation(const ConversationRecord& record,
                                            const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_CONVERSATION_TENSORS_H_
