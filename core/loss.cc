#include "core/loss.h"

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {

const Prediction& LossInput::at(const View& view) const {
  for (const ViewPrediction& candidate : views) {
    if (candidate.view == view) return candidate.prediction;
  }
  TORCH_CHECK_VALUE(false, "no prediction for the view \"", view.name(), "\"");
}

const torch::Tensor& LossInput::Features() const {
  const torch::Tensor& features = full.features;
  TORCH_CHECK_VALUE(features.defined() && features.dim() == 2 && features.size(0) == labels.size(0),
                    "a contrastive loss needs features [N, H] of the same N utterances as labels [",
                    labels.size(0), "]");
  return features;
}

torch::Tensor LossInput::Cosines() const { return cosine_cache.Of(Features()); }

absl::Status Loss::Check(const LossInput& input) const {
  const torch::Tensor& full = input.full.log_probs;
  if (!full.defined() || full.dim() != 2 || full.size(0) < 1 ||
      input.labels.sizes() != torch::IntArrayRef({full.size(0)})) {
    return absl::InvalidArgumentError(
        "a loss needs log_probs [N, C] and labels [N] with N >= 1 utterances");
  }
  for (const View& view : views()) {
    ASSIGN_OR_RETURN(const Prediction* of_view, CatchTorch([&] { return &input.at(view); }));
    if (of_view->log_probs.sizes() != full.sizes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the prediction of the view \"", view.name(),
                       "\" has not the shape of the full prediction"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<torch::Tensor> Loss::Compute(const LossInput& input) const {
  RETURN_IF_ERROR(Check(input));
  return CatchTorch([&] { return ComputeImpl(input); });
}

absl::Status Loss::AfterStep(const LossInput& input) {
  RETURN_IF_ERROR(Check(input));
  return CatchTorch([&] {
    const torch::NoGradGuard no_grad;
    AfterStepImpl(input);
  });
}

Registry<Loss, const DatasetInfo&>& Losses() {
  static auto* registry = new Registry<Loss, const DatasetInfo&>("loss");
  return *registry;
}

}  // namespace cmerc
