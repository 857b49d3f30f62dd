// One official feature file: its fields, and its values as tensors.
#ifndef CMERC_DATASETS_OFFICIAL_OFFICIAL_FILE_H_
#define CMERC_DATASETS_OFFICIAL_OFFICIAL_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "datasets/official/official_layout.h"
#include "storage/pickle/pickle.h"
#include "torch/types.h"

namespace cmerc {

struct ConversationId {
  std::string text;      // decimal where the file has a number
  bool numeric = false;  // the file has a number
  int64_t number = 0;

  // For messages: 275, 'Ses01F_impro01'.
  std::string ToString() const;
};

// Numbers before texts, each in ascending order.
bool operator<(const ConversationId& a, const ConversationId& b);
bool operator==(const ConversationId& a, const ConversationId& b);

// The speakers of one conversation as a file has them: one of the three.
struct RawSpeakers {
  enum class Kind { kNames, kNumbers, kOneHot };
  Kind kind = Kind::kNames;
  std::vector<std::string> names;
  std::vector<int64_t> numbers;  // kOneHot: the position of the 1
  int64_t width = 0;             // kOneHot: of the rows

  int64_t length() const {
    return static_cast<int64_t>(kind == Kind::kNames ? names.size() : numbers.size());
  }
};

// The errors of the Read functions begin with what is wrong ("utterance 3 has ..."): the caller
// knows file, conversation and field. One thread at a time.
class OfficialFile {
 public:
  // layout AUTO: by content. NotFound, InvalidArgument: not a file, not a pickle that may be read,
  // not an official layout; the message names `path`.
  static absl::StatusOr<std::unique_ptr<OfficialFile>> OpenFeatures(
      const std::string& path, OfficialPicklesOptions::Layout layout);
  static absl::StatusOr<std::unique_ptr<OfficialFile>> OpenRoberta(
      const std::string& path, OfficialPicklesOptions::Layout layout);

  const std::string& path() const { return document_->name(); }
  const OfficialLayout& layout() const { return layout_; }

  // A list, tuple or array of ids in its order, or a set in ascending order.
  absl::StatusOr<std::vector<ConversationId>> Ids(int field) const;
  // nullptr: `field` has no such conversation.
  const pickle::Value* Find(int field, const ConversationId& id) const;

  // A matrix or a list of vectors -> [n, D] float32, not checked for being finite; n may be 0.
  absl::StatusOr<torch::Tensor> ReadFeatures(const pickle::Value& value) const;
  // Whether two values of ReadFeatures() are one object, or lists of the same objects.
  static bool SameObjects(const pickle::Value& a, const pickle::Value& b);
  absl::StatusOr<std::vector<int64_t>> ReadLabels(const pickle::Value& value) const;
  absl::StatusOr<RawSpeakers> ReadSpeakers(const pickle::Value& value) const;
  absl::StatusOr<std::vector<std::string>> ReadSentences(const pickle::Value& value) const;

 private:
  OfficialFile(std::unique_ptr<pickle::Document> document, OfficialLayout layout);

  static absl::StatusOr<std::unique_ptr<OfficialFile>> Open(
      const std::string& path, const absl::StatusOr<OfficialLayout>* layout);
  // `status` without the name of the file.
  absl::Status WithoutPath(const absl::Status& status) const;
  absl::Status CopyRow(const pickle::Value& value, absl::Span<float> row) const;
  // Before `count` elements of `item_size` bytes are made of the file's objects, which may be
  // shared: an error when all that was made would take more than 64 bytes per byte of the file + 1
  // MiB.
  absl::Status Spend(int64_t count, int64_t item_size) const;
  // The same for texts that were made.
  absl::Status Spend(const std::vector<std::string>& texts) const;

  std::unique_ptr<pickle::Document> document_;
  OfficialLayout layout_;
  mutable double bytes_left_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_OFFICIAL_OFFICIAL_FILE_H_
