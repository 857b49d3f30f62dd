// Data sets that you write yourself: a record file, JSON Lines or an .npz
// (docs/your_own_data.md).
//
// Splits: what each conversation says, in the order of the file or of its position; kTrainAndValid
// in the order of the file.
// Classes: class_names, else those of the record file, else the labels that occur, sorted. An
// utterance may have no label: then it is context.
// Modalities: those of the record file, else all that occur, in the order of their first
// utterances; an utterance may lack some. Speakers, BY_NAME: those of the record file in its order,
// else the names that occur, sorted.
//
// Shapes: as the file has them; equal streams of a modality are one tensor, and what is missing is
// 0.
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
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/dataset.h"
#include "core/problems.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/assembly/missing_modalities.h"
#include "datasets/assembly/names.h"
#include "datasets/assembly/on_disk.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/formats/conversations_at.h"
#include "datasets/late_records.h"
#include "datasets/modality_sightings.h"
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
    DecideNoLabel();
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
    RETURN_IF_ERROR(Annotate(FillMissing(info_.modalities, &conversations_), options_.file()));
    if (!options_.in_memory()) return LeaveOnDisk();
    return std::make_unique<InMemoryDataset>(std::move(info_), std::move(conversations_),
                                             std::move(splits_), Warnings(), ExtractorsOf(schema_));
  }

 private:
  // The labels and speakers of a conversation, before all names are known.
  struct Names {
    std::vector<std::string> labels;  // empty where there is none
    std::vector<std::string> speakers;
  };

  // The data set of what was found, whose features are read from the file again. Unavailable: it
  // cannot be opened.
  absl::StatusOr<std::unique_ptr<Dataset>> LeaveOnDisk() {
    ASSIGN_OR_RETURN(std::unique_ptr<ConversationsAt> at,
                     ConversationsAt::Open(options_.file(), file_));
    // There was only how many streams they have.
    for (Conversation& conversation : conversations_) conversation.features.clear();
    auto late = std::make_shared<LateRecords>(std::move(at), std::move(bytes_), conversations_,
                                              info_.modalities);
    return std::make_unique<OnDiskDataset>(
        InMemoryDataset(std::move(info_), std::move(conversations_), std::move(splits_), Warnings(),
                        ExtractorsOf(schema_)),
        std::move(late));
  }

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
    if (file_.schema() == nullptr) sightings_.Add(record, file_.Place(), &schema_);
    if (!checker_) checker_.emplace(schema_);
    const absl::Status status = Check(record);
    if (!status.ok()) return AddProblem(std::string(status.message()));
    absl::StatusOr<Conversation> conversation = Convert(record);
    if (!conversation.ok()) return AddProblem(std::string(conversation.status().message()));
    const auto index = static_cast<int64_t>(conversations_.size());
    if (record.split() == ConversationRecord::TRAIN) splits_.train.push_back(index);
    if (record.split() == ConversationRecord::VALID) splits_.valid.push_back(index);
    if (record.split() == ConversationRecord::TEST) {
      splits_.test.push_back(index);
    } else {
      splits_.train_and_valid.push_back(index);
    }
    conversations_.push_back(*std::move(conversation));
    if (!options_.in_memory()) bytes_.push_back(file_.Bytes());
    positions_.push_back(record.position());
    has_extras_ = has_extras_ || !record.extras().empty();
    for (const ConversationRecord::Modality& modality : record.modalities()) {
      if (!modality.has_extractor()) ++without_extractor_[modality.name()];
    }
    Names& names = names_.emplace_back();
    for (const ConversationRecord::Utterance& utterance : record.utterances()) {
      has_extras_ = has_extras_ || utterance.has_id() || !utterance.extras().empty();
      names.labels.push_back(utterance.label());
      names.speakers.push_back(utterance.speaker());
      if (utterance.has_label()) ++labels_[utterance.label()];
      speakers_.insert(utterance.speaker());
    }
  }

  std::vector<std::string> Warnings() const {
    std::vector<std::string> warnings;
    if (marked_ > 0) {
      warnings.push_back(absl::StrCat(options_.file(), ": ", marked_,
                                      marked_ == 1 ? " utterance has" : " utterances have",
                                      " the label ", kNoLabel,
                                      ", which is taken for none; where it is a class, name all "
                                      "of them in class_names"));
    }
    for (const std::string& sentence : sightings_.NeverTogether()) {
      warnings.push_back(absl::StrCat(options_.file(), ": ", sentence));
    }
    for (const DatasetSchema::Modality& modality : schema_.modalities()) {
      const auto found = without_extractor_.find(modality.name());
      if (!modality.has_extractor() || found == without_extractor_.end()) continue;
      warnings.push_back(
          absl::StrCat(options_.file(), ": ", found->second, " of ", conversations_.size(),
                       " conversations do not say what made their features of ", modality.name(),
                       " (\"extractors\"); they are taken for those of ", modality.extractor(),
                       ", as the others"));
    }
    if (has_extras_) {
      warnings.push_back(
          absl::StrCat(options_.file(),
                       " has ids of utterances or metadata; only the answers of `cmerc predict "
                       "--input` repeat them, a data set leaves them out"));
    }
    return warnings;
  }

  // Checks a conversation against the schema and those before it, and notes its id.
  // InvalidArgument: it does not fit; its id is taken; it says no split.
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
    return absl::OkStatus();
  }

  // Returns the conversation without labels and speakers, with the modalities that are known so
  // far; what it lacks altogether has no streams, and streams that stay on the disk are undefined.
  // InvalidArgument: it is too large for that.
  absl::StatusOr<Conversation> Convert(const ConversationRecord& record) {
    Conversation conversation;
    conversation.id = record.id();
    conversation.numeric_id = record.numeric_id();
    if (options_.in_memory()) conversation.utterances = SentencesOf(record);
    std::vector<std::string> names;
    for (const DatasetSchema::Modality& entry : schema_.modalities()) {
      names.push_back(entry.name());
      std::vector<torch::Tensor>& streams = conversation.features.emplace_back();
      const ConversationRecord::Modality* modality = FindModality(record, entry.name());
      if (modality == nullptr) continue;
      const double row = static_cast<double>(modality->width()) * modality->streams_size();
      missing_ += row * modality->absent_size();
      held_ += row * (record.utterances_size() - modality->absent_size());
      RETURN_IF_ERROR(CheckRoomForMissing(missing_, held_));
      streams = options_.in_memory() ? StreamTensors(*modality, record.utterances_size())
                                     : std::vector<torch::Tensor>(modality->streams_size());
    }
    conversation.present = PresentOf(record, names);
    return conversation;
  }

  // Decides whether kNoLabel is a class or no label, where it occurs: a class if class_names say
  // so, or if there are other labels below 0. Where the rest is 0 and 1, as of sentiment from -1 to
  // 1, it may be either, which is a problem.
  void DecideNoLabel() {
    const auto found = labels_.find(kNoLabel);
    if (found == labels_.end()) return;
    const auto& names = schema_.class_names();
    if (std::find(names.begin(), names.end(), kNoLabel) != names.end()) return;
    bool other_is_negative = false;
    bool others_are_0_and_1 = names.empty() && labels_.size() > 1;
    for (const auto& [label, count] : labels_) {
      if (label == kNoLabel) continue;
      int64_t number = 0;
      other_is_negative = other_is_negative || (absl::SimpleAtoi(label, &number) && number < 0);
      others_are_0_and_1 = others_are_0_and_1 && (label == "0" || label == "1");
    }
    if (names.empty() && other_is_negative) return;
    if (others_are_0_and_1) {
      problems_.Add(absl::StrCat(
          options_.file(), ": the labels are ",
          absl::StrJoin(labels_, ", ",
                        [](std::string* out, const auto& entry) { out->append(entry.first); }),
          ", and ", kNoLabel, " may be a class or no label; name the classes in class_names, with ",
          kNoLabel, " or without"));
    }
    marked_ = found->second;
    labels_.erase(found);
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
    for (const std::string& misspelling : sightings_.Misspellings()) {
      problems_.Add(absl::StrCat(options_.file(), ", ", misspelling));
    }
    if (schema_.modalities_size() > kMaxModalities) {
      add(absl::StrCat("there are ", schema_.modalities_size(), " modalities, want at most ",
                       kMaxModalities));
    }
    const size_t classes =
        schema_.class_names().empty() ? labels_.size() : schema_.class_names_size();
    if (classes == 0) {
      add("no utterance has a label, want \"label\": the name of a class, in some of them");
    } else if (classes < 2) {
      add(absl::StrCat("there is only the class ",
                       labels_.empty() ? schema_.class_names(0) : labels_.begin()->first,
                       ", want >= 2"));
    }
    if (classes > kMaxClasses) {
      add(absl::StrCat("there are ", classes, " classes, want at most ", kMaxClasses,
                       "; is \"label\" the name of a class?"));
    }
  }

  void SetClasses() {
    std::set<std::string> occurring;
    for (const auto& [label, count] : labels_) occurring.insert(label);
    NameIndex classes;
    classes.Set(
        schema_.class_names().empty()
            ? SortedNames(occurring)
            : std::vector<std::string>(schema_.class_names().begin(), schema_.class_names().end()));
    info_.class_names = classes.names();
    for (size_t c = 0; c < conversations_.size(); ++c) {
      conversations_[c].labels = torch::empty({Length(c)}, torch::kInt64);
      int64_t* out = conversations_[c].labels.data_ptr<int64_t>();
      for (const std::string& label : names_[c].labels) {
        *out++ = labels_.count(label) > 0 ? classes.at(label) : kUnlabelled;
      }
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
  ModalitySightings sightings_;           // where the file has no schema
  std::optional<SchemaChecker> checker_;  // from the first conversation on
  Problems problems_;
  DatasetInfo info_;
  std::map<std::string, std::string> places_;  // id -> where it was
  std::map<std::string, int64_t> labels_;      // label -> utterances; those of classes
  int64_t marked_ = 0;                         // utterances with kNoLabel that have none
  double missing_ = 0;                         // features that single utterances lack
  double held_ = 0;                            // and those that are there
  std::set<std::string> speakers_;
  // Modality -> the conversations that have it and do not say what made it.
  std::map<std::string, int64_t> without_extractor_;
  bool has_extras_ = false;  // what a Conversation has no place for
  std::vector<Conversation> conversations_;
  std::vector<BytesOfConversation> bytes_;  // parallel to conversations_ that stay on the disk
  std::vector<Names> names_;                // parallel to conversations_
  std::vector<int32_t> positions_;          // parallel to conversations_
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
  if (!options.in_memory() && !file->HasBytes()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "in_memory: false reads conversations from their places in a record file or JSON Lines, "
        "and ",
        options.file(),
        " is compressed or an .npz, which have none; unpack it, convert it (cmerc data convert "
        "--input=",
        options.file(), " --output=NAME.records), or leave in_memory out"));
  }
  return CatchTorch([&] { return Loader(options, file.get()).Load(); });
}

absl::StatusOr<std::unique_ptr<Dataset>> CreateRecords(const RecordsOptions& options) {
  return Annotate(Load(options), "cmerc.RecordsOptions");
}

const Registered<RecordsOptions> kRegistered(Datasets(), CreateRecords);

}  // namespace
}  // namespace cmerc
