#include "datasets/official/official_file.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/shape.h"
#include "core/status.h"
#include "datasets/formats/finite.h"
#include "datasets/official/layout_guess.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using pickle::Value;

bool IsText(const Value& value) {
  const char kind = value.dtype().kind;
  return value.kind() == Kind::kString || value.kind() == Kind::kBytes ||
         (value.kind() == Kind::kArray && (kind == 'U' || kind == 'S'));
}

// Whether `value` stands for a text that is not there: None, or NaN as pandas has it.
bool IsNoText(const Value& value) {
  return value.is_none() || (value.kind() == Kind::kFloat && std::isnan(value.float_value()));
}

// Whether `value` is a list, tuple or array of objects: one item per utterance.
bool IsSequence(const Value& value) {
  return value.kind() == Kind::kList || value.kind() == Kind::kTuple ||
         (value.kind() == Kind::kArray && value.dtype().kind == 'O');
}

absl::Status WrongWidth(int64_t width, size_t want, size_t first) {
  return absl::InvalidArgumentError(
      absl::StrCat("has width ", width, ", want ", want, " as in utterance ", first));
}

// Returns a number as the label that it is. InvalidArgument: it is no integer.
absl::StatusOr<int64_t> LabelOf(double number, size_t utterance) {
  if (std::isnan(number)) return OfficialFile::kNoLabel;
  if (number == std::trunc(number) && std::abs(number) < 1e15) return static_cast<int64_t>(number);
  return absl::InvalidArgumentError(
      absl::StrCat("utterance ", utterance, " has label ", number, ", want an integer"));
}

// Returns for each row of a [num_rows, width] matrix where its 1 is. InvalidArgument: a row is not
// a single 1 among zeros.
absl::StatusOr<std::vector<int64_t>> PositionsOfOnes(absl::Span<const int64_t> matrix,
                                                     int64_t num_rows, int64_t width) {
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < num_rows; ++i) {
    const absl::Span<const int64_t> row = matrix.subspan(i * width, width);
    const int64_t ones = std::count(row.begin(), row.end(), 1);
    const int64_t zeros = std::count(row.begin(), row.end(), 0);
    if (ones != 1 || zeros != width - 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "utterance ", i, " has the row ", ShapeString(row), ", want a single 1 among zeros"));
    }
    positions.push_back(std::find(row.begin(), row.end(), 1) - row.begin());
  }
  return positions;
}

}  // namespace

// Says where the first number is that is not finite; "" where all are.
std::string NotFinite(const torch::Tensor& features) {
  const float* begin = features.data_ptr<float>();
  if (AllFinite({begin, static_cast<size_t>(features.numel())})) return "";
  const float* bad = std::find_if_not(begin, begin + features.numel(),
                                      [](float value) { return std::isfinite(value); });
  const int64_t width = features.size(1);
  return absl::StrCat("utterance ", (bad - begin) / width, ", column ", (bad - begin) % width,
                      " is ", *bad,
                      " as float32, want a number within +-3.4e38; replace the value in the file");
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::Open(
    const std::string& path, const OfficialPicklesOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<pickle::Document> document, pickle::Document::Open(path));
  const absl::StatusOr<OfficialLayout> layout = DetectLayout(*document, options);
  if (layout.ok()) return Make(std::move(document), *layout, options);
  return absl::InvalidArgumentError(
      absl::StrCat(path, " has none of the layouts that are known: ", layout.status().message(),
                   ". ", LayoutAdvice(*document)));
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::OpenAs(
    const std::string& path, const OfficialLayout& layout, const OfficialPicklesOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<pickle::Document> document, pickle::Document::Open(path));
  return Make(std::move(document), layout, options);
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::Make(
    std::unique_ptr<pickle::Document> document, OfficialLayout layout,
    const OfficialPicklesOptions& options) {
  for (const char* modality : {"text", "audio", "visual"}) {
    if (!IsChosen(options, modality)) layout.left_out.emplace_back(modality);
  }
  Budget budget(document->measured_size());
  absl::StatusOr<ConversationIndex> index = ConversationIndex::Make(*document, layout, &budget);
  const std::vector<std::string> unread =
      index.ok() ? index->UnreadLists()
                 : std::vector<std::string>{std::string(index.status().message())};
  if (unread.empty()) {
    return std::unique_ptr<OfficialFile>(
        new OfficialFile(std::move(document), layout, *std::move(index), budget));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(unread, "\n"), ". ", LayoutAdvice(*document)));
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::OpenFeatures(
    const OfficialPicklesOptions& options) {
  const std::string& path = options.features_file();
  if (options.layout() == OfficialPicklesOptions::AUTO) {
    ASSIGN_OR_RETURN(std::unique_ptr<OfficialFile> file, Open(path, options));
    if (file->layout().has_audio()) return file;
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has the layout ", file->layout().name,
                     ", without audio and visual features; name it in roberta_file"));
  }
  ASSIGN_OR_RETURN(const OfficialLayout wanted, FeaturesLayout(options.layout()));
  return OpenAs(path, wanted, options);
}

absl::StatusOr<std::unique_ptr<OfficialFile>> OfficialFile::OpenRoberta(
    const OfficialPicklesOptions& options) {
  const std::string& path = options.roberta_file();
  if (options.layout() == OfficialPicklesOptions::AUTO) {
    ASSIGN_OR_RETURN(std::unique_ptr<OfficialFile> file, Open(path, options));
    if (!file->layout().has_audio()) return file;
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has the layout ", file->layout().name, "; name it in features_file"));
  }
  ASSIGN_OR_RETURN(const OfficialLayout wanted, RobertaLayout(options.layout()));
  return OpenAs(path, wanted, options);
}

OfficialFile::OfficialFile(std::unique_ptr<pickle::Document> document, OfficialLayout layout,
                           ConversationIndex index, Budget budget)
    : document_(std::move(document)),
      layout_(std::move(layout)),
      index_(std::move(index)),
      budget_(budget) {}

absl::Status OfficialFile::WithoutPath(const absl::Status& status) const {
  const std::string prefix = absl::StrCat(path(), ": ");
  return absl::Status(status.code(),
                      absl::StripPrefix(absl::string_view(status.message()), prefix));
}

template <typename T>
absl::StatusOr<T> OfficialFile::WithoutPath(absl::StatusOr<T> result) const {
  if (result.ok()) return result;
  return WithoutPath(result.status());
}

absl::StatusOr<std::vector<ConversationId>> OfficialFile::Ids(const std::string& field) const {
  return WithoutPath(index_.Ids(field, &budget_));
}

absl::StatusOr<std::vector<std::string>> OfficialFile::ReadTexts(const Value& value) const {
  ASSIGN_OR_RETURN(std::vector<std::string> texts, WithoutPath(document_->Texts(value)));
  RETURN_IF_ERROR(budget_.Spend(texts));
  return texts;
}

absl::StatusOr<std::vector<int64_t>> OfficialFile::ReadIntegers(const Value& value,
                                                                int64_t count) const {
  RETURN_IF_ERROR(budget_.Spend(count, sizeof(int64_t)));
  std::vector<int64_t> integers(count);
  RETURN_IF_ERROR(WithoutPath(document_->CopyNumbers(value, absl::MakeSpan(integers))));
  return integers;
}

bool OfficialFile::IsAbsent(const Value* value) { return value == nullptr || IsNoText(*value); }

bool OfficialFile::IsNoFeatures(const Value* value) {
  return value == nullptr || value->is_none() ||
         (value->kind() == Kind::kArray
              ? value->num_elements() == 0 &&
                    (value->shape().empty() || value->shape()[0] == 0 || value->shape().size() == 1)
              : IsSequence(*value) && value->items().empty());
}

bool OfficialFile::SameObjects(const Value& a, const Value& b) {
  return &a == &b || (IsSequence(a) && IsSequence(b) && a.items() == b.items());
}

absl::Status OfficialFile::CopyRow(const Value& value, size_t first, absl::Span<float> row) const {
  if (value.kind() == Kind::kArray && value.dtype().kind != 'O') {  // the fast path: no lists
    const bool row_matrix = value.shape().size() == 2 && value.shape()[0] == 1;
    if (value.shape().size() != 1 && !row_matrix) {
      return absl::InvalidArgumentError(
          absl::StrCat("has ", Describe(value), ", want a vector of numbers",
                       value.shape().size() == 2
                           ? "; in Python, x.mean(axis=0) makes one of the frames of an utterance"
                           : HowToConvert(value)));
    }
    if (value.num_elements() != static_cast<int64_t>(row.size())) {
      return WrongWidth(value.num_elements(), row.size(), first);
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
    return WrongWidth((*shape)[0], row.size(), first);
  }
  return WithoutPath(document_->CopyNumbers(value, row));
}

absl::StatusOr<torch::Tensor> OfficialFile::ReadMatrixOfObjects(const Value& value) const {
  ASSIGN_OR_RETURN(const std::vector<int64_t> shape, WithoutPath(document_->NumbersShape(value)));
  if (shape.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("has shape ", ShapeString(shape), ", want a matrix [utterances, width]"));
  }
  RETURN_IF_ERROR(budget_.Spend(value.num_elements(), sizeof(float)));
  torch::Tensor features = torch::empty({shape[0], shape[1]});
  RETURN_IF_ERROR(WithoutPath(
      document_->CopyNumbers(value, absl::MakeSpan(features.data_ptr<float>(), features.numel()))));
  return features;
}

absl::StatusOr<UtteranceFeatures> OfficialFile::ReadFeatures(const Value& value) const {
  if (value.kind() == Kind::kArray && value.dtype().kind != 'O') {
    const absl::Span<const int64_t> shape = value.shape();
    if (shape.size() != 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          "is ", Describe(value), ", want a matrix [utterances, width]", HowToConvert(value)));
    }
    RETURN_IF_ERROR(WithoutPath(document_->NumbersShape(value)).status());
    RETURN_IF_ERROR(budget_.Spend(value.num_elements(), sizeof(float)));
    torch::Tensor features = torch::empty({shape[0], shape[1]});
    RETURN_IF_ERROR(value.CopyTo(absl::MakeSpan(features.data_ptr<float>(), features.numel())));
    return UtteranceFeatures{features, {}};
  }
  if (value.kind() == Kind::kArray && value.shape().size() > 1) {
    ASSIGN_OR_RETURN(torch::Tensor features, ReadMatrixOfObjects(value));
    return UtteranceFeatures{std::move(features), {}};
  }
  if (!IsSequence(value)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "is ", Describe(value), ", want a matrix or a list of vectors", HowToConvert(value)));
  }
  return ReadVectors(value.items());
}

absl::StatusOr<UtteranceFeatures> OfficialFile::ReadVectors(
    absl::Span<const Value* const> rows) const {
  const int64_t length = static_cast<int64_t>(rows.size());
  UtteranceFeatures features;
  size_t first = 0;  // the first utterance that has features
  while (first < rows.size() && IsNoFeatures(rows[first])) ++first;
  if (first == rows.size()) {
    features.values = torch::empty({length, 0});
    features.has.assign(rows.size(), false);
    return features;
  }
  int64_t width = rows[first]->num_elements();
  if (rows[first]->kind() != Kind::kArray) {
    const absl::StatusOr<std::vector<int64_t>> shape = document_->NumbersShape(*rows[first]);
    // What is wrong with the row is CopyRow's to say.
    width = shape.ok() && shape->size() == 1 ? (*shape)[0] : 0;
  }
  RETURN_IF_ERROR(budget_.Spend(length, width * static_cast<int64_t>(sizeof(float))));
  features.values = torch::empty({length, width});
  float* data = features.values.data_ptr<float>();
  for (int64_t i = 0; i < length; ++i) {
    const absl::Span<float> row = absl::MakeSpan(data + i * width, width);
    if (IsNoFeatures(rows[i])) {
      features.has.resize(rows.size(), true);
      features.has[i] = false;
      std::fill(row.begin(), row.end(), 0.0F);
      continue;
    }
    const absl::Status status = CopyRow(*rows[i], first, row);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("utterance ", i, " ", status.message()));
    }
  }
  return features;
}

bool OfficialFile::HasGaps(const Value& labels) {
  if (!IsSequence(labels)) {
    return labels.kind() == Kind::kArray && labels.dtype().kind == 'f';
  }
  return std::any_of(labels.items().begin(), labels.items().end(),
                     [](const Value* item) { return IsNoText(*item); });
}

absl::StatusOr<std::vector<int64_t>> OfficialFile::ReadLabelsWithGaps(const Value& value) const {
  const auto length =
      static_cast<int64_t>(IsSequence(value) ? value.items().size() : value.num_elements());
  RETURN_IF_ERROR(budget_.Spend(length, sizeof(double) + sizeof(int64_t)));
  std::vector<double> numbers(length);
  if (!IsSequence(value)) {
    RETURN_IF_ERROR(WithoutPath(document_->CopyNumbers(value, absl::MakeSpan(numbers))));
  }
  std::vector<int64_t> labels;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (IsSequence(value) && value.items()[i]->is_none()) {
      labels.push_back(kNoLabel);
      continue;
    }
    if (IsSequence(value)) {
      ASSIGN_OR_RETURN(numbers[i], WithoutPath(document_->Number(*value.items()[i])));
    }
    ASSIGN_OR_RETURN(const int64_t label, LabelOf(numbers[i], i));
    labels.push_back(label);
  }
  return labels;
}

absl::StatusOr<std::vector<int64_t>> OfficialFile::ReadLabels(const Value& value) const {
  if (!value.items().empty() && IsText(*value.items()[0])) {
    const absl::StatusOr<absl::string_view> first = document_->Text(*value.items()[0]);
    return absl::InvalidArgumentError(absl::StrCat(
        "utterance 0 has the text \"", first.ok() ? absl::Utf8SafeCHexEscape(*first) : "",
        "\", want numbers from 0 on; number the classes in the file, in the order of class_names"));
  }
  const bool has_gaps = HasGaps(value);
  if (has_gaps && IsSequence(value)) return ReadLabelsWithGaps(value);
  ASSIGN_OR_RETURN(const std::vector<int64_t> shape, WithoutPath(document_->NumbersShape(value)));
  const bool column = shape.size() == 2 && shape[1] == 1;  // a matrix of one column
  if (shape.size() != 1 && !column) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has shape ", ShapeString(shape), ", want one number per utterance",
        shape.size() == 2 ? "; where every row has a single 1, x.argmax(axis=1) makes numbers of "
                            "them in Python; several labels at once are not for this program"
                          : ""));
  }
  return has_gaps ? ReadLabelsWithGaps(value) : ReadIntegers(value, shape[0]);
}

absl::StatusOr<RawSpeakers> OfficialFile::ReadSpeakers(const Value& value) const {
  RawSpeakers speakers;
  if (IsText(value) || (!value.items().empty() && IsText(*value.items()[0]))) {
    ASSIGN_OR_RETURN(speakers.names, ReadTexts(value));
    return speakers;
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> shape, WithoutPath(document_->NumbersShape(value)));
  if (shape.empty() || shape.size() > 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has shape ", ShapeString(shape), ", want one name, number or one-hot row per utterance"));
  }
  int64_t elements = 1;
  for (const int64_t size : shape) elements *= size;
  ASSIGN_OR_RETURN(speakers.numbers, ReadIntegers(value, elements));
  speakers.kind = RawSpeakers::Kind::kNumbers;
  if (shape.size() == 1) return speakers;
  speakers.kind = RawSpeakers::Kind::kOneHot;
  speakers.width = shape[1];
  ASSIGN_OR_RETURN(speakers.numbers, PositionsOfOnes(speakers.numbers, shape[0], shape[1]));
  return speakers;
}

absl::StatusOr<std::vector<std::string>> OfficialFile::ReadSentences(const Value& value) const {
  if (!IsSequence(value)) return ReadTexts(value);
  std::vector<std::string> sentences;
  for (const Value* item : value.items()) {
    if (IsNoText(*item)) {
      sentences.emplace_back();
    } else if (IsSequence(*item)) {  // a sentence may come as its tokens
      ASSIGN_OR_RETURN(const std::vector<std::string> tokens, ReadTexts(*item));
      sentences.push_back(absl::StrJoin(tokens, " "));
    } else {
      ASSIGN_OR_RETURN(const absl::string_view text, WithoutPath(document_->Text(*item)));
      std::vector<std::string> sentence = {std::string(text)};
      RETURN_IF_ERROR(budget_.Spend(sentence));
      sentences.push_back(std::move(sentence[0]));
    }
  }
  return sentences;
}

}  // namespace cmerc::datasets
