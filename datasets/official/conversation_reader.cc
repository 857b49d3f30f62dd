#include "datasets/official/conversation_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/finite.h"
#include "datasets/official/official_layout.h"

namespace cmerc::datasets {
namespace {

// A file with more classes is not what it seems, and would size a model by them.
constexpr int64_t kMaxClasses = 10000;

}  // namespace

ConversationReader::ConversationReader(const OfficialFiles& files,
                                       const OfficialPicklesOptions& options, Problems* problems)
    : files_(files), options_(options), problems_(*problems) {
  const OfficialFile& text = files.roberta != nullptr ? *files.roberta : files.main();
  std::vector<int> text_fields = text.layout().text;
  if (options.text_streams() > 0 && text_fields.size() > size_t(options.text_streams())) {
    text_fields.resize(options.text_streams());
  }
  sources_.push_back({&text, "text", std::move(text_fields), ""});
  if (files.features != nullptr) {
    const OfficialLayout& layout = files.features->layout();
    sources_.push_back({files.features.get(), "audio", {layout.audio}, ""});
    sources_.push_back({files.features.get(), "visual", {layout.visual}, ""});
  }
  for (const Source& source : sources_) {
    ModalityInfo& modality = info_.modalities.emplace_back();
    modality.name = source.modality;
    modality.num_streams = static_cast<int64_t>(source.fields.size());
  }
}

void ConversationReader::AddProblem(const Place& place, absl::string_view problem) {
  problems_.Add(absl::StrCat(place.file.path(), ": conversation ", place.id.ToString(), ": ",
                             place.name, " (field ", place.field + 1, ") ", problem));
}

template <typename T>
std::optional<T> ConversationReader::ReadField(
    const Place& place, absl::StatusOr<T> (OfficialFile::*read)(const pickle::Value&) const) {
  const pickle::Value* value = place.file.Find(place.field, place.id);
  if (value == nullptr) {
    AddProblem(place,
               "has no such conversation, but a list of train, valid or test conversations names "
               "it");
    return std::nullopt;
  }
  absl::StatusOr<T> result = (place.file.*read)(*value);
  if (result.ok()) return *std::move(result);
  AddProblem(place, result.status().message());
  return std::nullopt;
}

bool ConversationReader::CheckLength(const Place& place, int64_t length, int64_t want) {
  if (length == want) return true;
  const bool is_text_elsewhere = files_.roberta == nullptr && place.name == "text" && length == 0;
  AddProblem(
      place,
      absl::StrCat(
          "has ", length, " utterances, want ", want, ", the number of its labels",
          is_text_elsewhere ? "; give roberta_file if the text features are in such a file" : ""));
  return false;
}

bool ConversationReader::CheckWidth(const Place& place, size_t modality, int64_t width) {
  if (width == 0) {
    AddProblem(place, "has width 0, want >= 1");
    return false;
  }
  int64_t& want = info_.modalities[modality].width;
  std::string& from = sources_[modality].width_from;
  if (want == 0) {
    want = width;
    from = place.id.ToString();
  }
  if (width == want) return true;
  AddProblem(place,
             absl::StrCat("has width ", width, ", want ", want, " as in conversation ", from));
  return false;
}

void ConversationReader::CheckFinite(const Place& place, const torch::Tensor& features) {
  const float* begin = features.data_ptr<float>();
  if (AllFinite({begin, static_cast<size_t>(features.numel())})) return;
  const float* bad = std::find_if_not(begin, begin + features.numel(),
                                      [](float value) { return std::isfinite(value); });
  const int64_t width = features.size(1);
  AddProblem(place,
             absl::StrCat("utterance ", (bad - begin) / width, ", column ", (bad - begin) % width,
                          " is ", *bad, ", want a finite float32; replace the value in the file"));
}

void ConversationReader::CheckLabels(const Place& place, const std::vector<int64_t>& labels) {
  const int64_t given = options_.class_names_size();
  const int64_t limit = given > 0 ? given : kMaxClasses;
  if (labels.empty()) AddProblem(place, "has no utterances, want >= 1");
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0 && labels[i] < limit) continue;
    AddProblem(place,
               absl::StrCat("utterance ", i, " has label ", labels[i], ", want 0 to ", limit - 1,
                            given > 0 ? absl::StrCat(" as there are ", given, " class_names")
                                      : std::string()));
  }
}

std::vector<torch::Tensor> ConversationReader::ReadStreams(const ConversationId& id,
                                                           size_t modality,
                                                           std::optional<int64_t> length) {
  const Source& source = sources_[modality];
  std::vector<torch::Tensor> streams;
  const pickle::Value* previous = nullptr;
  for (const int field : source.fields) {
    const Place place = {*source.file, id, source.modality, field};
    const pickle::Value* value = source.file->Find(field, id);
    if (previous != nullptr && value != nullptr && OfficialFile::SameObjects(*previous, *value)) {
      streams.push_back(streams.back());
      continue;
    }
    const std::optional<torch::Tensor> features = ReadField(place, &OfficialFile::ReadFeatures);
    if (!features) break;
    if (length && !CheckLength(place, features->size(0), *length)) break;
    if (!CheckWidth(place, modality, features->size(1))) break;
    CheckFinite(place, *features);
    streams.push_back(*features);
    previous = value;
  }
  return streams;
}

void ConversationReader::Read(const ConversationId& id) {
  const OfficialFile& file = files_.main();
  const OfficialLayout& layout = file.layout();
  const Place labels_place = {file, id, "labels", layout.labels};
  const Place speakers_place = {file, id, "speakers", layout.speakers};
  const Place sentences_place = {file, id, "sentences", layout.sentences};
  Conversation conversation;
  conversation.id = id.text;
  conversation.numeric_id = id.numeric;

  std::optional<int64_t> length;
  if (const auto labels = ReadField(labels_place, &OfficialFile::ReadLabels)) {
    CheckLabels(labels_place, *labels);
    for (const int64_t label : *labels) num_classes_ = std::max(num_classes_, label + 1);
    length = static_cast<int64_t>(labels->size());
    conversation.labels = torch::empty({*length}, torch::kInt64);
    std::copy(labels->begin(), labels->end(), conversation.labels.data_ptr<int64_t>());
  }
  auto speakers = ReadField(speakers_place, &OfficialFile::ReadSpeakers);
  auto sentences = ReadField(sentences_place, &OfficialFile::ReadSentences);
  if (length && speakers && CheckLength(speakers_place, speakers->length(), *length)) {
    const absl::Status status = speakers_.Add(id, *std::move(speakers));
    if (!status.ok()) AddProblem(speakers_place, status.message());
  }
  if (length && sentences &&
      CheckLength(sentences_place, static_cast<int64_t>(sentences->size()), *length)) {
    conversation.utterances = *std::move(sentences);
  }
  for (size_t m = 0; m < sources_.size(); ++m) {
    conversation.features.push_back(ReadStreams(id, m, length));
  }
  conversations_.push_back(std::move(conversation));
}

DatasetInfo ConversationReader::Finish(std::vector<Conversation>* conversations) {
  const OfficialLayout& layout = files_.main().layout();
  info_.name = layout.name;
  info_.class_names.assign(options_.class_names().begin(), options_.class_names().end());
  if (info_.class_names.empty() &&
      static_cast<int64_t>(layout.class_names.size()) == num_classes_) {
    info_.class_names = layout.class_names;
  }
  for (auto c = static_cast<int64_t>(info_.class_names.size()); c < num_classes_; ++c) {
    info_.class_names.push_back(absl::StrCat("class_", c));
  }
  speakers_.Assign(&info_, &conversations_);
  *conversations = std::move(conversations_);
  return std::move(info_);
}

}  // namespace cmerc::datasets
