#include "datasets/official/utterance_csv_dataset.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/problems.h"
#include "core/status.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/assembly/missing_modalities.h"
#include "datasets/assembly/names.h"
#include "datasets/official/modality_file.h"
#include "datasets/tables/utterance_csv.h"

namespace cmerc::datasets {
namespace {

using Options = OfficialPicklesOptions;

// A file of utterances and the conversations in it.
struct CsvFile {
  std::string path;
  Options::CsvSplit split;
  UtteranceCsv content;
};

std::string SplitName(Options::CsvSplit split) {
  return absl::AsciiStrToLower(Options::CsvSplit_Name(split));
}

absl::StatusOr<std::vector<CsvFile>> ReadFiles(const Options& options) {
  std::vector<CsvFile> files;
  const CsvLabel label =
      options.csv_labels() == Options::SENTIMENT ? CsvLabel::kSentiment : CsvLabel::kEmotion;
  for (const Options::UtterancesCsv& csv : options.utterances_csv()) {
    if (!csv.has_split() || csv.file().empty()) {
      return absl::InvalidArgumentError("utterances_csv: split and file must both be set");
    }
    for (const CsvFile& other : files) {
      if (other.split != csv.split()) continue;
      return absl::InvalidArgumentError(absl::StrCat("utterances_csv: the ", SplitName(csv.split()),
                                                     " split has two files, ", other.path, " and ",
                                                     csv.file()));
    }
    CsvFile file = {csv.file(), csv.split(), {}};
    ASSIGN_OR_RETURN(file.content, Annotate(ReadUtteranceCsv(csv.file(), label), "utterances_csv"));
    files.push_back(std::move(file));
  }
  return files;
}

// Makes the data set of the files.
class CsvLoader {
 public:
  CsvLoader(const Options& options, const std::vector<CsvFile>& files)
      : options_(options), files_(files) {
    std::map<int64_t, int> files_of;
    for (const CsvFile& file : files) {
      for (const CsvConversation& conversation : file.content.conversations) {
        ids_repeat_ = ++files_of[conversation.id] > 1 || ids_repeat_;
      }
    }
  }

  absl::StatusOr<std::unique_ptr<Dataset>> Load() {
    RETURN_IF_ERROR(OpenModalities());
    SetNames();
    for (const CsvFile& file : files_) {
      for (const CsvConversation& conversation : file.content.conversations)
        Add(file, conversation);
    }
    std::vector<std::string> warnings;
    for (const auto& [key, modality] : modalities_) {
      const std::string missing = modality->Missing();
      if (missing.empty()) continue;
      if (modality->width() == 0) {
        problems_.Add(missing);
      } else {
        warnings.push_back(missing);
      }
    }
    if (info_.class_names.empty()) {
      problems_.Add("utterances_csv: no utterance has a label, want a class of some");
    }
    if (splits_.train.empty())
      problems_.Add("utterances_csv: there is none to train on, want TRAIN");
    RETURN_IF_ERROR(problems_.ToStatus());
    SetWidths();
    RETURN_IF_ERROR(problems_.ToStatus());
    RETURN_IF_ERROR(FillMissing(info_.modalities, &conversations_));
    for (const CsvFile& file : files_) {
      if (file.content.warning.empty()) continue;
      warnings.push_back(absl::StrCat(file.path, ": ", file.content.warning));
    }
    return std::make_unique<InMemoryDataset>(std::move(info_), std::move(conversations_),
                                             std::move(splits_), std::move(warnings));
  }

 private:
  // Opens the files of every modality: one for all splits, or one for each.
  absl::Status OpenModalities() {
    for (const Options::ModalityFile& file : options_.modality_files()) {
      const bool is_new = std::find(names_.begin(), names_.end(), file.modality()) == names_.end();
      if (is_new) names_.push_back(file.modality());
      for (const CsvFile& csv : files_) {
        if (file.has_split() && file.split() != csv.split) continue;
        std::shared_ptr<ModalityFile>& entry = modalities_[{file.modality(), csv.split}];
        if (entry != nullptr) {
          return absl::InvalidArgumentError(absl::StrCat("modality_files: ", file.modality(),
                                                         " has two files for the split ",
                                                         SplitName(csv.split)));
        }
        if (!file.has_split() && ids_repeat_) {
          return absl::InvalidArgumentError(
              absl::StrCat("modality_files: ", file.modality(),
                           " has one file for all splits, but they have the same ids for different "
                           "conversations; give a file for each, with `split`"));
        }
        ASSIGN_OR_RETURN(entry, Annotate(ModalityFile::Open(file), "modality_files"));
      }
    }
    for (const std::string& name : names_) {
      for (const CsvFile& csv : files_) {
        if (modalities_.count({name, csv.split}) > 0) continue;
        return absl::InvalidArgumentError(absl::StrCat(
            "modality_files: ", name, " has no file for the split ", SplitName(csv.split)));
      }
    }
    if (!names_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "utterances_csv has no features; name their files in modality_files");
  }

  void SetNames() {
    std::set<std::string> labels;
    std::set<std::string> speakers;
    for (const CsvFile& file : files_) {
      for (const CsvConversation& conversation : file.content.conversations) {
        for (const CsvUtterance& utterance : conversation.utterances) {
          labels.insert(utterance.label);
          speakers.insert(utterance.speaker);
        }
      }
    }
    labels.erase("");
    info_.name = BaseName(files_[0].path);
    info_.class_names.assign(options_.class_names().begin(), options_.class_names().end());
    if (info_.class_names.empty()) info_.class_names = SortedNames(labels);
    info_.speaker_names = SortedNames(speakers);
    info_.num_speakers = static_cast<int64_t>(info_.speaker_names.size());
    for (const std::string& name : info_.class_names)
      label_index_.emplace(name, label_index_.size());
    for (const std::string& name : info_.speaker_names) {
      speaker_index_.emplace(name, speaker_index_.size());
    }
  }

  void Add(const CsvFile& file, const CsvConversation& source) {
    const auto length = static_cast<int64_t>(source.utterances.size());
    Conversation conversation;
    conversation.id =
        ids_repeat_ ? absl::StrCat(SplitName(file.split), "/", source.id) : absl::StrCat(source.id);
    conversation.numeric_id = !ids_repeat_;
    conversation.labels = torch::empty({length}, torch::kInt64);
    conversation.speakers = torch::empty({length}, torch::kInt64);
    std::vector<std::string> ids;
    for (int64_t i = 0; i < length; ++i) {
      const CsvUtterance& utterance = source.utterances[i];
      conversation.utterances.push_back(utterance.text);
      ids.push_back(absl::StrCat("dia", source.id, "_utt", utterance.id));
      conversation.labels.data_ptr<int64_t>()[i] = LabelOf(file, utterance);
      conversation.speakers.data_ptr<int64_t>()[i] = speaker_index_.at(utterance.speaker);
    }
    std::vector<std::vector<bool>> has;
    for (const std::string& name : names_) {
      auto features =
          modalities_.at({name, file.split})
              ->Read({absl::StrCat(source.id), true, source.id}, ids, length, file.path);
      if (!features.ok()) {
        problems_.Add(std::string(features.status().message()));
        features = ConversationFeatures();
      }
      conversation.features.push_back(std::move(features->streams));
      has.push_back(std::move(features->has));
    }
    conversation.present = PresentTensor(has, length);
    const auto index = static_cast<int64_t>(conversations_.size());
    if (file.split == Options::TRAIN) splits_.train.push_back(index);
    if (file.split == Options::VALID) splits_.valid.push_back(index);
    (file.split == Options::TEST ? splits_.test : splits_.train_and_valid).push_back(index);
    conversations_.push_back(std::move(conversation));
  }

  // Returns the index of a label; 0, with a problem, where it is no class.
  int64_t LabelOf(const CsvFile& file, const CsvUtterance& utterance) {
    if (utterance.label.empty()) return kUnlabelled;
    const auto label = label_index_.find(utterance.label);
    if (label != label_index_.end()) return label->second;
    problems_.Add(absl::StrCat(file.path, ", line ", utterance.line, ": has the label ",
                               utterance.label, ", want one of ",
                               absl::StrJoin(info_.class_names, ", ")));
    return 0;
  }

  // Every split has the same width.
  void SetWidths() {
    for (const std::string& name : names_) {
      ModalityInfo modality = {name, 0, 1};
      for (const CsvFile& csv : files_) {
        const ModalityFile& file = *modalities_.at({name, csv.split});
        if (file.width() == 0) continue;
        modality.num_streams = file.num_streams();
        if (modality.width == 0) modality.width = file.width();
        if (modality.width == file.width()) continue;
        problems_.Add(absl::StrCat(file.path(), ": ", name, " has width ", file.width(), ", want ",
                                   modality.width, " as in the other splits"));
      }
      info_.modalities.push_back(modality);
    }
  }

  const Options& options_;
  const std::vector<CsvFile>& files_;
  bool ids_repeat_ = false;         // one id is that of conversations of two splits
  std::vector<std::string> names_;  // of the modalities
  std::map<std::pair<std::string, Options::CsvSplit>, std::shared_ptr<ModalityFile>> modalities_;
  std::map<std::string, int64_t> label_index_;
  std::map<std::string, int64_t> speaker_index_;
  Problems problems_;
  DatasetInfo info_;
  std::vector<Conversation> conversations_;
  InMemoryDataset::Splits splits_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> ReadUtteranceCsvDataset(const Options& options) {
  ASSIGN_OR_RETURN(const std::vector<CsvFile> files, ReadFiles(options));
  return CsvLoader(options, files).Load();
}

}  // namespace cmerc::datasets
