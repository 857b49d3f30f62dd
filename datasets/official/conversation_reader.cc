#include "datasets/official/conversation_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/status.h"
#include "datasets/assembly/missing_modalities.h"
#include "datasets/assembly/names.h"
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
  std::vector<std::string> text_fields = text.layout().text;
  if (options.text_streams() > 0 && text_fields.size() > size_t(options.text_streams())) {
    text_fields.resize(options.text_streams());
  }
  const OfficialFile& main = files.main();
  AddSource({&text, nullptr, "text", std::move(text_fields), ""});
  AddSource({&main, nullptr, "audio", {main.layout().audio}, ""});
  AddSource({&main, nullptr, "visual", {main.layout().visual}, ""});
  for (const std::unique_ptr<ModalityFile>& file : files.modalities) {
    AddSource({nullptr, file.get(), file->modality(), {}, ""});
  }
  // Names that are no modality are for whoever has all of them to refuse.
  const auto is_chosen = [&](const Source& source) { return IsChosen(options, source.modality); };
  if (std::count_if(sources_.begin(), sources_.end(), is_chosen) == options.modalities_size()) {
    sources_.erase(std::stable_partition(sources_.begin(), sources_.end(), is_chosen),
                   sources_.end());
  }
  for (const Source& source : sources_) {
    ModalityInfo& modality = info_.modalities.emplace_back();
    modality.name = source.modality;
    modality.num_streams = source.own == nullptr ? static_cast<int64_t>(source.fields.size())
                                                 : source.own->num_streams();
  }
  if (sources_.empty()) {
    problems_.Add(absl::StrCat(main.path(),
                               ": no field holds features, and no modality_files are "
                               "given; want text, audio or visual"));
  }
}

void ConversationReader::AddSource(Source source) {
  const bool is_empty =
      source.own == nullptr && (source.fields.empty() || source.fields[0].empty());
  if (is_empty) return;
  const auto same = std::find_if(sources_.begin(), sources_.end(), [&](const Source& other) {
    return other.modality == source.modality;
  });
  if (same == sources_.end()) {
    sources_.push_back(std::move(source));
  } else {
    *same = std::move(source);
  }
}

void ConversationReader::AddProblem(const Place& place, absl::string_view problem) {
  problems_.Add(absl::StrCat(place.file.path(), ": conversation ", place.id.ToString(), ": ",
                             place.name, " (", place.file.NameOf(place.field), ") ", problem));
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
  AddProblem(place, absl::StrCat("has ", length, " utterances, want ", want,
                                 ", the number of its labels"));
  return false;
}

std::string ConversationReader::WrongWidth(const ConversationId& id, size_t modality,
                                           int64_t width) {
  if (width == 0) return "has width 0, want >= 1";
  int64_t& want = info_.modalities[modality].width;
  std::string& from = sources_[modality].width_from;
  if (want == 0) {
    want = width;
    from = id.ToString();
  }
  if (width == want) return "";
  return absl::StrCat("has width ", width, ", want ", want, " as in conversation ", from);
}

void ConversationReader::CheckLabels(const Place& place, const std::vector<int64_t>& labels) {
  const int64_t given = options_.class_names_size();
  const int64_t limit = given > 0 ? given : kMaxClasses;
  if (labels.empty()) AddProblem(place, "has no utterances, want >= 1");
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0 && labels[i] < limit) continue;
    if (labels[i] == -1 || labels[i] == OfficialFile::kNoLabel) continue;
    AddProblem(place,
               absl::StrCat("utterance ", i, " has label ", labels[i], ", want 0 to ", limit - 1,
                            given > 0 ? absl::StrCat(" as there are ", given, " class_names")
                                      : std::string(),
                            ", or -1 for none"));
  }
}

void ConversationReader::SetLabels(const std::vector<int64_t>& labels, Conversation* conversation) {
  conversation->labels = torch::empty({static_cast<int64_t>(labels.size())}, torch::kInt64);
  int64_t* out = conversation->labels.data_ptr<int64_t>();
  for (const int64_t label : labels) {
    num_classes_ = std::max(num_classes_, label + 1);
    has_minus_one_ = has_minus_one_ || label == -1;
    *out++ = label == OfficialFile::kNoLabel ? kUnlabelled : label;
  }
}

bool ConversationReader::Lacks(const ConversationId& id, const Source& source) {
  std::string present;
  std::string absent;
  for (const std::string& field : source.fields) {
    (OfficialFile::IsNoFeatures(source.file->Find(field, id)) ? absent : present) = field;
  }
  if (absent.empty()) return false;
  if (present.empty()) return true;
  AddProblem({*source.file, id, source.modality, absent},
             absl::StrCat("has nothing of it, and ", source.file->NameOf(present), " has"));
  return true;
}

ConversationFeatures ConversationReader::ReadStreams(const ConversationId& id, size_t modality,
                                                     std::optional<int64_t> length) {
  Source& source = sources_[modality];
  if (source.own != nullptr) return ReadOwnStreams(id, modality, length);
  ConversationFeatures result;
  std::vector<torch::Tensor>& streams = result.streams;
  if (Lacks(id, source)) {
    source.lacking.push_back(id);
    return result;
  }
  const pickle::Value* previous = nullptr;
  for (const std::string& field : source.fields) {
    const Place place = {*source.file, id, source.modality, field};
    const pickle::Value* value = source.file->Find(field, id);
    if (previous != nullptr && value != nullptr && OfficialFile::SameObjects(*previous, *value)) {
      streams.push_back(streams.back());
      continue;
    }
    std::optional<UtteranceFeatures> features = ReadField(place, &OfficialFile::ReadFeatures);
    if (!features) break;
    if (length && !CheckLength(place, features->values.size(0), *length)) break;
    if (!streams.empty() && features->has != result.has) {
      AddProblem(place, "lacks other utterances than the stream before it");
      break;
    }
    result.has = std::move(features->has);
    const bool has_any = result.has.empty() ||
                         std::find(result.has.begin(), result.has.end(), true) != result.has.end();
    const std::string wrong =
        has_any ? WrongWidth(id, modality, features->values.size(1)) : std::string();
    if (!wrong.empty()) {
      AddProblem(place, wrong);
      break;
    }
    if (!has_any) {
      source.lacking.push_back(id);
      return {};
    }
    const std::string bad = NotFinite(features->values);
    if (!bad.empty()) AddProblem(place, bad);
    streams.push_back(features->values);
    previous = value;
  }
  return result;
}

ConversationFeatures ConversationReader::ReadOwnStreams(const ConversationId& id, size_t modality,
                                                        std::optional<int64_t> length) {
  if (!length) return {};  // what is wrong with the labels is known
  ModalityFile& file = *sources_[modality].own;
  auto features = file.Read(id, utterance_ids_, *length, files_.main().path());
  if (!features.ok()) {
    problems_.Add(std::string(features.status().message()));
    return {};
  }
  info_.modalities[modality].width = file.width();
  return *std::move(features);
}

void ConversationReader::ReadFeatures(const ConversationId& id, std::optional<int64_t> length,
                                      Conversation* conversation) {
  std::vector<std::vector<bool>> has;
  for (size_t m = 0; m < sources_.size(); ++m) {
    ConversationFeatures features = ReadStreams(id, m, length);
    conversation->features.push_back(std::move(features.streams));
    has.push_back(std::move(features.has));
    // Of another length where that is a problem.
    if (static_cast<int64_t>(has.back().size()) != length.value_or(0)) has.back().clear();
  }
  if (length) conversation->present = PresentTensor(has, *length);
}

std::vector<std::string> ConversationReader::ReadUtteranceIds(const ConversationId& id,
                                                              std::optional<int64_t> length) {
  const OfficialFile& file = files_.main();
  const Place place = {file, id, "ids", file.layout().ids};
  if (files_.modalities.empty() || place.field.empty() || !length) return {};
  auto ids = ReadField(place, &OfficialFile::ReadSentences);
  if (!ids || !CheckLength(place, static_cast<int64_t>(ids->size()), *length)) return {};
  return *std::move(ids);
}

void ConversationReader::CheckMissing() {
  for (const std::unique_ptr<ModalityFile>& file : files_.modalities) {
    const std::string missing = file->Missing();
    if (!missing.empty() && file->width() == 0) problems_.Add(missing);
  }
  for (const Source& source : sources_) {
    if (source.own != nullptr || source.lacking.size() != conversations_.size()) continue;
    const bool is_text_elsewhere = files_.roberta == nullptr && source.modality == "text";
    problems_.Add(absl::StrCat(
        source.file->path(), ": ", source.modality, " (", source.file->NameOf(source.fields[0]),
        ") has nothing for any conversation",
        is_text_elsewhere ? "; give roberta_file if the text features are in such a file" : "",
        "; data { modalities } chooses others"));
  }
  if (num_classes_ == 0 && options_.class_names().empty() && problems_.empty()) {
    problems_.Add(absl::StrCat(files_.main().path(), ": labels (",
                               files_.main().NameOf(files_.main().layout().labels),
                               ") are none for all utterances, want a class of some"));
  }
}

void ConversationReader::Read(const ConversationId& id) {
  const OfficialFile& file = files_.main();
  const OfficialLayout& layout = file.layout();
  const Place labels_place = {file, id, "labels", layout.labels};
  const Place sentences_place = {file, id, "sentences", layout.sentences};
  Conversation conversation;
  conversation.id = id.text;
  conversation.numeric_id = id.numeric;

  std::optional<int64_t> length;
  if (const auto labels = ReadField(labels_place, &OfficialFile::ReadLabels)) {
    CheckLabels(labels_place, *labels);
    length = static_cast<int64_t>(labels->size());
    SetLabels(*labels, &conversation);
  }
  ReadSpeakers(id, length);
  utterance_ids_ = ReadUtteranceIds(id, length);
  // Sentences that are not there are no problem: no model reads them.
  if (!layout.sentences.empty() && !OfficialFile::IsAbsent(file.Find(layout.sentences, id))) {
    auto sentences = ReadField(sentences_place, &OfficialFile::ReadSentences);
    if (length && sentences &&
        CheckLength(sentences_place, static_cast<int64_t>(sentences->size()), *length)) {
      conversation.utterances = *std::move(sentences);
    }
  }
  ReadFeatures(id, length, &conversation);
  conversations_.push_back(std::move(conversation));
}

void ConversationReader::ReadSpeakers(const ConversationId& id, std::optional<int64_t> length) {
  const OfficialFile& file = files_.main();
  const Place place = {file, id, "speakers", file.layout().speakers};
  RawSpeakers everyone;
  if (place.field.empty()) {
    everyone.names.assign(length.value_or(0), "speaker");
    speakers_.Add(id, std::move(everyone)).IgnoreError();
    return;
  }
  std::optional<RawSpeakers> speakers = ReadField(place, &OfficialFile::ReadSpeakers);
  if (!length || !speakers || !CheckLength(place, speakers->length(), *length)) return;
  const absl::Status status = speakers_.Add(id, *std::move(speakers));
  if (!status.ok()) AddProblem(place, status.message());
}

ConversationReader::Proof ConversationReader::ProofOfCorpus() const {
  const OfficialLayout& layout = files_.main().layout();
  if (layout.corpus.name.empty()) return Proof::kNone;
  if (options_.layout() != OfficialPicklesOptions::AUTO) return Proof::kCertain;
  const auto all = [&](const auto& holds) {
    return std::all_of(conversations_.begin(), conversations_.end(), holds) ? Proof::kCertain
                                                                            : Proof::kNone;
  };
  switch (layout.corpus.layout) {
    case OfficialPicklesOptions::IEMOCAP:  // Ses01F_impro01
      return all([](const Conversation& c) {
        return c.id.size() > 3 && c.id.rfind("Ses", 0) == 0 && absl::ascii_isdigit(c.id[3]);
      });
    case OfficialPicklesOptions::MELD:  // numbers, and one-hot rows of nine
      return speakers_.one_hot_width() != 9
                 ? Proof::kNone
                 : all([](const Conversation& c) { return c.numeric_id; });
    default:
      return Proof::kLikeness;
  }
}

void ConversationReader::SetNames(std::vector<std::string>* warnings) {
  const OfficialLayout& layout = files_.main().layout();
  const Corpus& corpus = layout.corpus;
  const Proof proof = ProofOfCorpus();
  info_.name = proof == Proof::kNone ? BaseName(files_.main().path()) : layout.name;
  info_.class_names.assign(options_.class_names().begin(), options_.class_names().end());
  const bool fits = static_cast<int64_t>(corpus.class_names.size()) == num_classes_;
  if (info_.class_names.empty() && fits && proof != Proof::kNone) {
    info_.class_names = corpus.class_names;
    if (proof == Proof::kLikeness) {
      warnings->push_back(absl::StrCat(
          files_.main().path(), ": the names of the classes, ",
          absl::StrJoin(corpus.class_names, ", "), ", are a guess: there are ", num_classes_,
          ", and speakers as ", corpus.name, " has them; set class_names, or layout: ",
          OfficialPicklesOptions::Layout_Name(corpus.layout)));
    }
  }
  for (auto c = static_cast<int64_t>(info_.class_names.size()); c < num_classes_; ++c) {
    info_.class_names.push_back(absl::StrCat("class_", c));
  }
}

void ConversationReader::WarnOfMissing(std::vector<std::string>* warnings) const {
  for (const Source& source : sources_) {
    if (source.own != nullptr) {
      const std::string missing = source.own->Missing();
      if (!missing.empty()) warnings->push_back(missing);
    } else if (!source.lacking.empty()) {
      warnings->push_back(absl::StrCat(source.file->path(), ": ", source.modality, " (",
                                       source.file->NameOf(source.fields[0]), ") has nothing for ",
                                       source.lacking.size(), " of ", conversations_.size(),
                                       " conversations: ", SomeIds(source.lacking)));
    }
  }
  if (!has_minus_one_ || num_classes_ > 2 || options_.class_names_size() > 0) return;
  warnings->push_back(
      absl::StrCat(files_.main().path(), ": the labels are -1 to ", num_classes_ - 1,
                   ", and -1 is taken for none; where it is a class, number the classes from 0"));
}

absl::StatusOr<DatasetInfo> ConversationReader::Finish(std::vector<Conversation>* conversations,
                                                       std::vector<std::string>* warnings) {
  SetNames(warnings);
  WarnOfMissing(warnings);
  speakers_.Assign(&info_, &conversations_);
  RETURN_IF_ERROR(Annotate(FillMissing(info_.modalities, &conversations_), files_.main().path()));
  *conversations = std::move(conversations_);
  return std::move(info_);
}

}  // namespace cmerc::datasets
