#include "core/confidence.h"

namespace cmerc {

torch::Tensor TrueClassLogProbs(const torch::Tensor& log_probs, const torch::Tensor& labels) {
  return log_probs.gather(1, labels.unsqueeze(1)).squeeze(1);
}

torch::Tensor ConfidenceLabels(const torch::Tensor& full_log_probs,
                               const torch::Tensor& view_log_probs, const torch::Tensor& labels) {
  torch::NoGradGuard no_grad;
  const torch::Tensor full_right = full_log_probs.argmax(1) == labels;
  const torch::Tensor view_right = view_log_probs.argmax(1) == labels;
  const torch::Tensor surer =
      TrueClassLogProbs(full_log_probs, labels) > TrueClassLogProbs(view_log_probs, labels);
  return full_right.logical_and(view_right.logical_not().logical_or(surer)).to(torch::kInt64);
}

torch::Tensor ConfidenceClassWeights(const torch::Tensor& confidence_labels) {
  // Not bincount(), whose result a GPU is waited for.
  const float total = static_cast<float>(confidence_labels.size(0));
  const torch::Tensor sure = confidence_labels.sum().to(torch::kFloat32);
  const torch::Tensor counts = torch::stack({total - sure, sure});
  return torch::where(counts > 0, total / counts, torch::zeros_like(counts));
}

}  // namespace cmerc
