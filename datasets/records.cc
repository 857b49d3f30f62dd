// Data sets that you write yourself: a record file, JSON Lines or an .npz
// (docs/your_own_data.md).
//
// Splits: what each conversation says, in the order of the file or of its position; kTrainAndValid
// in the order of the file.
// Classes: class_names, else those of the record file, else the labels that occur, sorted.
// Speakers, BY_NAME: those of the record file in its order, else the names that occur, sorted.
//
// Shapes: as the file has them; equal streams of a modality are one tensor.
//
//   dataset {
//     [type.googleapis.com/cmerc.RecordsOptions] {
//       file: "data/my_corpus.jsonl"
//       class_names: "neutral" class_names: "joy" class_names: "anger"
//     }
//   }
#include <algorithm>
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
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/assembly/names.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/records.pb.h"
#include "torch/types.h"

namespace cmerc {
namespace {

// A file with more has labels that are no classes, and would size a model by them.
constexpr size_t kMaxClasses = 10000;

// Names and their indices, in a fixed order.
class NameIndex {
 public:
  void Set(std::vector<std::string> names) {
    names_ = std::move(names);
    for (const std::string& name : names_) {
      index_.emplace(name, static_cast<int64_t>(index_.size()));
    }
  }
  const std::vector<std::string>& names() const { return names_; }
  bool Has(const std::string& name) const { return index_.count(name) > 0; }
  int64_t at(const std::string& name) const { return index_.at(name); }

 private:
  std::vector<std::string> names_;
  std::map<std::string, int64_t> index_;
};

class Loader {
 public:
  Loader(const RecordsOptions& options, ConversationFile* file) : options_(options), file_(*file) {
    if (file_.schema() != nullptr) schema_ = *file_.schema();
    if (options.class_names_size() > 0) *schema_.mutable_class_names() = options.class_names();
    if (options.speakers() == RecordsOptions::BY_APPEARANCE) schema_.clear_speakers();
  }

  absl::StatusOr<std::unique_ptr<Dataset>> Load() {
    RETURN_IF_ERROR(ReadAll());
    CheckWhole();
    RETURN_IF_ERROR(problems_.ToStatus());
    for (std::vector<int64_t>* split : {&splits_.train, &splits_.valid, &splits_.test}) {
      std::stable_sort(split->begin(), split->end(),
                       [&](int64_t a, int64_t b) { return positions_[a] < positions_[b]; });
    }
    SetClasses();
    SetSpeakers();
    info_.name = schema_.has_name() ? schema_.name() : BaseName(options_.file());
    for (const DatasetSchema::Modality& modality : schema_.modalities()) {
      info_.modalities.push_back({modality.name(), modality.width(), modality.num_streams()});
    }
    return std::make_unique<InMemoryDataset>(std::move(info_), std::move(conversations_),
                                             std::move(splits_), Warnings());
  }

 private:
  // The labels and speakers of a conversation, before all names are known.
  struct Names {
    std::vector<std::string> labels;
    std::vector<std::string> speakers;
  };

  // Adds every conversation of the file; one that is wrong is a problem. Unavailable: the file
  // cannot be read on.
  absl::Status ReadAll() {
    while (true) {
      absl::StatusOr<std::optional<ConversationRecord>> record = file_.Next();
      if (absl::IsInvalidArgument(record.status())) {
        problems_.Add(std::string(record.status().message()));
        continue;
      }
      RETURN_IF_ERROR(record.status());
      if (!record->has_value()) return absl::OkStatus();
      Add(**record);
    }
  }

  // Adds a problem of the conversation that was read last.
  void AddProblem(const std::string& problem) {
    problems_.Add(absl::StrCat(options_.file(), ", ", file_.Place(), ": ", problem));
  }

  void Add(const ConversationRecord& record) {
    if (schema_.modalities().empty()) TakeModalities(record);
    if (!checker_) checker_.emplace(schema_);
    const absl::Status status = Check(record);
    if (!status.ok()) return AddProblem(std::string(status.message()));
    const auto index = static_cast<int64_t>(conversations_.size());
    if (record.split() == ConversationRecord::TRAIN) splits_.train.push_back(index);
    if (record.split() == ConversationRecord::VALID) splits_.valid.push_back(index);
    if (record.split() == ConversationRecord::TEST) {
      splits_.test.push_back(index);
    } else {
      splits_.train_and_valid.push_back(index);
    }
    conversations_.push_back(Convert(record));
    positions_.push_back(record.position());
    has_extras_ = has_extras_ || !record.extras().empty();
    Names& names = names_.emplace_back();
    for (const ConversationRecord::Utterance& utterance : record.utterances()) {
      has_extras_ = has_extras_ || utterance.has_id() || !utterance.extras().empty();
      names.labels.push_back(utterance.label());
      names.speakers.push_back(utterance.speaker());
      labels_.insert(utterance.label());
      speakers_.insert(utterance.speaker());
    }
  }

  std::vector<std::string> Warnings() const {
    if (!has_extras_) return {};
    return {absl::StrCat(options_.file(),
                         " has ids of utterances or metadata; only the answers of `cmerc predict "
                         "--input` repeat them, a data set leaves them out")};
  }

  // Checks a conversation against the schema and those before it, and notes its id.
  // InvalidArgument: it does not fit; its id is taken; it says no split, or no label of an
  // utterance.
  absl::Status Check(const ConversationRecord& record) {
    RETURN_IF_ERROR(checker_->Check(record));
    const auto [first, is_new] = places_.emplace(record.id(), file_.Place());
    if (!is_new) {
      return absl::InvalidArgumentError(absl::StrCat(
          "id \"", record.id(), "\" is that of ", first->second,
          " too, want each once in all splits together; where every split counts from "
          "0, as MELD does, put its name in front: \"",
          record.has_split() ? SplitName(record.split()) : "train", "_", record.id(), "\""));
    }
    if (!record.has_split()) {
      return absl::InvalidArgumentError("split is missing, want train, valid or test");
    }
    for (int i = 0; i < record.utterances_size(); ++i) {
      if (record.utterances(i).has_label()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("utterances[", i, "].label is missing, want the name of a class"));
    }
    return absl::OkStatus();
  }

  // Takes the first conversation's modalities for what all must have.
  void TakeModalities(const ConversationRecord& record) {
    for (const ConversationRecord::Modality& modality : record.modalities()) {
      DatasetSchema::Modality* entry = schema_.add_modalities();
      entry->set_name(modality.name());
      entry->set_width(modality.width());
      entry->set_num_streams(modality.streams_size());
    }
  }

  // Returns the conversation without labels and speakers.
  Conversation Convert(const ConversationRecord& record) const {
    Conversation conversation;
    conversation.id = record.id();
    conversation.numeric_id = record.numeric_id();
    bool has_sentences = false;
    for (const ConversationRecord::Utterance& utterance : record.utterances()) {
      has_sentences = has_sentences || utterance.has_text();
      conversation.utterances.push_back(utterance.text());
    }
    if (!has_sentences) conversation.utterances.clear();
    for (const DatasetSchema::Modality& entry : schema_.modalities()) {
      conversation.features.push_back(
          StreamTensors(*FindModality(record, entry.name()), record.utterances_size()));
    }
    return conversation;
  }

  void CheckWhole() {
    const auto add = [&](const std::string& problem) {
      problems_.Add(absl::StrCat(options_.file(), ": ", problem));
    };
    if (!problems_.empty()) return;  // what follows might only repeat them
    if (splits_.train.empty()) {
      add("there is no conversation to train on, want >= 1 with \"split\": \"train\"");
    }
    if (conversations_.empty()) return;
    const size_t classes =
        schema_.class_names().empty() ? labels_.size() : schema_.class_names_size();
    if (classes < 2) {
      add(absl::StrCat("there is only the class ", absl::StrJoin(labels_, ", "), ", want >= 2"));
    }
    if (classes > kMaxClasses) {
      add(absl::StrCat("there are ", classes, " classes, want at most ", kMaxClasses,
                       "; is \"label\" the name of a class?"));
    }
  }

  void SetClasses() {
    NameIndex classes;
    classes.Set(
        schema_.class_names().empty()
            ? SortedNames(labels_)
            : std::vector<std::string>(schema_.class_names().begin(), schema_.class_names().end()));
    info_.class_names = classes.names();
    for (size_t c = 0; c < conversations_.size(); ++c) {
      conversations_[c].labels = torch::empty({Length(c)}, torch::kInt64);
      int64_t* out = conversations_[c].labels.data_ptr<int64_t>();
      for (const std::string& label : names_[c].labels) *out++ = classes.at(label);
    }
  }

  void SetSpeakers() {
    NameIndex everyone;
    const bool by_name = options_.speakers() == RecordsOptions::BY_NAME;
    if (by_name) {
      everyone.Set(schema_.speakers().empty() ? SortedNames(speakers_)
                                              : std::vector<std::string>(schema_.speakers().begin(),
                                                                         schema_.speakers().end()));
      info_.speaker_names = everyone.names();
      info_.num_speakers = static_cast<int64_t>(everyone.names().size());
    }
    for (size_t c = 0; c < conversations_.size(); ++c) {
      conversations_[c].speakers = torch::empty({Length(c)}, torch::kInt64);
      int64_t* out = conversations_[c].speakers.data_ptr<int64_t>();
      std::map<std::string, int64_t> appearance;
      for (const std::string& name : names_[c].speakers) {
        *out++ =
            by_name
                ? everyone.at(name)
                : appearance.emplace(name, static_cast<int64_t>(appearance.size())).first->second;
      }
      info_.num_speakers = std::max(info_.num_speakers, static_cast<int64_t>(appearance.size()));
    }
  }

  int64_t Length(size_t conversation) const {
    return static_cast<int64_t>(names_[conversation].labels.size());
  }

  const RecordsOptions& options_;
  ConversationFile& file_;
  DatasetSchema schema_;                  // empty lists: not known yet
  std::optional<SchemaChecker> checker_;  // from the first conversation on
  Problems problems_;
  DatasetInfo info_;
  std::map<std::string, std::string> places_;  // id -> where it was
  std::set<std::string> labels_;
  std::set<std::string> speakers_;
  bool has_extras_ = false;  // what a Conversation has no place for
  std::vector<Conversation> conversations_;
  std::vector<Names> names_;        // parallel to conversations_
  std::vector<int32_t> positions_;  // parallel to conversations_
  InMemoryDataset::Splits splits_;
};

absl::Status Validate(const RecordsOptions& options) {
  if (options.file().empty()) {
    return absl::InvalidArgumentError("file is not set, name a record file, JSON Lines or an .npz");
  }
  const std::set<std::string> names(options.class_names().begin(), options.class_names().end());
  if (static_cast<int>(names.size()) != options.class_names_size() || names.count("") > 0) {
    return absl::InvalidArgumentError(absl::StrCat("class_names = [",
                                                   absl::StrJoin(options.class_names(), ", "),
                                                   "], must be unique and not empty"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Dataset>> Load(const RecordsOptions& options) {
  RETURN_IF_ERROR(Validate(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<ConversationFile> file,
                   ConversationFile::Open(options.file()));
  return CatchTorch([&] { return Loader(options, file.get()).Load(); });
}

absl::StatusOr<std::unique_ptr<Dataset>> CreateRecords(const RecordsOptions& options) {
  return Annotate(Load(options), "cmerc.RecordsOptions");
}

const Registered<RecordsOptions> kRegistered(Datasets(), CreateRecords);

}  // namespace
}  // namespace cmerc
