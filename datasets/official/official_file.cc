#include "datasets/official/official_file.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace cmerc {
namespace {

using pickle::Kind;
using pickle::Value;

constexpr double kMostExpansion = 64, kExpansionBase = 1 << 20;

bool IsText(const Value& value) {
  const char kind = value.dtype().kind;
  return value.kind() == Kind::kString || value.kind() == Kind::kBytes ||
         (value.kind() == Kind::kArray && (kind == 'U' || kind == 'S'));
}

// A list, tuple or array of objects: one item per utterance.
bool IsSequence(const Value& value) {
  return value.kind() == Kind::kList || value.kind() == Kind::kTuple ||
         (value.kind() == Kind::kArray && value.dtype().kind == 'O');
}

std::string ShapeString(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Status WrongWidth(int64_t width, size_t want) {
  return absl::InvalidArgumentError(
      absl::StrCat("has width ", width, ", want ", want, " as in utterance 0"));
}

ConversationId NumericId(int64_t number) { return {absl::StrCat(number), true, number}; }

}  // namespace

std::string ConversationId::ToString() const {
  return numeric ? text : absl::StrCat("'", text, "'");
}

bool operator<(const ConversationId& a, const ConversationId& b) {
  return std::make_tuple(!a.numeric, a.number, absl::string_view(a.text)) <
         std::make_tuple(!b.numeric, b.number, absl::string_view(b.text));
}

bool operator==(const ConversationId& a, const ConversationId& b) {
  return a.numeric == b.numeric && a.text == b.text;
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::Open(
    const std::string& path, const absl::StatusOr<OfficialLayout>* layout) {
  if (layout != nullptr && !layout->ok()) return layout->status();
  absl::StatusOr<std::unique_ptr<pickle::Document>> document = pickle::Document::Open(path);
  if (!document.ok()) return document.status();
  const absl::StatusOr<OfficialLayout> found =
      layout != nullptr ? *layout : DetectLayout(**document);
  if (!found.ok()) return found.status();
  const absl::Status status = CheckLayout(**document, *found);
  if (!status.ok()) return status;
  return std::unique_ptr<OfficialFile>(new OfficialFile(*std::move(document), *found));
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::OpenFeatures(
    const std::string& path, OfficialPicklesOptions::Layout layout) {
  if (layout == OfficialPicklesOptions::AUTO) {
    auto file = Open(path, nullptr);
    if (file.ok() && !(*file)->layout().has_audio()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " has the layout ", (*file)->layout().name,
                       ", without audio and visual features; name it in roberta_file"));
    }
    return file;
  }
  const absl::StatusOr<OfficialLayout> wanted = FeaturesLayout(layout);
  return Open(path, &wanted);
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::OpenRoberta(
    const std::string& path, OfficialPicklesOptions::Layout layout) {
  if (layout == OfficialPicklesOptions::AUTO) {
    auto file = Open(path, nullptr);
    if (file.ok() && (*file)->layout().has_audio()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, " has the layout ", (*file)->layout().name, "; name it in features_file"));
    }
    return file;
  }
  const absl::StatusOr<OfficialLayout> wanted = RobertaLayout(layout);
  return Open(path, &wanted);
}

OfficialFile::OfficialFile(std::unique_ptr<pickle::Document> document, OfficialLayout layout)
    : document_(std::move(document)),
      layout_(std::move(layout)),
      bytes_left_(kMostExpansion * static_cast<double>(document_->pickle_size()) + kExpansionBase) {
}

absl::Status OfficialFile::Spend(int64_t count, int64_t item_size) const {
  bytes_left_ -= static_cast<double>(count) * static_cast<double>(item_size);
  if (bytes_left_ >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("repeats its objects so often that the data takes more than ", kMostExpansion,
                   " times the file; the file may be hostile"));
}

absl::Status OfficialFile::Spend(const std::vector<std::string>& texts) const {
  int64_t bytes = 0;
  for (const std::string& text : texts) {
    bytes += static_cast<int64_t>(sizeof(text) + text.size());
  }
  return Spend(bytes, 1);
}

absl::Status OfficialFile::WithoutPath(const absl::Status& status) const {
  const std::string prefix = absl::StrCat(path(), ": ");
  return absl::Status(status.code(),
                      absl::StripPrefix(absl::string_view(status.message()), prefix));
}

absl::StatusOr<std::vector<ConversationId>> OfficialFile::Ids(int field) const {
  const Value& value = *document_->root().items()[field];
  std::vector<ConversationId> ids;
  if (value.kind() == Kind::kArray && value.dtype().kind != 'O') {
    if (value.shape().size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat("is ", Describe(value), ", want a list"));
    }
    if (IsText(value)) {
      absl::StatusOr<std::vector<std::string>> texts = document_->Texts(value);
      if (!texts.ok()) return WithoutPath(texts.status());
      const absl::Status affordable = Spend(*texts);
      if (!affordable.ok()) return affordable;
      for (std::string& text : *texts) ids.push_back({std::move(text), false, 0});
      return ids;
    }
    std::vector<int64_t> numbers(value.num_elements());
    const absl::Status status = document_->CopyNumbers(value, absl::MakeSpan(numbers));
    if (!status.ok()) return WithoutPath(status);
    for (const int64_t number : numbers) ids.push_back(NumericId(number));
    return ids;
  }
  const absl::StatusOr<absl::Span<const Value* const>> items = document_->Sequence(value);
  if (!items.ok()) return WithoutPath(items.status());
  for (const Value* item : *items) {
    if (IsText(*item)) {
      const absl::StatusOr<absl::string_view> text = document_->Text(*item);
      if (!text.ok()) return WithoutPath(text.status());
      const absl::Status affordable = Spend(static_cast<int64_t>(text->size()), 1);
      if (!affordable.ok()) return affordable;
      ids.push_back({std::string(*text), false, 0});
    } else {
      const absl::StatusOr<int64_t> number = document_->Int(*item);
      if (!number.ok()) return WithoutPath(number.status());
      ids.push_back(NumericId(*number));
    }
  }
  // A set has no order of its own, and the one it is written in differs between runs of Python.
  if (value.kind() == Kind::kSet) std::sort(ids.begin(), ids.end());
  return ids;
}

const Value* OfficialFile::Find(int field, const ConversationId& id) const {
  const Value& table = *document_->root().items()[field];
  return id.numeric ? table.Find(id.number) : table.Find(absl::string_view(id.text));
}

bool OfficialFile::SameObjects(const Value& a, const Value& b) {
  return &a == &b || (IsSequence(a) && IsSequence(b) && a.items() == b.items());
}

absl::Status OfficialFile::CopyRow(const Value& value, absl::Span<float> row) const {
  if (value.kind() == Kind::kArray) {  // the fast path: no list of lists
    if (value.shape().size() != 1 || value.dtype().kind == 'O') {
      return absl::InvalidArgumentError(
          absl::StrCat("has ", Describe(value), ", want a vector of numbers"));
    }
    if (value.num_elements() != static_cast<int64_t>(row.size())) {
      return WrongWidth(value.num_elements(), row.size());
    }
    return value.CopyTo(row);
  }
  const absl::StatusOr<std::vector<int64_t>> shape = document_->NumbersShape(value);
  if (!shape.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("has ", Describe(value),
                                                   ", want a vector of numbers (",
                                                   WithoutPath(shape.status()).message(), ")"));
  }
  if (shape->size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("has shape ", ShapeString(*shape), ", want a vector of numbers"));
  }
  if ((*shape)[0] != static_cast<int64_t>(row.size())) {
    return WrongWidth((*shape)[0], row.size());
  }
  return WithoutPath(document_->CopyNumbers(value, row));
}

absl::StatusOr<torch::Tensor> OfficialFile::ReadFeatures(const Value& value) const {
  if (value.kind() == Kind::kArray && value.dtype().kind != 'O') {
    const absl::Span<const int64_t> shape = value.shape();
    if (shape.size() != 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("is ", Describe(value), ", want a matrix [utterances, width]"));
    }
    const absl::Status affordable = Spend(value.num_elements(), sizeof(float));
    if (!affordable.ok()) return affordable;
    torch::Tensor features = torch::empty({shape[0], shape[1]});
    const absl::Status status =
        value.CopyTo(absl::MakeSpan(features.data_ptr<float>(), features.numel()));
    if (!status.ok()) return status;
    return features;
  }
  if (!IsSequence(value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", Describe(value), ", want a matrix or a list of vectors"));
  }
  const absl::Span<const Value* const> rows = value.items();
  const int64_t length = static_cast<int64_t>(rows.size());
  if (length == 0) return torch::empty({0, 0});
  int64_t width = rows[0]->num_elements();
  if (rows[0]->kind() != Kind::kArray) {
    const absl::StatusOr<std::vector<int64_t>> shape = document_->NumbersShape(*rows[0]);
    // What is wrong with the row is CopyRow's to say.
    width = shape.ok() && shape->size() == 1 ? (*shape)[0] : 0;
  }
  const absl::Status affordable = Spend(length, width * static_cast<int64_t>(sizeof(float)));
  if (!affordable.ok()) return affordable;
  torch::Tensor features = torch::empty({length, width});
  float* data = features.data_ptr<float>();
  for (int64_t i = 0; i < length; ++i) {
    const absl::Status status = CopyRow(*rows[i], absl::MakeSpan(data + i * width, width));
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("utterance ", i, " ", status.message()));
    }
  }
  return features;
}

absl::StatusOr<std::vector<int64_t>> OfficialFile::ReadLabels(const Value& value) const {
  const absl::StatusOr<std::vector<int64_t>> shape = document_->NumbersShape(value);
  if (!shape.ok()) return WithoutPath(shape.status());
  if (shape->size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("has shape ", ShapeString(*shape), ", want one number per utterance"));
  }
  const absl::Status affordable = Spend((*shape)[0], sizeof(int64_t));
  if (!affordable.ok()) return affordable;
  std::vector<int64_t> labels((*shape)[0]);
  const absl::Status status = document_->CopyNumbers(value, absl::MakeSpan(labels));
  if (!status.ok()) return WithoutPath(status);
  return labels;
}

absl::StatusOr<RawSpeakers> OfficialFile::ReadSpeakers(const Value& value) const {
  RawSpeakers speakers;
  const bool names = IsText(value) || (!value.items().empty() && IsText(*value.items()[0]));
  if (names) {
    absl::StatusOr<std::vector<std::string>> texts = document_->Texts(value);
    if (!texts.ok()) return WithoutPath(texts.status());
    const absl::Status affordable = Spend(*texts);
    if (!affordable.ok()) return affordable;
    speakers.names = *std::move(texts);
    return speakers;
  }
  const absl::StatusOr<std::vector<int64_t>> shape = document_->NumbersShape(value);
  if (!shape.ok()) return WithoutPath(shape.status());
  if (shape->empty() || shape->size() > 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has shape ", ShapeString(*shape), ", want one name, number or one-hot row per utterance"));
  }
  int64_t elements = 1;
  for (const int64_t size : *shape) elements *= size;
  const absl::Status affordable = Spend(elements, sizeof(int64_t));
  if (!affordable.ok()) return affordable;
  std::vector<int64_t> numbers(elements);
  const absl::Status status = document_->CopyNumbers(value, absl::MakeSpan(numbers));
  if (!status.ok()) return WithoutPath(status);
  if (shape->size() == 1) {
    speakers.kind = RawSpeakers::Kind::kNumbers;
    speakers.numbers = std::move(numbers);
    return speakers;
  }
  speakers.kind = RawSpeakers::Kind::kOneHot;
  speakers.width = (*shape)[1];
  for (int64_t i = 0; i < (*shape)[0]; ++i) {
    const absl::Span<const int64_t> row =
        absl::MakeConstSpan(numbers).subspan(i * speakers.width, speakers.width);
    const int64_t ones = std::count(row.begin(), row.end(), 1);
    const int64_t zeros = std::count(row.begin(), row.end(), 0);
    if (ones != 1 || zeros != speakers.width - 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "utterance ", i, " has the row ", ShapeString(row), ", want a single 1 among zeros"));
    }
    speakers.numbers.push_back(std::find(row.begin(), row.end(), 1) - row.begin());
  }
  return speakers;
}

absl::StatusOr<std::vector<std::string>> OfficialFile::ReadSentences(const Value& value) const {
  if (!IsSequence(value)) {
    absl::StatusOr<std::vector<std::string>> texts = document_->Texts(value);
    if (!texts.ok()) return WithoutPath(texts.status());
    const absl::Status affordable = Spend(*texts);
    if (!affordable.ok()) return affordable;
    return texts;
  }
  std::vector<std::string> sentences;
  for (const Value* item : value.items()) {
    std::vector<std::string> tokens;
    if (IsSequence(*item)) {  // a sentence may come as its tokens
      absl::StatusOr<std::vector<std::string>> texts = document_->Texts(*item);
      if (!texts.ok()) return WithoutPath(texts.status());
      tokens = *std::move(texts);
    } else {
      const absl::StatusOr<absl::string_view> text = document_->Text(*item);
      if (!text.ok()) return WithoutPath(text.status());
      tokens.emplace_back(*text);
    }
    const absl::Status affordable = Spend(tokens);
    if (!affordable.ok()) return affordable;
    sentences.push_back(absl::StrJoin(tokens, " "));
  }
  return sentences;
}

}  // namespace cmerc
