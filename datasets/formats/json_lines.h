// Conversations as JSON Lines: a ConversationRecord (conversation.proto shows the form) on each
// line, read one at a time.
#ifndef CMERC_DATASETS_FORMATS_JSON_LINES_H_
#define CMERC_DATASETS_FORMATS_JSON_LINES_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.pb.h"

namespace cmerc {

class JsonLinesReader {
 public:
  // `name` is for messages: "dialogues.jsonl", "standard input". `in` must outlive this.
  JsonLinesReader(std::istream& in, std::string name) : in_(in), name_(std::move(name)) {}

  // The conversation on the next line that is not blank; CheckRecord() holds for it, equal streams
  // are shared. nullopt at the end. InvalidArgument: "NAME, line 12: utterances[3].features.text
  // has 99 values, want 100 as in utterances[0]"; the next call goes on behind that line, but a
  // line of more than 256 MiB ends the reading. Unavailable: the stream cannot be read on.
  absl::StatusOr<std::optional<ConversationRecord>> Next();

  // Of what Next() has just returned, from 1.
  int64_t line() const { return line_; }

 private:
  // Whether there was one; too long a line is an error.
  absl::StatusOr<bool> ReadLine();

  std::istream& in_;
  const std::string name_;
  int64_t line_ = 0;
  bool ended_ = false;  // by a line that is too long
  std::string text_;
};

// One line of JSON -> the record, or InvalidArgument without the name of file or line.
absl::StatusOr<ConversationRecord> ConversationFromJson(absl::string_view json);

// A line of JSON without the newline. Numbers have as many digits as give back the same bits.
std::string ConversationToJson(const ConversationRecord& record);

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_JSON_LINES_H_
