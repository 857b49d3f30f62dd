#include "calibration/prepared_data.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/device.h"
#include "calibration/folds.h"
#include "core/status.h"
#include "core/streams.h"
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

// Mean and deviation of every feature of a stream over the utterances of `train` that have it.
Standardization::Stream Measure(const PreparedData& data, size_t modality, size_t stream) {
  torch::Tensor sum, sum_of_squares;
  int64_t rows = 0;
  for (const int64_t index : data.train) {
    const Conversation& conversation = data.conversations[index];
    torch::Tensor x = conversation.features[modality][stream].to(torch::kFloat64);
    if (conversation.present.defined()) x = x.index_select(0, RowsWith(conversation, modality));
    const torch::Tensor s = x.sum(0);
    const torch::Tensor q = x.square().sum(0);
    sum = sum.defined() ? sum + s : s;
    sum_of_squares = sum_of_squares.defined() ? sum_of_squares + q : q;
    rows += x.size(0);
  }
  const torch::Tensor mean = sum / rows;
  const torch::Tensor variance = (sum_of_squares / rows - mean.square()).clamp_min(0);
  // A feature that never varies says nothing: leave its scale alone.
  const torch::Tensor tiny = variance <= 1e-12 * mean.square().clamp_min(1);
  const torch::Tensor deviation = torch::where(tiny, torch::ones_like(variance), variance.sqrt());
  Standardization::Stream result;
  for (int64_t d = 0; d < mean.size(0); ++d) {
    result.add_mean(static_cast<float>(mean[d].item<double>()));
    result.add_deviation(static_cast<float>(deviation[d].item<double>()));
  }
  return result;
}

torch::Tensor ToTensor(const google::protobuf::RepeatedField<float>& values) {
  return torch::tensor(std::vector<float>(values.begin(), values.end()));
}

// The columns of Conversation::present for these modalities; undefined where nothing is missing.
torch::Tensor PresentOf(const torch::Tensor& present, const std::vector<size_t>& chosen) {
  if (!present.defined()) return present;
  const std::vector<int64_t> columns(chosen.begin(), chosen.end());
  const torch::Tensor of_chosen = present.index_select(1, torch::tensor(columns, torch::kInt64));
  return of_chosen.all().item<bool>() ? torch::Tensor() : of_chosen;
}

// Reads every conversation of the dataset, with the modalities that the config names.
absl::Status ReadConversations(const Dataset& dataset, const DataConfig& config,
                               PreparedData& data) {
  ASSIGN_OR_RETURN(const std::vector<size_t> chosen, ChosenModalities(dataset.info(), config));
  data.info = dataset.info();
  data.info.modalities.clear();
  for (const size_t m : chosen) data.info.modalities.push_back(dataset.info().modalities[m]);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    ASSIGN_OR_RETURN(Conversation conversation, dataset.Get(i));
    std::vector<std::vector<torch::Tensor>> features;
    for (const size_t m : chosen) features.push_back(conversation.features[m]);
    conversation.features = std::move(features);
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

// Mean and deviation of every feature of every stream. A stream that is the tensor before it, in
// all conversations, has the same ones.
Standardization MeasureAll(const PreparedData& data) {
  Standardization result;
  for (size_t m = 0; m < data.info.modalities.size(); ++m) {
    Standardization::Modality* modality = result.add_modalities();
    for (int64_t s = 0; s < data.info.modalities[m].num_streams; ++s) {
      const auto same_as_previous = [&](const Conversation& conversation) {
        return IsSameAsPrevious(conversation.features[m], s);
      };
      const bool all_same = s > 0 && std::all_of(data.conversations.begin(),
                                                 data.conversations.end(), same_as_previous);
      *modality->add_streams() =
          all_same ? modality->streams(static_cast<int>(s) - 1) : Measure(data, m, s);
    }
  }
  return result;
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
    data.standardization = MeasureAll(data);
  } else {
    ASSIGN_OR_RETURN(data.means, trained != nullptr && trained->has_training_means()
                                     ? MeansOf(trained->training_means(), data.info)
                                     : MeansOf(MeansIn(MeasureAll(data)), data.info));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Standardizer standardizer,
                   Standardizer::Create(*data.standardization, data.info));
  for (Conversation& conversation : data.conversations) standardizer.Apply(conversation);
  data.means = ZeroMeans(data.info);
  return absl::OkStatus();
}

// Whether it has one mean and one deviation above 0, both finite, for each of `width` features.
bool Fits(const Standardization::Stream& stream, int64_t width) {
  return stream.mean_size() == width && stream.deviation_size() == width &&
         std::all_of(stream.mean().begin(), stream.mean().end(),
                     [](float mean) { return std::isfinite(mean); }) &&
         std::all_of(stream.deviation().begin(), stream.deviation().end(),
                     [](float deviation) { return std::isfinite(deviation) && deviation > 0; });
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

absl::StatusOr<Standardizer> Standardizer::Create(const Standardization& standardization,
                                                  const DatasetInfo& info) {
  bool fits = standardization.modalities_size() == static_cast<int>(info.modalities.size());
  for (int m = 0; fits && m < standardization.modalities_size(); ++m) {
    const auto& streams = standardization.modalities(m).streams();
    fits = streams.size() == info.modalities[m].num_streams;
    for (const auto& stream : streams) fits = fits && Fits(stream, info.modalities[m].width);
  }
  if (!fits) {
    return absl::InvalidArgumentError(
        "the checkpoint's standardisation does not fit this dataset's modalities and widths; use "
        "the dataset the model was trained on");
  }
  Standardizer result;
  for (const Standardization::Modality& modality : standardization.modalities()) {
    std::vector<Stream> streams;
    for (const auto& stream : modality.streams()) {
      const torch::Tensor mean = ToTensor(stream.mean());
      const torch::Tensor deviation = ToTensor(stream.deviation());
      const bool same = !streams.empty() && mean.equal(streams.back().mean) &&
                        deviation.equal(streams.back().deviation);
      streams.push_back({mean, deviation, same});
    }
    result.modalities_.push_back(std::move(streams));
  }
  return result;
}

void Standardizer::Apply(Conversation& conversation) const {
  for (size_t m = 0; m < modalities_.size(); ++m) {
    const std::vector<torch::Tensor> original = conversation.features[m];
    for (size_t s = 0; s < original.size(); ++s) {
      const Stream& stream = modalities_[m][s];
      const bool same_as_previous = stream.same_as_previous && IsSameAsPrevious(original, s);
      conversation.features[m][s] = same_as_previous
                                        ? conversation.features[m][s - 1]
                                        : (original[s] - stream.mean) / stream.deviation;
    }
  }
}

std::string PreparedData::Ids(absl::Span<const int64_t> indices) const {
  return absl::StrJoin(indices, ", ", [this](std::string* out, int64_t index) {
    out->append(conversations[index].id);
  });
}

Batch PreparedData::MakeBatch(absl::Span<const int64_t> indices) const {
  std::vector<Conversation> chosen;
  for (const int64_t index : indices) chosen.push_back(conversations[index]);
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
