#include "datasets/official/modality_file.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "datasets/assembly/missing_modalities.h"

namespace cmerc::datasets {
namespace {

constexpr size_t kNamedMissing = 5;

std::string QuotedId(const std::string& id) {
  return absl::StrCat("'", absl::Utf8SafeCEscape(id), "'");
}

}  // namespace

ModalityFile::ModalityFile(const OfficialPicklesOptions::ModalityFile& options)
    : path_(options.file()),
      modality_(options.modality()),
      fields_(options.field().begin(), options.field().end()) {}

absl::StatusOr<std::unique_ptr<ModalityFile>> ModalityFile::Open(
    const OfficialPicklesOptions::ModalityFile& options) {
  std::unique_ptr<ModalityFile> file(new ModalityFile(options));
  if (file->fields_.empty()) {
    ASSIGN_OR_RETURN(file->table_, ArrayTable::Open(file->path_));
    return file;
  }
  OfficialLayout layout;
  layout.name = "modality_files";
  layout.text = file->fields_;
  ASSIGN_OR_RETURN(file->file_, OfficialFile::OpenAs(file->path_, layout, {}));
  return file;
}

absl::StatusOr<ConversationFeatures> ModalityFile::Read(
    const ConversationId& id, const std::vector<std::string>& utterance_ids, int64_t length,
    const std::string& labels) {
  ASSIGN_OR_RETURN(ConversationFeatures features, ReadUnchecked(id, utterance_ids));
  const auto error = [&](const std::string& problem) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": conversation ", id.ToString(), ": ", modality_, " ", problem));
  };
  for (const torch::Tensor& stream : features.streams) {
    if (stream.size(0) != length) {
      return error(absl::StrCat("has ", stream.size(0), " rows, want ", length,
                                ", the number of its utterances in ", labels));
    }
    if (width_ == 0) {
      width_ = stream.size(1);
      width_from_ = id.ToString();
    }
    if (stream.size(1) != width_ || width_ == 0) {
      return error(absl::StrCat(
          "has width ", stream.size(1), ", want ",
          width_ == 0 ? ">= 1" : absl::StrCat(width_, " as in conversation ", width_from_)));
    }
    const std::string bad = NotFinite(stream);
    if (!bad.empty()) return error(bad);
  }
  return features;
}

absl::StatusOr<ConversationFeatures> ModalityFile::ReadUnchecked(
    const ConversationId& id, const std::vector<std::string>& utterance_ids) {
  if (file_ != nullptr) return ReadFields(id);
  if (utterance_ids.empty() || table_->Has(id.text)) {
    if (!HasNoted(id.text)) return ConversationFeatures();
    return ReadConversation(id.text);
  }
  return ReadUtterances(utterance_ids);
}

absl::StatusOr<ConversationFeatures> ModalityFile::ReadConversation(const std::string& id) const {
  ASSIGN_OR_RETURN(const TableShape shape, table_->ShapeOf(id));
  if (shape.rows == 0) return ConversationFeatures();
  torch::Tensor features = torch::empty({shape.rows, shape.width});
  RETURN_IF_ERROR(table_->Copy(
      id, absl::MakeSpan(features.data_ptr<float>(), static_cast<size_t>(features.numel()))));
  return ConversationFeatures{{std::move(features)}, {}};
}

absl::StatusOr<ConversationFeatures> ModalityFile::ReadUtterances(
    const std::vector<std::string>& ids) {
  std::vector<bool> has;
  std::vector<float> values;  // of the utterances that have it
  int64_t width = 0;
  std::string width_from;
  for (const std::string& id : ids) {
    has.push_back(HasNoted(id));
    if (!has.back()) continue;
    ASSIGN_OR_RETURN(const TableShape shape, table_->ShapeOf(id));
    has.back() = shape.rows > 0;
    if (shape.rows == 0) continue;
    const std::string place = absl::StrCat(path_, ": ", QuotedId(id));
    if (shape.rows != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, " has ", shape.rows, " rows of ", shape.width,
          ", want 1, since it is one utterance; in Python, x.mean(axis=0) makes one of frames"));
    }
    if (width_from.empty()) {
      width = shape.width;
      width_from = QuotedId(id);
    }
    if (shape.width != width) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, " has width ", shape.width, ", want ", width, " as ", width_from));
    }
    values.resize(values.size() + width);
    RETURN_IF_ERROR(table_->Copy(id, absl::MakeSpan(values).last(width)));
  }
  if (values.empty()) return ConversationFeatures();
  const int64_t rows = std::count(has.begin(), has.end(), true);
  const auto length = static_cast<int64_t>(ids.size());
  held_ += static_cast<double>(rows) * static_cast<double>(width);
  missing_ += static_cast<double>(length - rows) * static_cast<double>(width);
  RETURN_IF_ERROR(Annotate(CheckRoomForMissing(missing_, held_), path_));
  torch::Tensor features = torch::zeros({length, width});
  const float* next = values.data();
  for (int64_t i = 0; i < length; ++i) {
    if (!has[i]) continue;
    std::copy_n(next, width, features.data_ptr<float>() + i * width);
    next += width;
  }
  if (rows == length) has.clear();
  return ConversationFeatures{{std::move(features)}, std::move(has)};
}

absl::StatusOr<ConversationFeatures> ModalityFile::ReadFields(const ConversationId& id) {
  ConversationFeatures all;
  std::vector<bool> is_there;
  for (const std::string& field : fields_) {
    is_there.push_back(!OfficialFile::IsNoFeatures(file_->Find(field, id)));
  }
  const auto missing = std::find(is_there.begin(), is_there.end(), false);
  const std::string place = absl::StrCat(path_, ": conversation ", id.ToString(), ": ");
  if (std::find(is_there.begin(), is_there.end(), true) == is_there.end()) {
    NoteMissing(id.text);
    return all;
  }
  if (missing != is_there.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, file_->NameOf(fields_[missing - is_there.begin()]),
                     " has nothing of it, and other streams of ", modality_, " have"));
  }
  for (const std::string& field : fields_) {
    absl::StatusOr<UtteranceFeatures> features = file_->ReadFeatures(*file_->Find(field, id));
    if (!features.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, file_->NameOf(field), " ", features.status().message()));
    }
    if (!all.streams.empty() && features->has != all.has) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, file_->NameOf(field), " lacks other utterances than the stream ", "before it"));
    }
    all.has = std::move(features->has);
    all.streams.push_back(std::move(features->values));
  }
  ++asked_;
  const bool has_any = all.has.empty() || std::count(all.has.begin(), all.has.end(), true) > 0;
  return has_any ? all : ConversationFeatures();
}

bool ModalityFile::HasNoted(const std::string& id) {
  if (table_->Has(id)) return ++asked_ > 0;
  NoteMissing(id);
  return false;
}

void ModalityFile::NoteMissing(const std::string& id) {
  ++asked_;
  if (++num_missing_ <= static_cast<int64_t>(kNamedMissing)) missing_ids_.push_back(QuotedId(id));
}

std::string ModalityFile::Missing() const {
  if (num_missing_ == 0) {
    return width_ > 0 ? "" : absl::StrCat(path_, ": ", modality_, " is empty for all ids");
  }
  const int64_t more = num_missing_ - static_cast<int64_t>(missing_ids_.size());
  return absl::StrCat(path_, ": ", modality_, " has no entry for ", num_missing_, " of ", asked_,
                      " ids: ", absl::StrJoin(missing_ids_, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "",
                      table_ == nullptr || table_->ids().empty()
                          ? ""
                          : absl::StrCat("; the file has ", table_->ids().size(), " ids, such as ",
                                         QuotedId(table_->ids()[0])));
}

absl::Status CheckModalityFiles(const OfficialPicklesOptions& options) {
  std::set<std::string> names;
  for (const OfficialPicklesOptions::ModalityFile& file : options.modality_files()) {
    if (file.modality().empty() || file.file().empty()) {
      return absl::InvalidArgumentError("modality_files: modality and file must both be set");
    }
    if (options.utterances_csv_size() > 0) continue;
    if (file.has_split()) {
      return absl::InvalidArgumentError(absl::StrCat("modality_files: ", file.modality(),
                                                     " has a split, which is for utterances_csv"));
    }
    if (!names.insert(file.modality()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("modality_files: ", file.modality(), " has two files, keep one"));
    }
  }
  return absl::OkStatus();
}

}  // namespace cmerc::datasets
