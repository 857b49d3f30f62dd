// Conversations from an .npz of the form that `cmerc data convert` writes (datasets/export.h).
#ifndef CMERC_DATASETS_FORMATS_NPZ_CONVERSATIONS_H_
#define CMERC_DATASETS_FORMATS_NPZ_CONVERSATIONS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/npz_file.h"

namespace cmerc {

// An array whose name begins so says which utterances have the modality of the rest of the name.
inline constexpr absl::string_view kPresentPrefix = "present.";
// And one whose name begins so, what has made the features of that modality.
inline constexpr absl::string_view kExtractorPrefix = "extractor.";

// N utterances of B conversations, one conversation after the other:
//
//   lengths                  [B] integers >= 1, whose sum is N
//   ids                      [B] text
//   speakers                 [N] integers, positions in speaker_names
//   labels                   [N] integers, positions in class_names, -1: none; may be left out
//   split                    [B] text: train, valid, test; may be left out
//   positions, numeric_ids   [B] integers, what ConversationRecord says; may be left out
//   class_names              [C] text; wanted where there are labels
//   speaker_names            [S] text; may be left out: the names are the numbers
//   present.NAME             [N] integers, 0 where an utterance lacks the modality NAME, whose row
//                            is then not looked at; may be left out: none lacks it
//   extractor.NAME           [1] text, ConversationRecord.Modality.extractor of NAME; may be left
//   out any other name           a modality, [N, D] or [N, streams, D] numbers
class NpzConversations {
 public:
  // Reads a file. The message of an error begins with `path`. Errors are those of NpzFile::Open();
  // InvalidArgument, too: an array is missing, or of another shape or kind.
  static absl::StatusOr<std::unique_ptr<NpzConversations>> Open(const std::string& path);

  const DatasetSchema& schema() const { return schema_; }

  // Returns the next conversation; CheckRecord() and CheckFitsSchema() hold for it. nullopt at the
  // end and after an error. InvalidArgument: a number or name is wrong; the message names the file,
  // and the conversation or the position in the array.
  absl::StatusOr<std::optional<ConversationRecord>> Next();

  // The number of the conversation that Next() has just returned, from 1.
  int64_t conversation() const { return conversation_; }

  // What part of the conversations has been returned, from 0 to 1.
  double ShareRead() const {
    return lengths_.empty() ? 1 : 1.0 * conversation_ / static_cast<double>(lengths_.size());
  }

 private:
  struct Modality {
    int64_t num_streams;
    int64_t width;
    std::vector<float> values;     // [N, streams, D]
    std::vector<int64_t> present;  // [N]; empty: the file has none
  };

  explicit NpzConversations(std::string path) : path_(std::move(path)) {}

  absl::Status Read(const NpzFile& file);
  absl::Status ReadColumns(const NpzFile& file);
  absl::Status ReadNames(const NpzFile& file);
  absl::Status ReadModality(const NpzFile& file, const std::string& name);
  // Reads which utterances have each modality.
  absl::Status ReadPresent(const NpzFile& file);
  absl::Status ReadExtractors(const NpzFile& file);
  // The modality that the rest of the name of an array behind `prefix` names. InvalidArgument:
  // there is none.
  absl::StatusOr<int> ModalityNamed(const std::string& array, absl::string_view prefix) const;
  // Adds to a record what its utterances, which begin at utterance_, have of a modality.
  void AddModality(size_t modality, int64_t length, ConversationRecord* record) const;
  absl::StatusOr<ConversationRecord> ReadRecord();

  const std::string path_;
  DatasetSchema schema_;
  std::optional<SchemaChecker> checker_;  // after Open()
  std::vector<int64_t> lengths_;
  std::vector<std::string> ids_;
  std::vector<int64_t> speakers_;
  // Empty: the file has none.
  std::vector<int64_t> labels_;
  std::vector<std::string> splits_;
  std::vector<int64_t> positions_;
  std::vector<int64_t> numeric_ids_;
  std::vector<Modality> modalities_;
  int64_t num_utterances_ = 0;
  int64_t conversation_ = 0;
  int64_t utterance_ = 0;  // where the next conversation begins
  bool ended_ = false;     // by an error
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_NPZ_CONVERSATIONS_H_
