// What backbones do about data whose utterances draw on the past alone (ContextScope::kPast).
#ifndef CMERC_BACKBONES_LAYERS_PAST_CONTEXT_H_
#define CMERC_BACKBONES_LAYERS_PAST_CONTEXT_H_

#include <string>

#include "absl/status/status.h"
#include "core/dataset.h"

namespace cmerc {

// Whether an utterance may draw on no later one, so that recurrent layers run one way.
inline bool DrawsOnPastAlone(const DatasetInfo& info) {
  return info.context == ContextScope::kPast;
}

// InvalidArgument: options of the type `type` ("cmerc.GruOptions") ask for semantics: OFFICIAL, and
// an utterance may draw on no later one. The official code runs over whole conversations and their
// padding.
absl::Status CheckOfficialContext(const std::string& type, bool official, const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_PAST_CONTEXT_H_
