#include "core/backbone.h"

#include "absl/strings/str_cat.h"
#include "core/evidence_flags.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {

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
                     if (evidence_flags_ == nullptr) return ForwardAllImpl(batches);
                     std::vector<Batch> shown;
                     for (const Batch& batch : batches) {
                       shown.push_back(evidence_flags_->Show(batch));
                     }
                     return ForwardAllImpl(shown);
                   }));
  if (predictions.size() != batches.size()) {
    return absl::InternalError(absl::StrCat("the backbone made ", predictions.size(),
                                            " predictions of ", batches.size(), " batches"));
  }
  for (size_t i = 0; i < batches.size(); ++i) {
    RETURN_IF_ERROR(CheckPrediction(predictions[i], batches[i]));
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
