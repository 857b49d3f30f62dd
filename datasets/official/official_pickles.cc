// The feature files that official emotion recognition systems publish, checked and as tensors.
//
// Text: the four RoBERTa streams of roberta_file or of an SDT file, else the one stream of
// features_file. Audio and visual: features_file. Speakers, labels, sentences: features_file when
// given, as the official dataloader.py takes them, else roberta_file.
// Splits: those of roberta_file; kTrainAndValid and kTest in the order of features_file's lists,
// which the official dataloader.py reads. With features_file alone, valid_fraction of its training
// list is held out.
// Speakers: M is 0 and F is 1 as in the official dataloader.py; one-hot rows are the position of
// the 1; other names or numbers are numbered in ascending order.
//
// Missing: a label that is -1, None or NaN is none; features that are not there, None or empty are
// 0, and Conversation::present says so.
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
#include <cstdint>
#include <map>
#include <memory>
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
#include "datasets/assembly/in_memory.h"
#include "datasets/official/conversation_reader.h"
#include "datasets/official/official_file.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/official/official_splits.h"
#include "datasets/official/utterance_csv_dataset.h"

namespace cmerc::datasets {
namespace {

absl::Status Validate(const OfficialPicklesOptions& options) {
  std::vector<std::string> errors;
  const bool has_pickles = !options.features_file().empty() || !options.roberta_file().empty();
  const bool has_csv = options.utterances_csv_size() > 0;
  if (has_csv && (has_pickles || options.has_fields())) {
    errors.push_back("utterances_csv takes the place of features_file, roberta_file and fields");
  }
  if (!has_csv && !has_pickles) {
    errors.push_back("features_file and roberta_file are both not set, give at least one");
  }
  const std::set<std::string> names(options.class_names().begin(), options.class_names().end());
  if (static_cast<int>(names.size()) != options.class_names_size() || names.count("") > 0) {
    errors.push_back(absl::StrCat("class_names = [", absl::StrJoin(options.class_names(), ", "),
                                  "], must be unique and not empty"));
  }
  if (options.has_fields() && options.layout() != OfficialPicklesOptions::AUTO) {
    errors.push_back("fields and layout are both set, keep one");
  }
  const absl::Status modalities = CheckModalityFiles(options);
  if (!modalities.ok()) errors.emplace_back(modalities.message());
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

// Returns the files that the options name, opened.
absl::StatusOr<OfficialFiles> OpenFiles(const OfficialPicklesOptions& options) {
  OfficialFiles files;
  const bool has_features = !options.features_file().empty();
  if (options.has_fields()) {
    ASSIGN_OR_RETURN(const OfficialLayout layout, LayoutFromFields(options.fields()));
    ASSIGN_OR_RETURN(files.features,
                     Annotate(OfficialFile::OpenAs(
                                  has_features ? options.features_file() : options.roberta_file(),
                                  layout, options),
                              has_features ? "features_file" : "roberta_file"));
  } else if (has_features) {
    ASSIGN_OR_RETURN(files.features,
                     Annotate(OfficialFile::OpenFeatures(options), "features_file"));
  }
  if (!options.roberta_file().empty() && (has_features || !options.has_fields())) {
    ASSIGN_OR_RETURN(files.roberta, Annotate(OfficialFile::OpenRoberta(options), "roberta_file"));
  }
  for (const OfficialPicklesOptions::ModalityFile& file : options.modality_files()) {
    if (!IsChosen(options, file.modality())) continue;
    ASSIGN_OR_RETURN(files.modalities.emplace_back(),
                     Annotate(ModalityFile::Open(file), "modality_files"));
  }
  if (files.features != nullptr && files.roberta != nullptr &&
      files.features->layout().text.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "features_file ", files.features->path(), " (", files.features->layout().name,
        ") has RoBERTa text of its own; leave out roberta_file ", files.roberta->path()));
  }
  return files;
}

absl::StatusOr<std::unique_ptr<Dataset>> ReadFiles(const OfficialFiles& files,
                                                   const OfficialPicklesOptions& options) {
  Problems problems;
  const OfficialSplits ids = ReadSplits(files, options, &problems);
  // What follows would only repeat what is wrong with the splits.
  RETURN_IF_ERROR(problems.ToStatus());

  ConversationReader reader(files, options, &problems);
  std::map<ConversationId, int64_t> index;
  for (const OfficialSplits::Ids* list : {&ids.train_and_valid, &ids.test}) {
    for (const ConversationId& id : *list) {
      reader.Read(id);
      index.emplace(id, static_cast<int64_t>(index.size()));
    }
  }
  reader.CheckMissing();
  RETURN_IF_ERROR(problems.ToStatus());

  std::vector<Conversation> conversations;
  std::vector<std::string> warnings;
  const std::string unnamed = NamedByNoSplit(files, ids);
  if (!unnamed.empty()) warnings.push_back(unnamed);
  ASSIGN_OR_RETURN(DatasetInfo info, reader.Finish(&conversations, &warnings));
  InMemoryDataset::Splits splits;
  for (const auto& [list, split] : {std::pair(&ids.train, &splits.train),
                                    {&ids.valid, &splits.valid},
                                    {&ids.train_and_valid, &splits.train_and_valid},
                                    {&ids.test, &splits.test}}) {
    for (const ConversationId& id : *list) split->push_back(index.at(id));
  }
  return std::make_unique<InMemoryDataset>(std::move(info), std::move(conversations),
                                           std::move(splits), std::move(warnings));
}

absl::StatusOr<std::unique_ptr<Dataset>> Load(const OfficialPicklesOptions& options) {
  RETURN_IF_ERROR(Validate(options));
  if (options.utterances_csv_size() > 0) {
    return CatchTorch([&] { return ReadUtteranceCsvDataset(options); });
  }
  ASSIGN_OR_RETURN(const OfficialFiles files, OpenFiles(options));
  return CatchTorch([&] { return ReadFiles(files, options); });
}

absl::StatusOr<std::unique_ptr<Dataset>> CreateOfficialPickles(
    const OfficialPicklesOptions& options) {
  return Annotate(Load(options), "cmerc.OfficialPicklesOptions");
}

const Registered<OfficialPicklesOptions> kRegistered(Datasets(), CreateOfficialPickles);

}  // namespace
}  // namespace cmerc::datasets
