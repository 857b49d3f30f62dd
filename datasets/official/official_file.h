// One official feature file: its fields, and its values as tensors.
#ifndef CMERC_DATASETS_OFFICIAL_OFFICIAL_FILE_H_
#define CMERC_DATASETS_OFFICIAL_OFFICIAL_FILE_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "datasets/official/budget.h"
#include "datasets/official/conversation_id.h"
#include "datasets/official/conversation_index.h"
#include "datasets/official/official_layout.h"
#include "storage/pickle/pickle.h"
#include "torch/types.h"

namespace cmerc::datasets {

// The speakers of one conversation as a file has them: one of the three.
struct RawSpeakers {
  enum class Kind { kNames, kNumbers, kOneHot };
  Kind kind = Kind::kNames;
  std::vector<std::string> names;
  std::vector<int64_t> numbers;  // kOneHot: the position of the 1
  int64_t width = 0;             // kOneHot: the length of a row

  int64_t length() const {
    return static_cast<int64_t>(kind == Kind::kNames ? names.size() : numbers.size());
  }
};

// The features of the n utterances of a conversation.
struct UtteranceFeatures {
  torch::Tensor values;   // [n, D] float32, 0 for utterances that have none; D is 0 where all lack
                          // them
  std::vector<bool> has;  // [n]; empty: all utterances have some
};

// Says where in [n, D] features the first number is that is not finite; "" where all are.
std::string NotFinite(const torch::Tensor& features);

// An error of Ids() or of a Read function is InvalidArgument and its message begins with what is
// wrong ("has shape [2, 3], want ..."): the caller knows file, conversation and field and names
// them. All of them fail, too, where what was read of this file would take more memory than Budget
// allows. One thread at a time.
class OfficialFile {
 public:
  // Opens the features_file or the roberta_file. With layout AUTO the content says which layout it
  // is. Modalities that options do not choose may be anything. The message of an error names the
  // file. NotFound: there is no such file. InvalidArgument: it is no pickle that may be read, or
  // not of the layout, or `layout` has no such file, or the file has lists of conversations that
  // the layout does not read; the message shows what is in the file. ResourceExhausted: the file
  // does not fit into the memory.
  static absl::StatusOr<std::unique_ptr<OfficialFile>> OpenFeatures(
      const OfficialPicklesOptions& options);
  static absl::StatusOr<std::unique_ptr<OfficialFile>> OpenRoberta(
      const OfficialPicklesOptions& options);
  // Opens a file of a layout that options describe. Errors are those above.
  static absl::StatusOr<std::unique_ptr<OfficialFile>> OpenAs(
      const std::string& path, const OfficialLayout& layout, const OfficialPicklesOptions& options);

  const std::string& path() const { return document_->name(); }
  const OfficialLayout& layout() const { return layout_; }

  // See ConversationIndex. `field` is one of the layout's.
  absl::StatusOr<std::vector<ConversationId>> Ids(const std::string& field) const;
  const pickle::Value* Find(const std::string& field, const ConversationId& id) const {
    return index_.Find(field, id);
  }
  std::string NameOf(const std::string& field) const { return index_.NameOf(field); }
  std::vector<ConversationId> AllIds() const { return index_.AllIds(&budget_); }

  // Returns whether Find() found nothing, None, or NaN as pandas has it in place of nothing.
  static bool IsAbsent(const pickle::Value* value);

  // Returns whether a value stands for features that are not there: Find() found nothing, None, or
  // an empty list or array.
  static bool IsNoFeatures(const pickle::Value* value);

  // Returns the rows of a matrix or a list of vectors, not checked for being finite; n may be 0. An
  // utterance has no features where its entry in the list is IsNoFeatures(). InvalidArgument: the
  // value is neither; a vector holds something that is no number, or is not as wide as the first.
  absl::StatusOr<UtteranceFeatures> ReadFeatures(const pickle::Value& value) const;

  // Returns whether two values of ReadFeatures() are one object, or lists of the same objects.
  static bool SameObjects(const pickle::Value& a, const pickle::Value& b);

  // What ReadLabels() makes of None and NaN.
  static constexpr int64_t kNoLabel = std::numeric_limits<int64_t>::min();

  // Returns one integer per utterance. InvalidArgument: the value is no list or vector of integers
  // and what stands for none.
  absl::StatusOr<std::vector<int64_t>> ReadLabels(const pickle::Value& value) const;

  // Returns one speaker per utterance. InvalidArgument: the value is no list of names, no list of
  // integers and no matrix of one-hot rows.
  absl::StatusOr<RawSpeakers> ReadSpeakers(const pickle::Value& value) const;

  // Returns one text per utterance; tokens are joined with blanks, and None and NaN are empty
  // texts. InvalidArgument: the value is no list of texts or of lists of texts.
  absl::StatusOr<std::vector<std::string>> ReadSentences(const pickle::Value& value) const;

 private:
  OfficialFile(std::unique_ptr<pickle::Document> document, OfficialLayout layout,
               ConversationIndex index, Budget budget);

  // Opens a file of the layout that its content shows.
  static absl::StatusOr<std::unique_ptr<OfficialFile>> Open(const std::string& path,
                                                            const OfficialPicklesOptions& options);
  static absl::StatusOr<std::unique_ptr<OfficialFile>> Make(
      std::unique_ptr<pickle::Document> document, OfficialLayout layout,
      const OfficialPicklesOptions& options);

  // Takes the name of the file from the front of the message.
  absl::Status WithoutPath(const absl::Status& status) const;
  template <typename T>
  absl::StatusOr<T> WithoutPath(absl::StatusOr<T> result) const;

  // Returns the texts of a list or array.
  absl::StatusOr<std::vector<std::string>> ReadTexts(const pickle::Value& value) const;
  // Returns the `count` integers of a value, in C order.
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(const pickle::Value& value,
                                                    int64_t count) const;
  // Whether some of the labels are None or NaN.
  static bool HasGaps(const pickle::Value& labels);
  // ReadLabels() where some are.
  absl::StatusOr<std::vector<int64_t>> ReadLabelsWithGaps(const pickle::Value& value) const;
  // ReadFeatures() of an array of objects with two axes or more.
  absl::StatusOr<torch::Tensor> ReadMatrixOfObjects(const pickle::Value& value) const;
  // ReadFeatures() of a list of vectors.
  absl::StatusOr<UtteranceFeatures> ReadVectors(absl::Span<const pickle::Value* const> rows) const;
  // Copies a vector of row.size() numbers, as many as utterance `first` has.
  absl::Status CopyRow(const pickle::Value& value, size_t first, absl::Span<float> row) const;

  std::unique_ptr<pickle::Document> document_;
  OfficialLayout layout_;
  ConversationIndex index_;
  mutable Budget budget_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_OFFICIAL_FILE_H_
