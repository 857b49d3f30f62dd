// Small data for the tests of DialogueGCN.
#ifndef CMERC_TESTS_BACKBONES_DIALOGUE_GCN_DIALOGUE_GCN_DATA_H_
#define CMERC_TESTS_BACKBONES_DIALOGUE_GCN_DIALOGUE_GCN_DATA_H_

#include <cstdint>
#include <vector>

#include "core/backbone.h"

namespace cmerc {

// Text of two streams, and audio.
DatasetInfo Info(int64_t num_speakers = 2);

// Conversations of these lengths, whose speakers are random.
std::vector<Conversation> Conversations(const std::vector<int64_t>& lengths,
                                        const DatasetInfo& info = Info());

// A batch of Conversations().
Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info = Info());

}  // namespace cmerc

#endif  // CMERC_TESTS_BACKBONES_DIALOGUE_GCN_DIALOGUE_GCN_DATA_H_
