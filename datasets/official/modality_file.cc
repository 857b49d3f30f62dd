#include "datasets/official/modality_file.h"

#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"

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

absl::StatusOr<std::optional<std::vector<torch::Tensor>>> ModalityFile::Read(
    const ConversationId& id, const std::vector<std::string>& utterance_ids, int64_t length,
    const std::string& labels) {
  ASSIGN_OR_RETURN(std::optional<std::vector<torch::Tensor>> streams,
                   ReadUnchecked(id, utterance_ids));
  if (!streams.has_value()) return streams;
  const auto error = [&](const std::string& problem) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": conversation ", id.ToString(), ": ", modality_, " ", problem));
  };
  for (const torch::Tensor& features : *streams) {
    if (features.size(0) != length) {
      return error(absl::StrCat("has ", features.size(0), " rows, want ", length,
                                ", the number of its utterances in ", labels));
    }
    if (width_ == 0) {
      width_ = features.size(1);
      width_from_ = id.ToString();
    }
    if (features.size(1) != width_ || width_ == 0) {
      return error(absl::StrCat(
          "has width ", features.size(1), ", want ",
          width_ == 0 ? ">= 1" : absl::StrCat(width_, " as in conversation ", width_from_)));
    }
    const std::string bad = NotFinite(features);
    if (!bad.empty()) return error(bad);
  }
  return streams;
}

absl::StatusOr<std::optional<std::vector<torch::Tensor>>> ModalityFile::ReadUnchecked(
    const ConversationId& id, const std::vector<std::string>& utterance_ids) {
  if (file_ != nullptr) return ReadFields(id);
  if (table_->Has(id.text)) {
    ++asked_;
    ASSIGN_OR_RETURN(torch::Tensor features, ReadConversation(id.text));
    return std::vector<torch::Tensor>{std::move(features)};
  }
  if (utterance_ids.empty()) {
    NoteMissing(id.text);
    return std::nullopt;
  }
  const int64_t missing_before = num_missing_;
  for (const std::string& utterance : utterance_ids) {
    if (!table_->Has(utterance)) {
      NoteMissing(utterance);
    } else {
      ++asked_;
    }
  }
  if (num_missing_ > missing_before) return std::nullopt;
  ASSIGN_OR_RETURN(torch::Tensor features, ReadUtterances(utterance_ids));
  return std::vector<torch::Tensor>{std::move(features)};
}

absl::StatusOr<torch::Tensor> ModalityFile::ReadConversation(const std::string& id) const {
  ASSIGN_OR_RETURN(const TableShape shape, table_->ShapeOf(id));
  torch::Tensor features = torch::empty({shape.rows, shape.width});
  RETURN_IF_ERROR(table_->Copy(
      id, absl::MakeSpan(features.data_ptr<float>(), static_cast<size_t>(features.numel()))));
  return features;
}

absl::StatusOr<torch::Tensor> ModalityFile::ReadUtterances(
    const std::vector<std::string>& ids) const {
  torch::Tensor features;
  int64_t width = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSIGN_OR_RETURN(const TableShape shape, table_->ShapeOf(ids[i]));
    const std::string place = absl::StrCat(path_, ": ", QuotedId(ids[i]));
    if (shape.rows != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, " has ", shape.rows, " rows of ", shape.width,
          ", want 1, since it is one utterance; in Python, x.mean(axis=0) makes one of frames"));
    }
    if (i == 0) {
      width = shape.width;
      features = torch::empty({static_cast<int64_t>(ids.size()), width});
    }
    if (shape.width != width) {
      return absl::InvalidArgumentError(absl::StrCat(place, " has width ", shape.width, ", want ",
                                                     width, " as ", QuotedId(ids[0])));
    }
    float* row = features.data_ptr<float>() + static_cast<int64_t>(i) * width;
    RETURN_IF_ERROR(table_->Copy(ids[i], absl::MakeSpan(row, static_cast<size_t>(width))));
  }
  return features;
}

absl::StatusOr<std::optional<std::vector<torch::Tensor>>> ModalityFile::ReadFields(
    const ConversationId& id) {
  std::vector<torch::Tensor> streams;
  for (const std::string& field : fields_) {
    const pickle::Value* value = file_->Find(field, id);
    if (value == nullptr) {
      NoteMissing(id.text);
      return std::nullopt;
    }
    absl::StatusOr<torch::Tensor> features = file_->ReadFeatures(*value);
    if (!features.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ": conversation ", id.ToString(), ": ",
                                                     file_->NameOf(field), " ",
                                                     features.status().message()));
    }
    streams.push_back(*std::move(features));
  }
  ++asked_;
  return streams;
}

void ModalityFile::NoteMissing(const std::string& id) {
  ++asked_;
  if (++num_missing_ <= static_cast<int64_t>(kNamedMissing)) missing_.push_back(QuotedId(id));
}

std::string ModalityFile::Missing() const {
  if (num_missing_ == 0) return "";
  const int64_t more = num_missing_ - static_cast<int64_t>(missing_.size());
  return absl::StrCat(path_, ": ", modality_, " has no entry for ", num_missing_, " of ", asked_,
                      " ids: ", absl::StrJoin(missing_, ", "),
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
