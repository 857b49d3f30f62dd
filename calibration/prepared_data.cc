#include "calibration/prepared_data.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/device.h"
#include "calibration/folds.h"
#include "core/late_conversations.h"
#include "core/status.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

// The positions, in the dataset's order, of the modalities that the config names (all when none).
absl::StatusOr<std::vector<size_t>> ChosenModalities(const DatasetInfo& info,
                                                     const DataConfig& config) {
  std::vector<size_t> chosen;
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    const auto& names = config.modalities();
    if (names.empty() ||
        std::find(names.begin(), names.end(), info.modalities[m].name) != names.end()) {
      chosen.push_back(m);
    }
  }
  for (int i = 0; i < config.modalities_size(); ++i) {
    const std::string& name = config.modalities(i);
    for (int earlier = 0; earlier < i; ++earlier) {
      if (config.modalities(earlier) != name) continue;
      return absl::InvalidArgumentError(absl::StrCat("data.modalities[", i, "] = \"", name,
                                                     "\" occurs twice; name each modality once"));
    }
    if (std::none_of(info.modalities.begin(), info.modalities.end(),
                     [&](const ModalityInfo& m) { return m.name == name; })) {
      return absl::InvalidArgumentError(absl::StrCat(
          "data.modalities[", i, "] = \"", name, "\", must be one of: ",
          absl::StrJoin(info.modalities, ", ",
                        [](std::string* out, const ModalityInfo& m) { out->append(m.name); })));
    }
  }
  return chosen;
}

// The columns of Conversation::present for these modalities; undefined where nothing is missing.
torch::Tensor PresentOf(const torch::Tensor& present, const std::vector<size_t>& chosen) {
  if (!present.defined()) return present;
  const std::vector<int64_t> columns(chosen.begin(), chosen.end());
  const torch::Tensor of_chosen = present.index_select(1, torch::tensor(columns, torch::kInt64));
  return of_chosen.all().item<bool>() ? torch::Tensor() : of_chosen;
}

// Reads every conversation of the dataset, with the modalities that the config names; without
// features where these are read late.
absl::Status ReadConversations(const Dataset& dataset, const DataConfig& config,
                               PreparedData& data) {
  ASSIGN_OR_RETURN(const std::vector<size_t> chosen, ChosenModalities(dataset.info(), config));
  data.info = dataset.info();
  data.info.modalities.clear();
  for (const size_t m : chosen) data.info.modalities.push_back(dataset.info().modalities[m]);
  const auto* has_late = dynamic_cast<const HasLateConversations*>(&dataset);
  if (has_late != nullptr) data.late = std::make_shared<LateFeatures>(has_late->late(), chosen);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    ASSIGN_OR_RETURN(Conversation conversation,
                     has_late != nullptr ? has_late->Outline(i) : dataset.Get(i));
    if (has_late == nullptr) conversation.features = ChosenFeatures(conversation.features, chosen);
    conversation.present = PresentOf(conversation.present, chosen);
    data.conversations.push_back(std::move(conversation));
  }
  return absl::OkStatus();
}

// Divides the conversations into train, valid and test, as protocol and folds want it.
// InvalidArgument: a split that the protocol needs is empty, or there are too many folds.
absl::Status Divide(const Dataset& dataset, const DataConfig& config, PreparedData& data) {
  const bool official = config.protocol() == DataConfig::OFFICIAL;
  const auto copy = [&](Split split) {
    const absl::Span<const int64_t> indices = dataset.split(split);
    return std::vector<int64_t>(indices.begin(), indices.end());
  };
  data.train = copy(official ? Split::kTrainAndValid : Split::kTrain);
  if (!official) data.valid = copy(Split::kValid);
  data.test = copy(Split::kTest);
  if (config.test_folds() > 0) {
    RETURN_IF_ERROR(TakeTestFold(config, data.conversations, &data.train, &data.valid, &data.test));
  }
  if (config.folds() > 0) {
    RETURN_IF_ERROR(TakeFold(config, data.conversations, &data.train, &data.valid));
  }
  if (data.train.empty()) {
    return absl::InvalidArgumentError("the training split of the dataset is empty");
  }
  if (official && data.test.empty()) {
    return absl::InvalidArgumentError(
        "the test split of the dataset is empty, and the OFFICIAL protocol selects the epoch on "
        "it; "
        "set data { protocol: HELD_OUT }, where the validation split selects, or give the dataset "
        "a test split");
  }
  if (!official && data.valid.empty()) {
    return absl::InvalidArgumentError(
        "the validation split of the dataset is empty, and the HELD_OUT protocol selects the epoch "
        "on it; hold a quarter of the training split out: data { folds: 4 } (fold_group keeps a "
        "session together), or give the dataset one");
  }
  return absl::OkStatus();
}

// InvalidArgument: no utterance of the training split has one of the modalities.
absl::Status CheckModalities(const PreparedData& data) {
  for (size_t m = 0; m < data.info.modalities.size(); ++m) {
    const auto column = static_cast<int64_t>(m);
    const bool is_there = std::any_of(data.train.begin(), data.train.end(), [&](int64_t index) {
      const torch::Tensor& present = data.conversations[index].present;
      return !present.defined() || present.select(1, column).any().item<bool>();
    });
    if (is_there) continue;
    std::vector<std::string> others;
    for (const ModalityInfo& modality : data.info.modalities) {
      if (modality.name == data.info.modalities[m].name) continue;
      others.push_back(absl::StrCat("modalities: \"", modality.name, "\""));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("no utterance of the training split has ", data.info.modalities[m].name,
                     "; leave it out: data { ", absl::StrJoin(others, " "), " }"));
  }
  return absl::OkStatus();
}

// How many utterances of the training split have each class.
std::vector<int64_t> CountClasses(const PreparedData& data) {
  const int64_t num_classes = data.info.num_classes();
  std::vector<int64_t> result(num_classes, 0);
  for (const int64_t index : data.train) {
    const torch::Tensor& labels = data.conversations[index].labels;
    const torch::Tensor counts =
        labels.masked_select(labels != kUnlabelled).bincount({}, num_classes);
    for (int64_t c = 0; c < num_classes; ++c) result[c] += counts[c].item<int64_t>();
  }
  return result;
}

// Mean and deviation of every feature of every stream over the training split.
absl::StatusOr<Standardization> MeasureAll(const PreparedData& data) {
  FeatureMeasurer measurer(data.info);
  for (size_t i = 0; i < data.train.size(); ++i) {
    ASSIGN_OR_RETURN(const Conversation conversation, data.Load(data.train[i]));
    data.ReadAhead(absl::MakeConstSpan(data.train).subspan(i + 1, 1));
    measurer.Add(conversation);
  }
  return measurer.Result();
}

// The means of what MeasureAll() found.
TrainingMeans MeansIn(const Standardization& measured) {
  TrainingMeans means;
  for (const Standardization::Modality& from : measured.modalities()) {
    TrainingMeans::Modality* modality = means.add_modalities();
    for (const auto& stream : from.streams()) {
      *modality->add_streams()->mutable_mean() = stream.mean();
    }
  }
  return means;
}

// Standardizes the conversations, or not, and sets `standardization` and `means`.
absl::Status Standardize(const DataConfig& config, const CheckpointMetadata* trained,
                         PreparedData& data) {
  if (trained != nullptr && trained->has_standardization()) {
    data.standardization = trained->standardization();
  } else if (config.standardize()) {
    ASSIGN_OR_RETURN(data.standardization, MeasureAll(data));
  } else if (trained != nullptr && trained->has_training_means()) {
    ASSIGN_OR_RETURN(data.means, MeansOf(trained->training_means(), data.info));
    return absl::OkStatus();
  } else {
    ASSIGN_OR_RETURN(const Standardization measured, MeasureAll(data));
    ASSIGN_OR_RETURN(data.means, MeansOf(MeansIn(measured), data.info));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Standardizer standardizer,
                   Standardizer::Create(*data.standardization, data.info));
  data.means = ZeroMeans(data.info);
  if (data.late != nullptr) {
    data.standardizer = standardizer;
    return absl::OkStatus();
  }
  for (Conversation& conversation : data.conversations) standardizer.Apply(conversation);
  return absl::OkStatus();
}

}  // namespace

const std::vector<int64_t>& PreparedData::split(Split split) const {
  switch (split) {
    case Split::kValid:
      return valid;
    case Split::kTest:
      return test;
    case Split::kTrain:
    case Split::kTrainAndValid:
      break;
  }
  return train;
}

std::string PreparedData::Ids(absl::Span<const int64_t> indices) const {
  return absl::StrJoin(indices, ", ", [this](std::string* out, int64_t index) {
    out->append(conversations[index].id);
  });
}

absl::StatusOr<Conversation> PreparedData::Load(int64_t index) const {
  Conversation conversation = conversations[index];
  if (late == nullptr) return conversation;
  ASSIGN_OR_RETURN(conversation.features, late->Read(index));
  if (standardizer.has_value()) standardizer->Apply(conversation);
  if (means.empty()) return conversation;  // they are being measured
  RETURN_IF_ERROR(Annotate(FillMissing(means, info, conversation),
                           absl::StrCat("conversation ", conversation.id)));
  return conversation;
}

void PreparedData::ReadAhead(absl::Span<const int64_t> indices) const {
  if (late != nullptr) late->ReadAhead(indices);
}

absl::StatusOr<Batch> PreparedData::MakeBatch(absl::Span<const int64_t> indices) const {
  std::vector<Conversation> chosen;
  for (const int64_t index : indices) {
    ASSIGN_OR_RETURN(Conversation conversation, Load(index));
    chosen.push_back(std::move(conversation));
  }
  return MakeBatchOf(chosen);
}

Batch PreparedData::MakeBatchOf(absl::Span<const Conversation> chosen) const {
  return ToDevice(cmerc::MakeBatch(chosen, info), device);
}

absl::StatusOr<PreparedData> PrepareData(const Dataset& dataset, const DataConfig& config,
                                         const CheckpointMetadata* trained) {
  PreparedData data;
  RETURN_IF_ERROR(CheckUnscoredClasses(config, dataset.info()));
  RETURN_IF_ERROR(ReadConversations(dataset, config, data));
  data.info.context = ContextOf(config);
  RETURN_IF_ERROR(Divide(dataset, config, data));
  RETURN_IF_ERROR(CheckModalities(data));
  data.info.class_counts = CountClasses(data);
  RETURN_IF_ERROR(Standardize(config, trained, data));
  if (data.late != nullptr) return data;  // Load() fills in
  for (Conversation& conversation : data.conversations) {
    RETURN_IF_ERROR(Annotate(FillMissing(data.means, data.info, conversation),
                             absl::StrCat("conversation ", conversation.id)));
  }
  return data;
}

ContextScope ContextOf(const DataConfig& config) {
  return config.context() == DataConfig::PAST ? ContextScope::kPast : ContextScope::kConversation;
}

DatasetDescription Describe(const DatasetInfo& info) {
  DatasetDescription description;
  description.set_name(info.name);
  for (const ModalityInfo& modality : info.modalities) {
    DatasetDescription::Modality* entry = description.add_modalities();
    entry->set_name(modality.name);
    entry->set_width(modality.width);
    entry->set_num_streams(modality.num_streams);
  }
  for (const std::string& name : info.class_names) description.add_class_names(name);
  description.set_num_speakers(info.num_speakers);
  for (const int64_t count : info.class_counts) description.add_class_counts(count);
  for (const std::string& name : info.speaker_names) description.add_speaker_names(name);
  return description;
}

DatasetInfo InfoFromDescription(const DatasetDescription& description) {
  DatasetInfo info;
  info.name = description.name();
  for (const auto& modality : description.modalities()) {
    info.modalities.push_back({modality.name(), modality.width(), modality.num_streams()});
  }
  info.class_names.assign(description.class_names().begin(), description.class_names().end());
  info.num_speakers = description.num_speakers();
  info.class_counts.assign(description.class_counts().begin(), description.class_counts().end());
  info.speaker_names.assign(description.speaker_names().begin(), description.speaker_names().end());
  return info;
}

absl::Status CheckUnscoredClasses(const DataConfig& config, const DatasetInfo& info) {
  const auto& unscored = config.unscored_classes();
  for (int i = 0; i < unscored.size(); ++i) {
    const std::string place =
        absl::StrCat("data.unscored_classes[", i, "] = \"", unscored[i], "\"");
    if (std::find(info.class_names.begin(), info.class_names.end(), unscored[i]) ==
        info.class_names.end()) {
      const std::string nearest = NearestName(unscored[i], info.class_names);
      return absl::InvalidArgumentError(
          absl::StrCat(place, ", must be one of: ", absl::StrJoin(info.class_names, ", "),
                       nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
    }
    if (std::find(unscored.begin(), unscored.begin() + i, unscored[i]) != unscored.begin() + i) {
      return absl::InvalidArgumentError(absl::StrCat(place, " occurs twice; name each class once"));
    }
  }
  if (unscored.size() < info.num_classes()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("data.unscored_classes names all ", info.num_classes(),
                   " classes, which leaves none to score; leave out at least one"));
}

std::string ProtocolDescription(const DataConfig& config) {
  if (config.protocol() == DataConfig::OFFICIAL) {
    return "OFFICIAL (trains on train + valid; the test set selects the epoch)";
  }
  return absl::StrCat("HELD_OUT (the validation split selects the epoch",
                      config.test_folds() == 0 ? ""
                                               : absl::StrCat("; test fold ", config.test_fold(),
                                                              " of ", config.test_folds()),
                      ")");
}

}  // namespace cmerc
