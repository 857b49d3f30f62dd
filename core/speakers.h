// Which places the speakers of a conversation take in a model.
#ifndef CMERC_CORE_SPEAKERS_H_
#define CMERC_CORE_SPEAKERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/dataset.h"

namespace cmerc {

// Returns the index of the speaker of each utterance, by their names. A speaker that
// info.speaker_names has keeps its index; the others of the conversation take, in order of
// appearance, the indices that are left. Where utterances draw on the past alone, indices must not
// depend on who speaks later: then one with a name takes its index when it appears, or the next one
// that is left where another has taken it by then. InvalidArgument: more speakers than
// info.num_speakers.
absl::StatusOr<std::vector<int64_t>> SpeakerIndices(absl::Span<const std::string> names,
                                                    const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_CORE_SPEAKERS_H_
