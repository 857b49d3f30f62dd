#include "datasets/formats/npz_conversations.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "bytes/npy.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr std::array<absl::string_view, 9> kColumns = {
    "lengths",   "ids",         "speakers",    "labels",       "split",
    "positions", "numeric_ids", "class_names", "speaker_names"};

constexpr char kForm[] =
    "; an .npz of conversations is of the form that `cmerc data convert` writes "
    "(docs/your_own_data.md)";

absl::Status Missing(absl::string_view name, absl::string_view shape) {
  return absl::InvalidArgumentError(
      absl::StrCat("has no array \"", name, "\", want ", shape, kForm));
}

// InvalidArgument: an array that is there has another number of elements than it should.
template <typename T>
absl::Status CheckLength(absl::string_view name, const std::vector<T>& values, size_t want,
                         absl::string_view what) {
  if (values.empty() || values.size() == want) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("array \"", name, "\" has ", values.size(),
                                                 " elements, want ", want, ", the number of ",
                                                 what));
}

// InvalidArgument: a number is less than `least`, or no position in a list of `size` names.
absl::Status CheckPositions(absl::string_view name, const std::vector<int64_t>& values,
                            int64_t least, int64_t size, absl::string_view names) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= least && values[i] < size) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, "[", i, "] is ", values[i], ", want ",
                                                   least, " to ", size - 1, ", a position in ",
                                                   names));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<NpzConversations>> NpzConversations::Open(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<NpzFile> file, NpzFile::Open(path));
  std::unique_ptr<NpzConversations> conversations(new NpzConversations(path));
  RETURN_IF_ERROR(conversations->Read(*file));
  return conversations;
}

absl::Status NpzConversations::Read(const NpzFile& file) {
  RETURN_IF_ERROR(ReadColumns(file));
  RETURN_IF_ERROR(ReadNames(file));
  for (const std::string& name : file.names()) {
    if (std::find(kColumns.begin(), kColumns.end(), name) != kColumns.end()) continue;
    if (absl::StartsWith(name, kPresentPrefix)) continue;
    if (absl::StartsWith(name, kExtractorPrefix)) continue;
    RETURN_IF_ERROR(ReadModality(file, name));
  }
  RETURN_IF_ERROR(ReadPresent(file));
  RETURN_IF_ERROR(ReadExtractors(file));
  RETURN_IF_ERROR(Annotate(CheckSchema(schema_), path_));
  checker_.emplace(schema_);
  return absl::OkStatus();
}

absl::Status NpzConversations::ReadColumns(const NpzFile& file) {
  for (const auto& [name, shape] : {std::pair("lengths", "integers [conversations]"),
                                    {"ids", "text [conversations]"},
                                    {"speakers", "integers [utterances]"}}) {
    if (file.Find(name) == nullptr) return Annotate(Missing(name, shape), path_);
  }
  ASSIGN_OR_RETURN(lengths_, file.Integers("lengths"));
  for (size_t i = 0; i < lengths_.size(); ++i) {
    // The sum of what is left to count cannot overflow.
    if (lengths_[i] >= 1 && lengths_[i] <= std::numeric_limits<int32_t>::max()) {
      num_utterances_ += lengths_[i];
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": lengths[", i, "] is ", lengths_[i], ", want >= 1 utterances"));
  }
  ASSIGN_OR_RETURN(ids_, file.Texts("ids"));
  ASSIGN_OR_RETURN(speakers_, file.Integers("speakers"));
  for (const auto& [name, values] : {std::pair("labels", &labels_),
                                     {"positions", &positions_},
                                     {"numeric_ids", &numeric_ids_}}) {
    if (file.Find(name) == nullptr) continue;
    ASSIGN_OR_RETURN(*values, file.Integers(name));
  }
  if (file.Find("split") != nullptr) {
    ASSIGN_OR_RETURN(splits_, file.Texts("split"));
  }
  const size_t conversations = lengths_.size();
  const auto utterances = static_cast<size_t>(num_utterances_);
  for (const absl::Status& status :
       {CheckLength("ids", ids_, conversations, "lengths"),
        CheckLength("split", splits_, conversations, "lengths"),
        CheckLength("positions", positions_, conversations, "lengths"),
        CheckLength("numeric_ids", numeric_ids_, conversations, "lengths"),
        CheckLength("speakers", speakers_, utterances, "utterances, the sum of lengths"),
        CheckLength("labels", labels_, utterances, "utterances, the sum of lengths")}) {
    RETURN_IF_ERROR(Annotate(status, path_));
  }
  if (ids_.size() != conversations || speakers_.size() != utterances) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": ids or speakers are empty, lengths are not"));
  }
  return absl::OkStatus();
}

absl::Status NpzConversations::ReadNames(const NpzFile& file) {
  if (file.Find("class_names") != nullptr) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, file.Texts("class_names"));
    schema_.mutable_class_names()->Add(names.begin(), names.end());
  } else if (!labels_.empty()) {
    return Annotate(Missing("class_names", "text [classes], as there are labels"), path_);
  }
  RETURN_IF_ERROR(Annotate(
      CheckPositions("labels", labels_, /*least=*/-1, schema_.class_names_size(), "class_names"),
      path_));
  if (file.Find("speaker_names") == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> names, file.Texts("speaker_names"));
  schema_.mutable_speakers()->Add(names.begin(), names.end());
  return Annotate(
      CheckPositions("speakers", speakers_, /*least=*/0, schema_.speakers_size(), "speaker_names"),
      path_);
}

absl::Status NpzConversations::ReadModality(const NpzFile& file, const std::string& name) {
  const NpyHeader& header = *file.Find(name);
  const std::vector<int64_t>& shape = header.shape;
  const absl::Status numbers = CheckNumbers(header);
  const bool fits = (shape.size() == 2 || shape.size() == 3) && shape[0] == num_utterances_ &&
                    shape.back() >= 1 && shape.back() <= std::numeric_limits<int32_t>::max() &&
                    (shape.size() == 2 || (shape[1] >= 1 && shape[1] <= kMaxStreams));
  if (!fits || !numbers.ok() || modalities_.size() == kMaxModalities) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": array \"", ShownZipName(name), "\" is ", header.Describe(),
                     ", want a modality: ", "numbers [", num_utterances_, ", width] or [",
                     num_utterances_, ", streams, width], with ", "at most ", kMaxModalities,
                     " modalities of at most ", kMaxStreams, " streams; leave it ", "out", kForm));
  }
  Modality& modality = modalities_.emplace_back();
  modality.num_streams = shape.size() == 3 ? shape[1] : 1;
  modality.width = shape.back();
  modality.values.resize(header.num_elements);
  RETURN_IF_ERROR(file.CopyFloats(name, absl::MakeSpan(modality.values)));
  DatasetSchema::Modality* entry = schema_.add_modalities();
  entry->set_name(name);
  entry->set_width(static_cast<int32_t>(modality.width));
  entry->set_num_streams(static_cast<int32_t>(modality.num_streams));
  return absl::OkStatus();
}

absl::StatusOr<int> NpzConversations::ModalityNamed(const std::string& array,
                                                    absl::string_view prefix) const {
  const absl::string_view name = absl::StripPrefix(array, prefix);
  for (int m = 0; m < schema_.modalities_size(); ++m) {
    if (schema_.modalities(m).name() == name) return m;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path_, ": array \"", ShownZipName(array),
      prefix == kPresentPrefix ? "\" says which utterances have \"" : "\" says what made \"",
      ShownZipName(std::string(name)), "\", which is no modality of the file", kForm));
}

absl::Status NpzConversations::ReadExtractors(const NpzFile& file) {
  for (const std::string& name : file.names()) {
    if (!absl::StartsWith(name, kExtractorPrefix)) continue;
    ASSIGN_OR_RETURN(const int m, ModalityNamed(name, kExtractorPrefix));
    ASSIGN_OR_RETURN(const std::vector<std::string> texts, file.Texts(name));
    if (texts.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ": array \"", ShownZipName(name),
                                                     "\" has ", texts.size(),
                                                     " texts, want 1: a name and a version"));
    }
    schema_.mutable_modalities(m)->set_extractor(texts[0]);
  }
  return absl::OkStatus();
}

absl::Status NpzConversations::ReadPresent(const NpzFile& file) {
  for (const std::string& name : file.names()) {
    if (!absl::StartsWith(name, kPresentPrefix)) continue;
    ASSIGN_OR_RETURN(const int m, ModalityNamed(name, kPresentPrefix));
    ASSIGN_OR_RETURN(modalities_[m].present, file.Integers(name));
    RETURN_IF_ERROR(Annotate(
        CheckLength(ShownZipName(name), modalities_[m].present,
                    static_cast<size_t>(num_utterances_), "utterances, the sum of lengths"),
        path_));
  }
  return absl::OkStatus();
}

void NpzConversations::AddModality(size_t m, int64_t length, ConversationRecord* record) const {
  const Modality& from = modalities_[m];
  const auto has = [&](int64_t u) { return from.present.empty() || from.present[u] != 0; };
  ConversationRecord::Modality modality;
  modality.set_name(schema_.modalities(static_cast<int>(m)).name());
  modality.set_width(static_cast<int32_t>(from.width));
  const DatasetSchema::Modality& entry = schema_.modalities(static_cast<int>(m));
  if (entry.has_extractor()) modality.set_extractor(entry.extractor());
  for (int64_t i = 0; i < length; ++i) {
    if (!has(utterance_ + i)) modality.add_absent(static_cast<int32_t>(i));
  }
  if (modality.absent_size() == length) return;
  for (int64_t s = 0; s < from.num_streams; ++s) {
    auto* values = modality.add_streams()->mutable_values();
    values->Reserve(static_cast<int>((length - modality.absent_size()) * from.width));
    for (int64_t u = utterance_; u < utterance_ + length; ++u) {
      if (!has(u)) continue;
      const float* row = from.values.data() + (u * from.num_streams + s) * from.width;
      values->Add(row, row + from.width);
    }
  }
  *record->add_modalities() = std::move(modality);
}

absl::StatusOr<ConversationRecord> NpzConversations::ReadRecord() {
  const int64_t i = conversation_ - 1;
  const int64_t length = lengths_[i];
  ConversationRecord record;
  record.set_id(ids_[i]);
  if (!numeric_ids_.empty() && numeric_ids_[i] != 0) record.set_numeric_id(true);
  if (!positions_.empty()) {
    if (positions_[i] != static_cast<int32_t>(positions_[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("position is ", positions_[i], ", want an integer of 32 bits"));
    }
    record.set_position(static_cast<int32_t>(positions_[i]));
  }
  if (!splits_.empty()) {
    for (const auto split :
         {ConversationRecord::TRAIN, ConversationRecord::VALID, ConversationRecord::TEST}) {
      if (splits_[i] == SplitName(split)) record.set_split(split);
    }
    if (!record.has_split()) {
      return absl::InvalidArgumentError(
          absl::StrCat("split is \"", splits_[i], "\", want train, valid or test"));
    }
  }
  for (int64_t u = utterance_; u < utterance_ + length; ++u) {
    ConversationRecord::Utterance* utterance = record.add_utterances();
    utterance->set_speaker(schema_.speakers().empty()
                               ? absl::StrCat(speakers_[u])
                               : schema_.speakers(static_cast<int>(speakers_[u])));
    if (!labels_.empty() && labels_[u] >= 0) {
      utterance->set_label(schema_.class_names(static_cast<int>(labels_[u])));
    }
  }
  for (size_t m = 0; m < modalities_.size(); ++m) AddModality(m, length, &record);
  ShareEqualStreams(&record);
  RETURN_IF_ERROR(CheckRecord(record));
  RETURN_IF_ERROR(checker_->Check(record));
  return record;
}

absl::StatusOr<std::optional<ConversationRecord>> NpzConversations::Next() {
  if (ended_ || conversation_ == static_cast<int64_t>(lengths_.size())) return std::nullopt;
  ++conversation_;
  absl::StatusOr<ConversationRecord> record =
      Annotate(ReadRecord(), absl::StrCat(path_, ", conversation ", conversation_));
  ended_ = !record.ok();
  RETURN_IF_ERROR(record.status());
  utterance_ += lengths_[conversation_ - 1];
  return *std::move(record);
}

}  // namespace cmerc
