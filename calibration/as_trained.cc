#include "calibration/as_trained.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"

namespace cmerc {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> ModalityNames(const DatasetInfo& info) {
  std::vector<std::string> names;
  for (const ModalityInfo& modality : info.modalities) names.push_back(modality.name);
  return names;
}

std::vector<std::string> ModalityNames(const DatasetDescription& description) {
  std::vector<std::string> names;
  for (const auto& modality : description.modalities()) names.push_back(modality.name());
  return names;
}

// Whether two standardizations, either of which may be absent, are the same numbers.
bool Alike(const Standardization* a, const Standardization* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->SerializeAsString() == b->SerializeAsString();
}

// Whether the same stands for what the conversations lack; an old model does not say what does.
bool FilledAlike(const CheckpointMetadata& trained, const PreparedData& data) {
  return !trained.has_training_means() ||
         std::none_of(data.conversations.begin(), data.conversations.end(), LacksAny) ||
         trained.training_means().SerializeAsString() == Describe(data.means).SerializeAsString();
}

// For each of `names` its place in `trained`, [S] int64; undefined where one is not there, or all
// have the same place in both.
torch::Tensor PlacesIn(const std::vector<std::string>& names, const Names& trained) {
  std::vector<int64_t> places;
  bool same = true;
  for (const std::string& name : names) {
    const auto found = std::find(trained.begin(), trained.end(), name);
    if (found == trained.end()) return torch::Tensor();
    same = same && found - trained.begin() == static_cast<int64_t>(places.size());
    places.push_back(found - trained.begin());
  }
  return same ? torch::Tensor() : torch::tensor(places, torch::kInt64);
}

// Gives speakers and classes the indices that the model knows them by.
void TakeIndices(const DatasetDescription& trained, PreparedData& data) {
  const torch::Tensor speakers = PlacesIn(data.info.speaker_names, trained.speaker_names());
  const torch::Tensor classes = trained.class_names_size() == data.info.num_classes()
                                    ? PlacesIn(data.info.class_names, trained.class_names())
                                    : torch::Tensor();
  for (Conversation& conversation : data.conversations) {
    if (speakers.defined()) conversation.speakers = speakers.index_select(0, conversation.speakers);
    if (!classes.defined()) continue;
    const torch::Tensor labels = conversation.labels;
    conversation.labels =
        torch::where(labels == kUnlabelled, labels, classes.index_select(0, labels.clamp_min(0)));
  }
  if (speakers.defined()) {
    data.info.num_speakers = trained.num_speakers();
    data.info.speaker_names.assign(trained.speaker_names().begin(), trained.speaker_names().end());
  }
  if (classes.defined()) {
    data.info.class_names.assign(trained.class_names().begin(), trained.class_names().end());
    std::vector<int64_t> counts(data.info.class_counts.size());
    for (size_t c = 0; c < counts.size(); ++c) {
      counts[classes[static_cast<int64_t>(c)].item<int64_t>()] = data.info.class_counts[c];
    }
    data.info.class_counts = std::move(counts);
  }
}

}  // namespace

absl::StatusOr<PreparedData> PrepareAsTrained(const RunConfig& config, const PreparedData& data,
                                              const CheckpointMetadata& trained) {
  std::vector<std::string> modalities = ModalityNames(trained.dataset());
  if (modalities.empty()) modalities = ModalityNames(data.info);  // it does not say
  const Standardization* given =
      trained.has_standardization() ? &trained.standardization() : nullptr;
  const Standardization* present =
      data.standardization.has_value() ? &*data.standardization : nullptr;
  PreparedData prepared;
  if (ModalityNames(data.info) == modalities && Alike(given, present) &&
      FilledAlike(trained, data)) {
    prepared = data;
  } else {
    DataConfig as_trained = config.data();
    as_trained.set_standardize(false);
    as_trained.clear_modalities();
    for (const std::string& name : modalities) as_trained.add_modalities(name);
    ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                     Annotate(Datasets().Create(as_trained.dataset()), "data.dataset"));
    ASSIGN_OR_RETURN(prepared, PrepareData(*dataset, as_trained, &trained));
    prepared.device = data.device;
  }
  if (ModalityNames(prepared.info) != modalities) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model was trained on the modalities ", absl::StrJoin(modalities, ", "),
        ", in this order, and the dataset has ", absl::StrJoin(ModalityNames(prepared.info), ", "),
        "; use the dataset the model was trained on"));
  }
  TakeIndices(trained.dataset(), prepared);
  prepared.info.context = ContextOf(trained.config().data());
  return prepared;
}

std::string OtherClassesWarning(const DatasetDescription& trained_on, const DatasetInfo& info) {
  if (trained_on.class_names().empty()) return "";  // it does not say
  if (std::equal(info.class_names.begin(), info.class_names.end(), trained_on.class_names().begin(),
                 trained_on.class_names().end())) {
    return "";
  }
  return absl::StrCat("the model was trained on the classes ",
                      absl::StrJoin(trained_on.class_names(), " "), " of ", trained_on.name(),
                      ", and this dataset has others; scores mean something only if they match in "
                      "order");
}

}  // namespace cmerc
