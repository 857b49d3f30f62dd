// An utterance of a conversation that goes on, as a line of JSON.
#ifndef CMERC_DATASETS_FORMATS_STREAM_LINE_H_
#define CMERC_DATASETS_FORMATS_STREAM_LINE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {

struct StreamLine {
  // The conversation's id, and the utterance, or none where the line only ends the conversation.
  ConversationRecord record;
  bool ends = false;  // the conversation, with this utterance if there is one
};

// Reads
//   {"conversation": "d1", "id": "u1", "speaker": "A", "features": {"text": [0.1, 0.2]}}
//   {"conversation": "d1", "end": true}
// where "extractors" is as in a conversation, and all else but "conversation" and "end" as in an
// utterance (conversation.proto); a line may also have an utterance and "end". InvalidArgument,
// without the name of file or line: the line is no JSON, or not of this form: "features.text[17] is
// NaN, want a finite number".
absl::StatusOr<StreamLine> StreamLineFromJson(absl::string_view json,
                                              UnknownKeys unknown_keys = UnknownKeys::kRefuse);

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_STREAM_LINE_H_
