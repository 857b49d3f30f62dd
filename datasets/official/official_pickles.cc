// The feature files that official emotion recognition systems publish, checked and as tensors.
//
// Text: the four RoBERTa streams of roberta_file or of an SDT file, else the one stream of
// features_file. Audio and visual: features_file. Speakers, labels, sentences: features_file when
// given, as the official dataloader.py takes them, else roberta_file.
// Splits: those of roberta_file; kTrainAndValid in the order of features_file's training list. With
// features_file alone, valid_fraction of its training list is held out.
// Speakers: M is 0 and F is 1 as in the official dataloader.py; one-hot rows are the position of
// the 1; other names or numbers are numbered in ascending order.
//
// Shapes: text 4 x [n, D_text], audio [n, D_audio], visual [n, D_visual]; streams that are one
// object in the file are one tensor.
//
//   dataset {
//     [type.googleapis.com/cmerc.OfficialPicklesOptions] {
//       features_file: "data/IEMOCAP_features.pkl"
//       roberta_file: "data/iemocap_features_roberta.pkl"
//     }
//   }
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/dataset.h"
#include "core/problems.h"
#include "core/torch_status.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/assembly/names.h"
#include "datasets/assembly/random.h"
#include "datasets/formats/finite.h"
#include "datasets/official/official_file.h"
#include "datasets/official/official_layout.h"
#include "datasets/official/official_pickles.pb.h"
#include "torch/types.h"

namespace cmerc {
namespace {

using Ids = std::vector<ConversationId>;

// More is a file that is not what it seems, and would size a model by it.
constexpr int64_t kMaxClasses = 10000;

// Where the features of one modality are.
struct Source {
  const OfficialFile* file;
  std::string modality;
  std::vector<int> fields;  // one per stream
};

struct SplitIds {
  Ids train, valid, train_and_valid, test;
};

class Loader {
 public:
  Loader(const OfficialPicklesOptions& options, const OfficialFile* features,
         const OfficialFile* roberta)
      : options_(options),
        main_(features != nullptr ? *features : *roberta),
        features_(features),
        roberta_(roberta) {
    const OfficialFile& text = roberta != nullptr ? *roberta : main_;
    std::vector<int> text_fields = text.layout().text;
    if (options.text_streams() > 0 && text_fields.size() > size_t(options.text_streams())) {
      text_fields.resize(options.text_streams());
    }
    sources_.push_back({&text, "text", std::move(text_fields)});
    if (features != nullptr) {
      sources_.push_back({features, "audio", {features->layout().audio}});
      sources_.push_back({features, "visual", {features->layout().visual}});
    }
    info_.modalities.resize(sources_.size());
    width_from_.resize(sources_.size());
    for (size_t m = 0; m < sources_.size(); ++m) {
      info_.modalities[m].name = sources_[m].modality;
      info_.modalities[m].num_streams = static_cast<int64_t>(sources_[m].fields.size());
    }
  }

  absl::StatusOr<std::unique_ptr<Dataset>> Load() {
    const SplitIds ids = ReadSplits();
    // What follows would only repeat what is wrong with the splits.
    absl::Status status = problems_.ToStatus();
    if (!status.ok()) return status;

    std::map<ConversationId, int64_t> index;
    for (const Ids* list : {&ids.train_and_valid, &ids.test}) {
      for (const ConversationId& id : *list) {
        index[id] = static_cast<int64_t>(conversations_.size());
        ReadConversation(id);
      }
    }
    status = problems_.ToStatus();
    if (!status.ok()) return status;
    SetClasses();
    SetSpeakers();
    status = problems_.ToStatus();
    if (!status.ok()) return status;

    InMemoryDataset::Splits splits;
    for (const auto& [list, split] : {std::pair(&ids.train, &splits.train),
                                      {&ids.valid, &splits.valid},
                                      {&ids.train_and_valid, &splits.train_and_valid},
                                      {&ids.test, &splits.test}}) {
      for (const ConversationId& id : *list) split->push_back(index.at(id));
    }
    return std::make_unique<InMemoryDataset>(std::move(info_), std::move(conversations_),
                                             std::move(splits));
  }

 private:
  // "FILE: conversation 275: labels (field 3) ": the beginning of a problem.
  static std::string Place(const OfficialFile& file, const ConversationId& id,
                           const std::string& name, int field) {
    return absl::StrCat(file.path(), ": conversation ", id.ToString(), ": ", name, " (field ",
                        field + 1, ") ");
  }

  // The ids of a list; empty, with a problem, when it cannot be read or names one twice.
  Ids ReadIds(const OfficialFile& file, const char* list, int field) {
    absl::StatusOr<Ids> ids = file.Ids(field);
    const std::string place =
        absl::StrCat(file.path(), ": the ", list, " list (field ", field + 1, ") ");
    if (!ids.ok()) {
      problems_.Add(
          absl::StrCat(place, "is not a list of conversation ids: ", ids.status().message()));
      return {};
    }
    Ids sorted = *ids;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
      problems_.Add(
          absl::StrCat(place, "names conversation ", twice->ToString(), " twice, want each once"));
    }
    return *std::move(ids);
  }

  void CheckDisjoint(const OfficialFile& file, const char* a_name, const Ids& a, const char* b_name,
                     const Ids& b) {
    const std::set<ConversationId> in_a(a.begin(), a.end());
    for (const ConversationId& id : b) {
      if (in_a.count(id) > 0) {
        problems_.Add(absl::StrCat(file.path(), ": conversation ", id.ToString(), " is in the ",
                                   a_name, " list and in the ", b_name,
                                   " list, want it in one of them"));
      }
    }
  }

  // Every id of `part` must be in `whole`, which comes from another file.
  void CheckContained(const OfficialFile& part_file, const char* part_name, const Ids& part,
                      const OfficialFile& whole_file, const char* whole_name, const Ids& whole) {
    const std::set<ConversationId> in_whole(whole.begin(), whole.end());
    for (const ConversationId& id : part) {
      if (in_whole.count(id) == 0) {
        problems_.Add(absl::StrCat("conversation ", id.ToString(), " is in the ", part_name,
                                   " list of ", part_file.path(), " but not in the ", whole_name,
                                   " list of ", whole_file.path(),
                                   "; give two files of one corpus and split"));
      }
    }
  }

  SplitIds ReadSplits() {
    SplitIds ids;
    if (roberta_ != nullptr) {
      const OfficialLayout& layout = roberta_->layout();
      ids.train = ReadIds(*roberta_, "train", layout.train);
      ids.valid = ReadIds(*roberta_, "valid", layout.valid);
      ids.test = ReadIds(*roberta_, "test", layout.test);
      CheckDisjoint(*roberta_, "train", ids.train, "valid", ids.valid);
      CheckDisjoint(*roberta_, "train", ids.train, "test", ids.test);
      CheckDisjoint(*roberta_, "valid", ids.valid, "test", ids.test);
      ids.train_and_valid = ids.train;
      ids.train_and_valid.insert(ids.train_and_valid.end(), ids.valid.begin(), ids.valid.end());
    }
    if (features_ != nullptr) {
      const OfficialLayout& layout = features_->layout();
      Ids train = ReadIds(*features_, "train", layout.train);
      Ids test = ReadIds(*features_, "test", layout.test);
      CheckDisjoint(*features_, "train", train, "test", test);
      if (roberta_ != nullptr) {
        CheckContained(*features_, "train", train, *roberta_, "train or valid",
                       ids.train_and_valid);
        CheckContained(*roberta_, "train or valid", ids.train_and_valid, *features_, "train",
                       train);
        CheckContained(*features_, "test", test, *roberta_, "test", ids.test);
        CheckContained(*roberta_, "test", ids.test, *features_, "test", test);
      } else {
        HoldOut(train, &ids);
        ids.test = std::move(test);
      }
      ids.train_and_valid = std::move(train);
    }
    if (ids.train.empty()) {
      problems_.Add(
          absl::StrCat(main_.path(), ": there is no conversation to train on, want >= 1"));
    }
    if (ids.test.empty()) {
      problems_.Add(absl::StrCat(main_.path(), ": there is no conversation to test on, want >= 1"));
    }
    return ids;
  }

  // Draws the validation conversations without replacement; both parts keep the order of `train`.
  void HoldOut(const Ids& train, SplitIds* ids) const {
    const int64_t total = static_cast<int64_t>(train.size());
    const int64_t held_out = std::min<int64_t>(
        std::llround(options_.valid_fraction() * static_cast<double>(total)), total - 1);
    PortableRandom random(options_.valid_seed(), 0);
    int64_t missing = held_out;
    for (int64_t i = 0; i < total; ++i) {
      const bool valid = random.Below(total - i) < missing;
      if (valid) --missing;
      (valid ? ids->valid : ids->train).push_back(train[i]);
    }
  }

  // The value of a conversation in a field, or nullptr and a problem.
  const pickle::Value* Find(const OfficialFile& file, const ConversationId& id,
                            const std::string& name, int field) {
    const pickle::Value* value = file.Find(field, id);
    if (value == nullptr) {
      problems_.Add(absl::StrCat(Place(file, id, name, field),
                                 "has no such conversation, but a list of train, valid or test "
                                 "conversations names it"));
    }
    return value;
  }

  template <typename T>
  std::optional<T> Read(const OfficialFile& file, const ConversationId& id, const std::string& name,
                        int field,
                        absl::StatusOr<T> (OfficialFile::*read)(const pickle::Value&) const) {
    const pickle::Value* value = Find(file, id, name, field);
    if (value == nullptr) return std::nullopt;
    absl::StatusOr<T> result = (file.*read)(*value);
    if (result.ok()) return *std::move(result);
    problems_.Add(absl::StrCat(Place(file, id, name, field), result.status().message()));
    return std::nullopt;
  }

  // Whether a field has an entry for each of the n labels; a problem if not.
  bool CheckLength(const OfficialFile& file, const ConversationId& id, const std::string& name,
                   int field, int64_t length, int64_t want) {
    if (length == want) return true;
    problems_.Add(absl::StrCat(Place(file, id, name, field), "has ", length, " utterances, want ",
                               want, ", the number of its labels",
                               roberta_ == nullptr && name == "text" && length == 0
                                   ? "; give roberta_file if the text features are in such a file"
                                   : ""));
    return false;
  }

  void ReadConversation(const ConversationId& id) {
    Conversation conversation;
    conversation.id = id.text;
    conversation.numeric_id = id.numeric;
    const OfficialLayout& layout = main_.layout();
    const auto labels = Read(main_, id, "labels", layout.labels, &OfficialFile::ReadLabels);
    if (labels) ReadLabelsInto(id, *labels, &conversation);
    const auto speakers = Read(main_, id, "speakers", layout.speakers, &OfficialFile::ReadSpeakers);
    const auto sentences =
        Read(main_, id, "sentences", layout.sentences, &OfficialFile::ReadSentences);
    if (labels && speakers &&
        CheckLength(main_, id, "speakers", layout.speakers, speakers->length(),
                    conversation.length())) {
      CheckSpeakerKind(id, *speakers);
    }
    if (labels && sentences &&
        CheckLength(main_, id, "sentences", layout.sentences,
                    static_cast<int64_t>(sentences->size()), conversation.length())) {
      conversation.utterances = *sentences;
    }
    speakers_.push_back(speakers.value_or(RawSpeakers()));
    conversation.features.resize(sources_.size());
    for (size_t m = 0; m < sources_.size(); ++m)
      ReadModality(id, m, labels.has_value(), &conversation);
    conversations_.push_back(std::move(conversation));
  }

  void ReadLabelsInto(const ConversationId& id, const std::vector<int64_t>& labels,
                      Conversation* conversation) {
    const int field = main_.layout().labels;
    const int64_t given = options_.class_names_size();
    const int64_t limit = given > 0 ? given : kMaxClasses;
    if (labels.empty()) {
      problems_.Add(
          absl::StrCat(Place(main_, id, "labels", field), "has no utterances, want >= 1"));
    }
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] < 0 || labels[i] >= limit) {
        problems_.Add(absl::StrCat(
            Place(main_, id, "labels", field), "utterance ", i, " has label ", labels[i],
            ", want 0 to ", limit - 1,
            given > 0 ? absl::StrCat(" as there are ", given, " class_names") : std::string()));
      }
      num_classes_ = std::max(num_classes_, labels[i] + 1);
    }
    conversation->labels = torch::empty({static_cast<int64_t>(labels.size())}, torch::kInt64);
    std::copy(labels.begin(), labels.end(), conversation->labels.data_ptr<int64_t>());
  }

  void ReadModality(const ConversationId& id, size_t m, bool has_labels,
                    Conversation* conversation) {
    const Source& source = sources_[m];
    std::vector<torch::Tensor>& streams = conversation->features[m];
    const pickle::Value* previous = nullptr;
    for (const int field : source.fields) {
      const pickle::Value* value = source.file->Find(field, id);
      if (previous != nullptr && value != nullptr && OfficialFile::SameObjects(*previous, *value)) {
        streams.push_back(streams.back());
        continue;
      }
      const std::optional<torch::Tensor> features =
          Read(*source.file, id, source.modality, field, &OfficialFile::ReadFeatures);
      if (!features) return;
      if (has_labels && !CheckLength(*source.file, id, source.modality, field, features->size(0),
                                     conversation->length())) {
        return;
      }
      if (!CheckWidth(id, m, field, features->size(1))) return;
      CheckFinite(id, source, field, *features);
      streams.push_back(*features);
      previous = value;
    }
  }

  // Whether the width is that of the modality's first tensor; a problem if not.
  bool CheckWidth(const ConversationId& id, size_t m, int field, int64_t width) {
    const Source& source = sources_[m];
    int64_t& want = info_.modalities[m].width;
    if (width == 0) {
      problems_.Add(
          absl::StrCat(Place(*source.file, id, source.modality, field), "has width 0, want >= 1"));
      return false;
    }
    if (want == 0) {
      want = width;
      width_from_[m] = id.ToString();
    }
    if (width == want) return true;
    problems_.Add(absl::StrCat(Place(*source.file, id, source.modality, field), "has width ", width,
                               ", want ", want, " as in conversation ", width_from_[m]));
    return false;
  }

  void CheckFinite(const ConversationId& id, const Source& source, int field,
                   const torch::Tensor& features) {
    const float* data = features.data_ptr<float>();
    if (AllFinite({data, static_cast<size_t>(features.numel())})) return;
    const float* bad = std::find_if_not(data, data + features.numel(),
                                        [](float value) { return std::isfinite(value); });
    const int64_t width = features.size(1);
    problems_.Add(absl::StrCat(Place(*source.file, id, source.modality, field), "utterance ",
                               (bad - data) / width, ", column ", (bad - data) % width, " is ",
                               *bad, ", want a finite float32; replace the value in the file"));
  }

  // All conversations name speakers in the first one's way.
  void CheckSpeakerKind(const ConversationId& id, const RawSpeakers& speakers) {
    if (!first_speakers_) {
      first_speakers_ = speakers;
      first_speakers_id_ = id;
      return;
    }
    if (speakers.kind == first_speakers_->kind && speakers.width == first_speakers_->width) return;
    const auto describe = [](const RawSpeakers& raw) {
      switch (raw.kind) {
        case RawSpeakers::Kind::kNames:
          return std::string("names");
        case RawSpeakers::Kind::kNumbers:
          return std::string("numbers");
        case RawSpeakers::Kind::kOneHot:
          return absl::StrCat("one-hot rows of ", raw.width);
      }
      return std::string();
    };
    problems_.Add(absl::StrCat(Place(main_, id, "speakers", main_.layout().speakers), "has ",
                               describe(speakers), ", want ", describe(*first_speakers_),
                               " as in conversation ", first_speakers_id_.ToString()));
  }

  void SetClasses() {
    info_.class_names.assign(options_.class_names().begin(), options_.class_names().end());
    const std::vector<std::string>& corpus = main_.layout().class_names;
    if (info_.class_names.empty() && static_cast<int64_t>(corpus.size()) == num_classes_) {
      info_.class_names = corpus;
    }
    for (int64_t c = static_cast<int64_t>(info_.class_names.size()); c < num_classes_; ++c) {
      info_.class_names.push_back(absl::StrCat("class_", c));
    }
    info_.name = main_.layout().name;
  }

  // As the official dataloader.py numbers them, where they are those of IEMOCAP.
  static std::vector<std::string> SpeakerNames(const std::set<std::string>& names) {
    if (names == std::set<std::string>{"F", "M"} || names == std::set<std::string>{"M"} ||
        names == std::set<std::string>{"F"}) {
      return {"M", "F"};
    }
    return SortedNames(names);
  }

  void SetSpeakers() {
    std::map<std::string, int64_t> index_of_name;
    std::map<int64_t, int64_t> index_of_number;
    std::set<std::string> names;
    std::set<int64_t> numbers;
    for (const RawSpeakers& raw : speakers_) {
      names.insert(raw.names.begin(), raw.names.end());
      numbers.insert(raw.numbers.begin(), raw.numbers.end());
    }
    for (const std::string& name : SpeakerNames(names)) {
      index_of_name.emplace(name, static_cast<int64_t>(index_of_name.size()));
    }
    const bool one_hot = first_speakers_->kind == RawSpeakers::Kind::kOneHot;
    for (const int64_t number : numbers) {
      index_of_number.emplace(number,
                              one_hot ? number : static_cast<int64_t>(index_of_number.size()));
    }
    info_.num_speakers = one_hot
                             ? first_speakers_->width
                             : static_cast<int64_t>(index_of_name.size() + index_of_number.size());
    for (int64_t i = 0; i < info_.num_speakers; ++i) {
      info_.speaker_names.push_back(absl::StrCat(i));  // of one-hot rows
    }
    for (const auto& [name, index] : index_of_name) info_.speaker_names[index] = name;
    for (const auto& [number, index] : index_of_number) {
      info_.speaker_names[index] = absl::StrCat(number);
    }
    for (size_t c = 0; c < conversations_.size(); ++c) {
      conversations_[c].speakers = torch::empty({speakers_[c].length()}, torch::kInt64);
      int64_t* out = conversations_[c].speakers.data_ptr<int64_t>();
      for (const std::string& name : speakers_[c].names) *out++ = index_of_name.at(name);
      for (const int64_t number : speakers_[c].numbers) *out++ = index_of_number.at(number);
    }
  }

  const OfficialPicklesOptions& options_;
  const OfficialFile& main_;  // of speakers, labels and sentences
  const OfficialFile* const features_;
  const OfficialFile* const roberta_;
  std::vector<Source> sources_;
  Problems problems_;
  DatasetInfo info_;
  std::vector<std::string> width_from_;  // per modality: the conversation that set the width
  std::optional<RawSpeakers> first_speakers_;
  ConversationId first_speakers_id_;
  int64_t num_classes_ = 0;
  std::vector<Conversation> conversations_;
  std::vector<RawSpeakers> speakers_;  // parallel to conversations_
};

absl::Status Validate(const OfficialPicklesOptions& options) {
  std::vector<std::string> errors;
  if (options.features_file().empty() && options.roberta_file().empty()) {
    errors.push_back("features_file and roberta_file are both not set, give at least one");
  }
  if (!(options.valid_fraction() >= 0 && options.valid_fraction() < 1)) {
    errors.push_back(
        absl::StrCat("valid_fraction = ", options.valid_fraction(), ", must be >= 0 and < 1"));
  }
  const std::set<std::string> names(options.class_names().begin(), options.class_names().end());
  if (static_cast<int>(names.size()) != options.class_names_size() || names.count("") > 0) {
    errors.push_back(absl::StrCat("class_names = [", absl::StrJoin(options.class_names(), ", "),
                                  "], must be unique and not empty"));
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

absl::StatusOr<std::unique_ptr<Dataset>> Load(const OfficialPicklesOptions& options) {
  absl::Status status = Validate(options);
  if (!status.ok()) return status;
  const auto named = [](const char* option, const absl::Status& error) {
    return absl::Status(error.code(), absl::StrCat(option, ": ", error.message()));
  };
  std::unique_ptr<OfficialFile> features;
  std::unique_ptr<OfficialFile> roberta;
  if (!options.features_file().empty()) {
    auto file = OfficialFile::OpenFeatures(options.features_file(), options.layout());
    if (!file.ok()) return named("features_file", file.status());
    features = *std::move(file);
  }
  if (!options.roberta_file().empty()) {
    auto file = OfficialFile::OpenRoberta(options.roberta_file(), options.layout());
    if (!file.ok()) return named("roberta_file", file.status());
    roberta = *std::move(file);
  }
  if (features != nullptr && roberta != nullptr && features->layout().text.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("features_file ", features->path(), " (", features->layout().name,
                     ") has RoBERTa text of its own; leave out roberta_file ", roberta->path()));
  }
  return CatchTorch([&] { return Loader(options, features.get(), roberta.get()).Load(); });
}

absl::StatusOr<std::unique_ptr<Dataset>> CreateOfficialPickles(
    const OfficialPicklesOptions& options) {
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = Load(options);
  if (dataset.ok()) return dataset;
  return absl::Status(dataset.status().code(),
                      absl::StrCat("cmerc.OfficialPicklesOptions: ", dataset.status().message()));
}

const Registered<OfficialPicklesOptions> kRegistered(Datasets(), CreateOfficialPickles);

}  // namespace
}  // namespace cmerc
