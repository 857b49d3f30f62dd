// The features of one modality, from a file of their own.
#ifndef CMERC_DATASETS_OFFICIAL_MODALITY_FILE_H_
#define CMERC_DATASETS_OFFICIAL_MODALITY_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "datasets/official/official_file.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/tables/array_table.h"
#include "torch/types.h"

namespace cmerc::datasets {

// What a conversation has of a modality.
struct ConversationFeatures {
  std::vector<torch::Tensor> streams;  // each [n, D] float32, 0 for utterances without; empty: all
                                       // utterances lack the modality
  std::vector<bool> has;               // [n]: which utterances have it; empty: all, or none
};

class ModalityFile {
 public:
  // Opens the file of the options, which CheckModalityFiles() accepts. Errors are those of
  // ArrayTable::Open() and OfficialFile::OpenAs(). The message names the file.
  static absl::StatusOr<std::unique_ptr<ModalityFile>> Open(
      const OfficialPicklesOptions::ModalityFile& options);

  const std::string& path() const { return path_; }
  const std::string& modality() const { return modality_; }
  int64_t num_streams() const { return fields_.empty() ? 1 : fields_.size(); }

  // Returns the features of a conversation, all finite: those of its id, or else the rows of the
  // ids of its utterances. Ids that are not there are counted; what they stand for, and what is
  // there and empty, is missing. InvalidArgument: what is there cannot be read, is not `length`
  // long, or not as wide as that of the conversation before; or CheckRoomForMissing() of
  // datasets/assembly; the message names the file and the id. `labels` names the file that says how
  // long a conversation is.
  absl::StatusOr<ConversationFeatures> Read(const ConversationId& id,
                                            const std::vector<std::string>& utterance_ids,
                                            int64_t length, const std::string& labels);

  // The width of what was read; 0 where that was nothing.
  int64_t width() const { return width_; }

  // Returns a sentence that counts and names the ids that were not there; "" where all were, and
  // something was in them.
  std::string Missing() const;

 private:
  ModalityFile(const OfficialPicklesOptions::ModalityFile& options);

  // As Read(), not checked.
  absl::StatusOr<ConversationFeatures> ReadUnchecked(const ConversationId& id,
                                                     const std::vector<std::string>& utterance_ids);
  absl::StatusOr<ConversationFeatures> ReadConversation(const std::string& id) const;
  // Each utterance has one row or none, all of them as wide as the first.
  absl::StatusOr<ConversationFeatures> ReadUtterances(const std::vector<std::string>& ids);
  absl::StatusOr<ConversationFeatures> ReadFields(const ConversationId& id);
  // Whether the table has an id; counts it, and notes one that is not there.
  bool HasNoted(const std::string& id);
  void NoteMissing(const std::string& id);

  const std::string path_;
  const std::string modality_;
  const std::vector<std::string> fields_;
  std::unique_ptr<ArrayTable> table_;   // this, or for fields_ ...
  std::unique_ptr<OfficialFile> file_;  // ... this
  int64_t width_ = 0;
  std::string width_from_;  // the conversation that set the width
  int64_t asked_ = 0;       // conversations and utterances
  double missing_ = 0;      // features that single utterances lack
  double held_ = 0;         // and those that are there
  int64_t num_missing_ = 0;
  std::vector<std::string> missing_ids_;  // the first of them
};

// InvalidArgument: a modality or a file is not named, or a modality has two files.
absl::Status CheckModalityFiles(const OfficialPicklesOptions& options);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_MODALITY_FILE_H_
