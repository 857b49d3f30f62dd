// The features of one modality, from a file of their own.
#ifndef CMERC_DATASETS_OFFICIAL_MODALITY_FILE_H_
#define CMERC_DATASETS_OFFICIAL_MODALITY_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "datasets/official/official_file.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/tables/array_table.h"
#include "torch/types.h"

namespace cmerc::datasets {

class ModalityFile {
 public:
  // Opens the file of the options, which CheckModalityFiles() accepts. Errors are those of
  // ArrayTable::Open() and OfficialFile::OpenAs(). The message names the file.
  static absl::StatusOr<std::unique_ptr<ModalityFile>> Open(
      const OfficialPicklesOptions::ModalityFile& options);

  const std::string& path() const { return path_; }
  const std::string& modality() const { return modality_; }
  int64_t num_streams() const { return fields_.empty() ? 1 : fields_.size(); }

  // Returns the streams of a conversation, each [n, D] float32 and finite: those of its id, or else
  // the rows of the ids of its utterances. nullopt where some are not there, which are counted.
  // InvalidArgument: what is there cannot be read, is not `length` long, or not as wide as that of
  // the conversation before; the message names the file and the id. `labels` names the file that
  // says how long a conversation is.
  absl::StatusOr<std::optional<std::vector<torch::Tensor>>> Read(
      const ConversationId& id, const std::vector<std::string>& utterance_ids, int64_t length,
      const std::string& labels);

  // The width of what was read; 0 before that.
  int64_t width() const { return width_; }

  // Returns a sentence that counts and names what was not there; "" where all was.
  std::string Missing() const;

 private:
  ModalityFile(const OfficialPicklesOptions::ModalityFile& options);

  // As Read(), not checked.
  absl::StatusOr<std::optional<std::vector<torch::Tensor>>> ReadUnchecked(
      const ConversationId& id, const std::vector<std::string>& utterance_ids);
  absl::StatusOr<torch::Tensor> ReadConversation(const std::string& id) const;
  // Each utterance has one row, all of them as wide as the first.
  absl::StatusOr<torch::Tensor> ReadUtterances(const std::vector<std::string>& ids) const;
  absl::StatusOr<std::optional<std::vector<torch::Tensor>>> ReadFields(const ConversationId& id);
  void NoteMissing(const std::string& id);

  const std::string path_;
  const std::string modality_;
  const std::vector<std::string> fields_;
  std::unique_ptr<ArrayTable> table_;   // this, or for fields_ ...
  std::unique_ptr<OfficialFile> file_;  // ... this
  int64_t width_ = 0;
  std::string width_from_;  // the conversation that set the width
  int64_t asked_ = 0;       // conversations and utterances
  int64_t num_missing_ = 0;
  std::vector<std::string> missing_;  // the first of them
};

// InvalidArgument: a modality or a file is not named, or a modality has two files.
absl::Status CheckModalityFiles(const OfficialPicklesOptions& options);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_MODALITY_FILE_H_
