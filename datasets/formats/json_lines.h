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
#include "datasets/formats/line_reader.h"

namespace cmerc {

// What to do with a key of a conversation or an utterance that is no field of the format.
enum class UnknownKeys {
  kRefuse,  // an error, with the nearest field
  kKeep,    // an Extra of the record
};

class JsonLinesReader {
 public:
  // `name` is for messages: "dialogues.jsonl", "standard input". `in` must outlive this.
  JsonLinesReader(std::istream& in, std::string name,
                  UnknownKeys unknown_keys = UnknownKeys::kRefuse)
      : lines_(in, name, "one conversation"), name_(std::move(name)), unknown_keys_(unknown_keys) {}

  // Returns the conversation on the next line that is not blank; CheckRecord() holds for it, and
  // equal streams are shared. nullopt at the end. InvalidArgument: "NAME, line 12:
  // utterances[3].features.text has 99 values, want 100 as in utterances[0]"; the next call goes on
  // behind that line, but a line of more than 256 MiB ends the reading. Unavailable: the stream
  // cannot be read on.
  absl::StatusOr<std::optional<ConversationRecord>> Next();

  // Goes over the next line that is not blank without looking into it; false at the end. Errors are
  // those of Next(), but for lines that are wrong.
  absl::StatusOr<bool> Skip() { return lines_.Next(&text_); }

  // The number of the line that Next() has just returned, from 1.
  int64_t line() const { return lines_.line(); }
  // That line without its end, and where it begins in the stream, in bytes.
  absl::string_view text() const { return text_; }
  int64_t begin() const { return lines_.begin(); }

 private:
  LineReader lines_;
  const std::string name_;
  const UnknownKeys unknown_keys_;
  std::string text_;
};

// Returns the conversation of one line of JSON. InvalidArgument, without the name of file or line:
// the line is no JSON, or not a conversation for which CheckRecord() holds.
absl::StatusOr<ConversationRecord> ConversationFromJson(
    absl::string_view json, UnknownKeys unknown_keys = UnknownKeys::kRefuse);

// Returns a line of JSON without the newline. Numbers have as many digits as give back the same
// bits.
std::string ConversationToJson(const ConversationRecord& record);

// Returns the members of a JSON object without its braces, "" for none:
// "metadata":{"start":1.5},"channel":2
std::string ExtrasToJson(
    const google::protobuf::RepeatedPtrField<ConversationRecord::Extra>& extras);

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_JSON_LINES_H_
