#include "core/backbone.h"

#include "absl/strings/str_cat.h"
#include "core/evidence_flags.h"
#include "core/replay.h"
#include "core/same_conversations.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

// InvalidArgument: not the same utterances in all batches, told by their tensors.
absl::Status CheckSameUtterances(absl::Span<const Batch> batches) {
  for (size_t i = 1; i < batches.size(); ++i) {
    if (!batches[i].lengths.is_same(batches[0].lengths) ||
        !batches[i].speakers.is_same(batches[0].speakers)) {
      return absl::InvalidArgumentError(
          absl::StrCat("batch ", i, " must have the lengths and speakers of batch 0, the same ",
                       "tensors, as a view of it has: only then are they in pairs"));
    }
  }
  return absl::OkStatus();
}

// The predictions of so many batches of N utterances each, one after the other in `all`.
std::vector<Prediction> EachOf(const Prediction& all, int64_t num_utterances, size_t batches) {
  const std::vector<torch::Tensor> log_probs = all.log_probs.split(num_utterances);
  const std::vector<torch::Tensor> features = all.features.split(num_utterances);
  TORCH_CHECK(log_probs.size() == batches && features.size() == batches, "one pass over ", batches,
              " batches of ", num_utterances, " utterances made log_probs of shape ",
              all.log_probs.sizes(), " and features of shape ", all.features.sizes());
  std::vector<Prediction> predictions;
  for (size_t i = 0; i < batches; ++i) predictions.push_back({log_probs[i], features[i]});
  return predictions;
}

// `prediction` of `batch`, with the rows of `first_prediction` where the batch is the first one.
Prediction WithSameRows(const Prediction& prediction, const Batch& batch,
                        const Prediction& first_prediction, const Batch& first) {
  const torch::Tensor rows = InSameConversations(batch, first);
  if (!rows.defined()) return prediction;
  const torch::Tensor column = rows.unsqueeze(1);
  return {torch::where(column, first_prediction.log_probs, prediction.log_probs),
          torch::where(column, first_prediction.features, prediction.features)};
}

}  // namespace

absl::StatusOr<Prediction> Backbone::Forward(const Batch& batch) {
  RETURN_IF_ERROR(ValidateBatch(batch, info_));
  ASSIGN_OR_RETURN(Prediction prediction, CatchTorch([&] {
                     return evidence_flags_ == nullptr ? ForwardImpl(batch)
                                                       : ForwardImpl(evidence_flags_->Show(batch));
                   }));
  RETURN_IF_ERROR(CheckPrediction(prediction, batch));
  return prediction;
}

absl::StatusOr<std::vector<Prediction>> Backbone::ForwardAll(absl::Span<const Batch> batches) {
  for (const Batch& batch : batches) RETURN_IF_ERROR(ValidateBatch(batch, info_));
  ASSIGN_OR_RETURN(std::vector<Prediction> predictions, CatchTorch([&] {
                     return evidence_flags_ == nullptr ? ForwardAllImpl(batches)
                                                       : ForwardAllImpl(Shown(batches));
                   }));
  RETURN_IF_ERROR(CheckPredictions(predictions, batches));
  return predictions;
}

absl::StatusOr<std::vector<Prediction>> Backbone::ForwardPaired(absl::Span<const Batch> batches) {
  // Alone it is in pairs with nothing.
  if (batches.size() < 2) return ForwardAll(batches);
  for (const Batch& batch : batches) RETURN_IF_ERROR(ValidateBatch(batch, info_));
  RETURN_IF_ERROR(CheckSameUtterances(batches));
  ASSIGN_OR_RETURN(std::vector<Prediction> predictions, CatchTorch([&] {
                     const std::vector<Batch> shown = Shown(batches);
                     const std::optional<Prediction> all = ForwardPairedImpl(shown);
                     if (!all.has_value()) return ForwardReplayed(shown);
                     std::vector<Prediction> split =
                         EachOf(*all, batches[0].num_utterances(), batches.size());
                     for (size_t i = 1; i < batches.size(); ++i) {
                       split[i] = WithSameRows(split[i], batches[i], split[0], batches[0]);
                     }
                     return split;
                   }));
  RETURN_IF_ERROR(CheckPredictions(predictions, batches));
  return predictions;
}

std::vector<Batch> Backbone::Shown(absl::Span<const Batch> batches) const {
  std::vector<Batch> shown(batches.begin(), batches.end());
  if (evidence_flags_ == nullptr) return shown;
  for (Batch& batch : shown) batch = evidence_flags_->Show(batch);
  return shown;
}

std::vector<Prediction> Backbone::ForwardReplayed(absl::Span<const Batch> batches) {
  Replay replay(*this, batches[0].speakers.device());
  std::vector<Prediction> predictions = {ForwardImpl(batches[0])};
  replay.Begin();
  for (const Batch& batch : batches.subspan(1)) {
    replay.Rewind();
    predictions.push_back(ForwardImpl(batch));
  }
  return predictions;
}

void Backbone::ShowEvidence() {
  if (evidence_flags_ != nullptr) return;
  evidence_flags_ = register_module("evidence_flags", std::make_shared<EvidenceFlags>(info_));
}

std::vector<Prediction> Backbone::ForwardAllImpl(absl::Span<const Batch> batches) {
  std::vector<Prediction> predictions;
  for (const Batch& batch : batches) predictions.push_back(ForwardImpl(batch));
  return predictions;
}

std::optional<Prediction> Backbone::ForwardPairedImpl(absl::Span<const Batch> /*batches*/) {
  return std::nullopt;
}

absl::StatusOr<Prediction> Backbone::Continue(const Batch& utterance, const torch::Tensor& sources,
                                              Memory& memory) {
  RETURN_IF_ERROR(ValidateBatch(utterance, info_));
  if (utterance.num_conversations() != 1 || utterance.max_length() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a conversation is continued by one utterance, not by ",
                     utterance.num_utterances(), " of ", utterance.num_conversations()));
  }
  if (!sources.defined() || sources.dim() != 1 || sources.size(0) < 1 ||
      sources.scalar_type() != torch::kBool) {
    return absl::InvalidArgumentError("sources must be an [n] bool tensor with n >= 1");
  }
  const torch::NoGradGuard no_grad;
  ASSIGN_OR_RETURN(Prediction prediction, CatchTorch([&] {
                     return ContinueImpl(
                         evidence_flags_ == nullptr ? utterance : evidence_flags_->Show(utterance),
                         sources, memory);
                   }));
  RETURN_IF_ERROR(CheckPrediction(prediction, utterance));
  return prediction;
}

Prediction Backbone::ContinueImpl(const Batch& /*utterance*/, const torch::Tensor& /*sources*/,
                                  Memory& /*memory*/) {
  TORCH_CHECK(false, "this backbone remembers nothing of a conversation");
}

absl::Status Backbone::CheckPredictions(absl::Span<const Prediction> predictions,
                                        absl::Span<const Batch> batches) const {
  if (predictions.size() != batches.size()) {
    return absl::InternalError(absl::StrCat("the backbone made ", predictions.size(),
                                            " predictions of ", batches.size(), " batches"));
  }
  for (size_t i = 0; i < batches.size(); ++i) {
    RETURN_IF_ERROR(CheckPrediction(predictions[i], batches[i]));
  }
  return absl::OkStatus();
}

absl::Status Backbone::CheckPrediction(const Prediction& prediction, const Batch& batch) const {
  const int64_t num = batch.num_utterances();
  if (!prediction.log_probs.defined() ||
      prediction.log_probs.sizes() != torch::IntArrayRef({num, info_.num_classes()})) {
    return absl::InternalError(absl::StrCat("the backbone's log_probs must be [N, C] = [", num,
                                            ", ", info_.num_classes(), "]"));
  }
  if (!prediction.features.defined() || prediction.features.dim() != 2 ||
      prediction.features.size(0) != num) {
    return absl::InternalError(
        absl::StrCat("the backbone's features must be [N, H] with N = ", num));
  }
  return absl::OkStatus();
}

Registry<Backbone, const DatasetInfo&>& Backbones() {
  static auto* registry = new Registry<Backbone, const DatasetInfo&>("backbone");
  return *registry;
}

}  // namespace cmerc
