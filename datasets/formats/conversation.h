// Checks what ConversationRecord and DatasetSchema promise.
#ifndef CMERC_DATASETS_FORMATS_CONVERSATION_H_
#define CMERC_DATASETS_FORMATS_CONVERSATION_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "datasets/formats/conversation.pb.h"

namespace cmerc {

// The limits of any record and schema: streams that repeat others take no room in a file, but they
// do in memory.
constexpr int kMaxModalities = 64;
constexpr int kMaxStreams = 64;  // in one modality

// What some files call an utterance without a label; a label all the same where a class is called
// so.
inline constexpr char kNoLabel[] = "-1";

// Returns the values of a stream, its own or those of the stream that it repeats: [n, width] of the
// utterances that have the modality.
absl::Span<const float> StreamValues(const ConversationRecord::Modality& modality, int stream);

// Returns, for each of `length` utterances, its row in the streams of a modality, -1 where it lacks
// the modality. CheckRecord() holds for the record.
std::vector<int> RowsOf(const ConversationRecord::Modality& modality, int length);

// Empties every stream whose bits are those of the one before, and marks it.
void ShareEqualStreams(ConversationRecord* record);

// Returns the modality of that name, or nullptr.
const ConversationRecord::Modality* FindModality(const ConversationRecord& record,
                                                 absl::string_view name);

// Modality -> what has made its features, of those that say.
std::map<std::string, std::string> ExtractorsOf(const ConversationRecord& record);
std::map<std::string, std::string> ExtractorsOf(const DatasetSchema& schema);

// Checks what conversation.proto says of any record: id, at least one utterance with a speaker
// each, at least one modality; names unique, streams of n * width finite values for the n
// utterances that have the modality; a numeric id is an integer; extras are JSON under keys of
// their own. InvalidArgument without the name of file or conversation:
// "utterances[3].features.text[17] is nan, want a finite number".
absl::Status CheckRecord(const ConversationRecord& record);

// Checks what conversation.proto says of any schema: at least one modality; names unique and not
// empty. InvalidArgument as above.
absl::Status CheckSchema(const DatasetSchema& schema);

// Checks that a record for which CheckRecord() is ok fits a data set: its modalities are among
// those of the schema, with their widths, numbers of streams and, where both say one, extractors;
// speakers, where the schema lists any; labels that are there and not kNoLabel, where the schema
// lists classes. InvalidArgument as above.
absl::Status CheckFitsSchema(const ConversationRecord& record, const DatasetSchema& schema);

// Does CheckFitsSchema() for many records and one schema, whose names are sorted but once.
class SchemaChecker {
 public:
  // `schema` must outlive this and stay as it is.
  explicit SchemaChecker(const DatasetSchema& schema);

  absl::Status Check(const ConversationRecord& record) const;

 private:
  const DatasetSchema& schema_;
  std::set<absl::string_view> classes_;
  std::set<absl::string_view> speakers_;
};

// "train", "valid", "test".
std::string SplitName(ConversationRecord::Split split);

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_CONVERSATION_H_
