#include "calibration/predictor.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/predict_views.h"
#include "config/loader.h"
#include "core/semantics.pb.h"
#include "core/shape.h"
#include "core/status.h"
#include "core/streams.h"
#include "storage/checkpoint.h"
#include "storage/trained_backbone.h"

namespace cmerc {
namespace {

// The speakers that a conversation may have where no weight depends on their number: enough for
// any, and little work for a backbone that keeps a number per speaker.
constexpr int64_t kManySpeakers = 1000;

absl::Status CheckDescription(const DatasetInfo& info, const std::string& path) {
  const bool plausible =
      !info.modalities.empty() && !info.class_names.empty() && info.num_speakers >= 1 &&
      std::all_of(info.modalities.begin(), info.modalities.end(),
                  [](const ModalityInfo& m) { return m.width >= 1 && m.num_streams >= 1; });
  if (plausible) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   " does not say what data its model was made for (modalities, classes, "
                   "speakers): it is damaged; take another, or train it again"));
}

absl::Status CheckStream(const torch::Tensor& stream, const ModalityInfo& modality,
                         int64_t length) {
  if (!stream.defined() || stream.sizes() != torch::IntArrayRef({length, modality.width})) {
    return absl::InvalidArgumentError(absl::StrCat(
        modality.name, " has shape ", stream.defined() ? ShapeString(stream.sizes()) : "[]",
        ", want [", length, ", ", modality.width, "] (utterances, features), as in training"));
  }
  if (stream.scalar_type() != torch::kFloat32) {
    return absl::InvalidArgumentError(absl::StrCat(
        modality.name, " has dtype ", c10::toString(stream.scalar_type()), ", want Float"));
  }
  const torch::Tensor bad = stream.isfinite().logical_not().nonzero();
  if (bad.size(0) == 0) return absl::OkStatus();
  const auto row = bad[0][0].item<int64_t>(), column = bad[0][1].item<int64_t>();
  return absl::InvalidArgumentError(absl::StrCat(modality.name, " of utterance ", row, ", feature ",
                                                 column, " is ", stream[row][column].item<float>(),
                                                 ", want a finite number"));
}

// InvalidArgument: `present` is not what Conversation says, or what lacks cannot be filled in.
absl::Status CheckPresent(const Conversation& conversation, const DatasetInfo& info,
                          const FeatureMeans& means) {
  const torch::Tensor& present = conversation.present;
  if (!present.defined()) return absl::OkStatus();
  const auto num_modalities = static_cast<int64_t>(info.modalities.size());
  if (present.sizes() != torch::IntArrayRef({conversation.speakers.size(0), num_modalities}) ||
      present.scalar_type() != torch::kBool) {
    return absl::InvalidArgumentError(absl::StrCat("present must be [n, M] = [",
                                                   conversation.speakers.size(0), ", ",
                                                   num_modalities, "] bool"));
  }
  Conversation filled = conversation;
  return FillMissing(means, info, filled);
}

// The model of a checkpoint, which may be given more speakers than its data had, unless some of its
// weights depend on their number.
absl::StatusOr<std::shared_ptr<Backbone>> MakeForManySpeakers(const RunConfig& config,
                                                              const DatasetInfo& info,
                                                              const Checkpoint& checkpoint,
                                                              const std::string& path) {
  DatasetInfo with_more_speakers = info;
  ++with_more_speakers.num_speakers;
  const bool speakers_have_weights = !HasWeightsOf(config, with_more_speakers, checkpoint.state);
  with_more_speakers.num_speakers = std::max(info.num_speakers, kManySpeakers);
  return MakeTrainedBackbone(config, speakers_have_weights ? info : with_more_speakers, checkpoint,
                             path);
}

// Log-probabilities [N, C] in float64.
torch::Tensor Exact(const Prediction& prediction) {
  return prediction.log_probs.to(torch::kFloat64).contiguous();
}

// The values of what Exact() made, row by row.
absl::Span<const double> ValuesOf(const torch::Tensor& log_probs) {
  return {log_probs.data_ptr<double>(), static_cast<size_t>(log_probs.numel())};
}

// Internal: a number of the predictions for `conversations` is not finite.
absl::Status CheckFinite(const torch::Tensor& full, const std::vector<torch::Tensor>& views,
                         const std::vector<Conversation>& conversations) {
  bool finite = full.isfinite().all().item<bool>();
  for (const torch::Tensor& view : views) finite = finite && view.isfinite().all().item<bool>();
  if (finite) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "what the model predicts for one of the conversations ",
      absl::StrJoin(conversations, ", ",
                    [](std::string* out, const Conversation& c) { out->append(c.id); }),
      " is not a finite number: its weights are of no use"));
}

}  // namespace

absl::StatusOr<std::optional<double>> TemperatureOf(const CheckpointMetadata& metadata) {
  if (!metadata.has_temperature()) return std::nullopt;
  if (metadata.temperature() > 0 && std::isfinite(metadata.temperature())) {
    return metadata.temperature();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("temperature = ", metadata.temperature(),
                   ", must be finite and > 0: the file is damaged; take another, or train it "
                   "again"));
}

absl::StatusOr<std::optional<SetCalibration>> SetCalibrationOf(const CheckpointMetadata& metadata,
                                                               int64_t num_classes) {
  if (!metadata.has_sets()) return std::nullopt;
  const absl::Status status = CheckSetCalibration(metadata.sets(), num_classes);
  if (status.ok()) return metadata.sets();
  return absl::InvalidArgumentError(
      absl::StrCat(status.message(), ": the file is damaged; take another, or train it again"));
}

absl::StatusOr<Predictor> Predictor::Load(const std::string& path,
                                          const std::vector<std::string>& overrides) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
  if (!checkpoint.metadata.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        " holds weights alone, as files that Python saved do; want a file of `cmerc train`, which "
        "also carries classes, widths and standardisation. The conversations of a dataset can be "
        "predicted and scored all the same: cmerc predict (or evaluate) --checkpoint=",
        path, " --config=FILE, without --input"));
  }
  const CheckpointMetadata& metadata = *checkpoint.metadata;
  Setup setup;
  ASSIGN_OR_RETURN(setup.config, ParseConfig(ResolvedConfig(metadata.config()),
                                             absl::StrCat("the config in ", path), overrides));
  DatasetInfo info = InfoFromDescription(metadata.dataset());
  info.context = ContextOf(setup.config.data());
  RETURN_IF_ERROR(CheckDescription(info, path));
  if (metadata.has_standardization()) {
    ASSIGN_OR_RETURN(setup.standardizer,
                     Annotate(Standardizer::Create(metadata.standardization(), info), path));
    setup.means = ZeroMeans(info);
  } else if (metadata.has_training_means()) {
    ASSIGN_OR_RETURN(setup.means, Annotate(MeansOf(metadata.training_means(), info), path));
  }
  ASSIGN_OR_RETURN(setup.temperature, Annotate(TemperatureOf(metadata), path));
  ASSIGN_OR_RETURN(setup.sets, Annotate(SetCalibrationOf(metadata, info.num_classes()), path));
  setup.extractors = ExtractorsOf(metadata.dataset());
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> backbone,
                   MakeForManySpeakers(setup.config, info, checkpoint, path));
  return Predictor(std::move(backbone), std::move(setup));
}

Predictor::Predictor(std::shared_ptr<Backbone> backbone)
    : Predictor(std::move(backbone), Setup()) {}

Predictor::Predictor(std::shared_ptr<Backbone> backbone, Setup setup)
    : backbone_(std::move(backbone)), setup_(std::move(setup)) {
  backbone_->eval();
}

absl::Status Predictor::Check(const Conversation& conversation) const {
  const torch::Tensor& speakers = conversation.speakers;
  if (!speakers.defined() || speakers.dim() != 1 || speakers.size(0) < 1 ||
      speakers.scalar_type() != torch::kInt64) {
    return absl::InvalidArgumentError("speakers must be an [n] int64 tensor with n >= 1");
  }
  const std::vector<ModalityInfo>& modalities = info().modalities;
  if (conversation.features.size() != modalities.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are features of ", conversation.features.size(), " modalities, want ",
        modalities.size(), ": ",
        absl::StrJoin(modalities, ", ",
                      [](std::string* out, const ModalityInfo& m) { out->append(m.name); })));
  }
  for (size_t m = 0; m < modalities.size(); ++m) {
    const std::vector<torch::Tensor>& streams = conversation.features[m];
    if (static_cast<int64_t>(streams.size()) != modalities[m].num_streams) {
      return absl::InvalidArgumentError(absl::StrCat(modalities[m].name, " has ", streams.size(),
                                                     " streams, want ", modalities[m].num_streams,
                                                     ", as in training"));
    }
    for (size_t s = 0; s < streams.size(); ++s) {
      if (IsSameAsPrevious(streams, s)) continue;
      RETURN_IF_ERROR(CheckStream(streams[s], modalities[m], speakers.size(0)));
    }
  }
  RETURN_IF_ERROR(CheckPresent(conversation, info(), setup_.means));
  const auto lowest = speakers.min().item<int64_t>(), highest = speakers.max().item<int64_t>();
  if (lowest >= 0 && highest < info().num_speakers) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("speaker ", lowest < 0 ? lowest : highest, " (from 0), want 0 to ",
                   info().num_speakers - 1, ": this model was trained for ", info().num_speakers,
                   " speakers, with weights of its own for each; train it on data with more"));
}

bool Predictor::BatchMatesMatter() const {
  if (config().calibration().masked_mean() == CalibrationConfig::PADDED_ROWS) return true;
  const auto options = Backbones().Unpack(config().backbone());
  if (!options.ok()) return false;  // a model that is at hand has no config
  const google::protobuf::FieldDescriptor* field =
      (*options)->GetDescriptor()->FindFieldByName("semantics");
  return field != nullptr && field->enum_type() == Semantics_descriptor() &&
         (*options)->GetReflection()->GetEnumValue(**options, field) == OFFICIAL;
}

absl::StatusOr<Conversation> Predictor::Prepare(Conversation conversation) const {
  RETURN_IF_ERROR(Check(conversation));
  if (setup_.standardizer.has_value()) setup_.standardizer->Apply(conversation);
  RETURN_IF_ERROR(FillMissing(setup_.means, info(), conversation));
  return conversation;
}

absl::StatusOr<std::vector<PredictedConversation>> Predictor::Predict(
    absl::Span<const Conversation> conversations, const std::vector<View>& views) {
  if (conversations.empty()) return std::vector<PredictedConversation>();
  torch::NoGradGuard no_grad;
  std::vector<Conversation> ready;
  std::vector<std::string> ids;
  std::vector<int64_t> lengths;
  for (const Conversation& conversation : conversations) {
    ASSIGN_OR_RETURN(
        Conversation prepared,
        Annotate(Prepare(conversation), absl::StrCat("conversation ", conversation.id)));
    prepared.labels = torch::zeros_like(prepared.speakers);  // a batch has some
    ids.push_back(prepared.id);
    lengths.push_back(prepared.length());
    ready.push_back(std::move(prepared));
  }
  ASSIGN_OR_RETURN(const LossInput input, PredictFullAndViews(*backbone_, MakeBatch(ready, info()),
                                                              views, setup_.config.calibration()));
  const torch::Tensor full = Exact(input.full);
  std::vector<torch::Tensor> without;
  for (const ViewPrediction& view : input.views) without.push_back(Exact(view.prediction));
  RETURN_IF_ERROR(CheckFinite(full, without, ready));
  PredictedRows rows{ValuesOf(full), views, {}, setup_.temperature, rules_};
  for (const torch::Tensor& view : without) rows.view_log_probs.push_back(ValuesOf(view));
  std::vector<PredictedConversation> predictions =
      DescribePredictions(rows, ids, lengths, info().class_names);
  for (size_t i = 0; i < ready.size(); ++i) SetMissing(ready[i], info(), &predictions[i]);
  return predictions;
}

}  // namespace cmerc
