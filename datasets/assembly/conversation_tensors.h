// Makes of a ConversationRecord what a model sees.
#ifndef CMERC_DATASETS_ASSEMBLY_CONVERSATION_TENSORS_H_
#define CMERC_DATASETS_ASSEMBLY_CONVERSATION_TENSORS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "datasets/formats/conversation.pb.h"
#include "torch/types.h"

namespace cmerc {

// Returns the streams of a modality of a conversation of `length` utterances, each [length, width];
// one that repeats the stream before is the same tensor. CheckRecord() of conversation.h holds for
// its record.
std::vector<torch::Tensor> StreamTensors(const ConversationRecord::Modality& modality,
                                         int64_t length);

// Returns the conversation with the features of `info`'s modalities, in its order, whatever else
// the record has; streams that the record shares are one tensor. Speakers have the indices of
// SpeakerIndices() (core/speakers.h). Labels stay undefined. CheckRecord() of conversation.h holds
// for `record`.
//
// InvalidArgument, without the name of file or conversation: a modality is not there, or of another
// width or number of streams; more speakers than info.num_speakers.
absl::StatusOr<Conversation> ToConversation(const ConversationRecord& record,
                                            const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_CONVERSATION_TENSORS_H_
