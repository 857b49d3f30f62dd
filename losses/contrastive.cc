#include "losses/contrastive.h"

#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/confidence.h"

namespace cmerc {
namespace {

// Stands for the logarithm of 0. Finite, so that the gradient of log-sum-exp is 0, not NaN, where
// everything is masked; exp() of it is 0 in float32 and float64.
constexpr double kLogZero = -1e30;

// [N, N]: f_i . f_j / temperature.
torch::Tensor ScaledCosines(const torch::Tensor& features, double temperature) {
  const torch::Tensor norms = features.norm(2, 1, /*keepdim=*/true);
  // x / infinity is 0 and so is its gradient.
  const torch::Tensor lengths = norms.masked_fill(norms < 1e-12, INFINITY);
  const torch::Tensor unit = features / (lengths * std::sqrt(temperature));
  // The value of unit unit^T, and the gradient (G + G^T) unit in one matrix product where autograd
  // would take two: the second and third term cancel but for their gradients.
  const torch::Tensor half = unit.mm(unit.detach().t());
  return half + (half.t() - half.detach());
}

// The logarithms of P and Q of contrastive.h, each [N, V]; kLogZero or less where they are 0.
struct LogSums {
  torch::Tensor same;
  torch::Tensor different;
  torch::Tensor labels;  // [N, V]: the rows are reordered, and so are these
};

// features [N, H], labels [N, V]. Rows that agree in all V labels are put side by side, so that one
// pass over the N x N similarities serves every view.
LogSums SumsOverOthers(const torch::Tensor& features, const torch::Tensor& labels,
                       double temperature) {
  const auto [group_labels, group_of, group_sizes] =
      at::unique_dim(labels, 0, /*sorted=*/true, /*return_inverse=*/true, /*return_counts=*/true);
  const torch::Tensor order = group_of.argsort();
  torch::Tensor logits = ScaledCosines(features.index_select(0, order), temperature);
  const auto self = torch::eye(logits.size(0), logits.options().dtype(torch::kBool));
  logits = logits.masked_fill(self, kLogZero);

  const torch::Tensor sizes = group_sizes.to(torch::kCPU);
  const torch::IntArrayRef widths(sizes.data_ptr<int64_t>(), sizes.numel());
  std::vector<torch::Tensor> group_sums;
  for (const torch::Tensor& group : logits.split_with_sizes(widths, 1)) {
    group_sums.push_back(group.logsumexp(1));
  }
  const torch::Tensor sums = torch::stack(group_sums, 1).unsqueeze(2);  // [N, G, 1]

  LogSums result;
  result.labels = labels.index_select(0, order);
  const torch::Tensor same = result.labels.unsqueeze(1) == group_labels.unsqueeze(0);  // [N, G, V]
  result.same = sums.masked_fill(same.logical_not(), kLogZero).logsumexp(1);
  result.different = sums.masked_fill(same, kLogZero).logsumexp(1);
  return result;
}

// [N, V] float32: W of contrastive.h for every anchor.
torch::Tensor AnchorWeights(const torch::Tensor& labels) {
  std::vector<torch::Tensor> weights;
  for (const torch::Tensor& of_view : labels.unbind(1)) {
    weights.push_back(ConfidenceClassWeights(of_view).index_select(0, of_view));
  }
  return torch::stack(weights, 1);
}

// 0 with a gradient of 0, whatever is in `features`.
torch::Tensor Zero(const torch::Tensor& features) { return features.slice(0, 0, 0).sum(); }

torch::Tensor Corrected(const LogSums& sums, const torch::Tensor& weights) {
  // -log(P / (P + Q)) = log(1 + Q / P)
  const torch::Tensor terms = weights * torch::softplus(sums.different - sums.same);
  const torch::Tensor has_positive = sums.same > kLogZero / 2;
  const torch::Tensor anchors = has_positive.sum(0).clamp_min(1);  // [V]
  return (terms.masked_fill(has_positive.logical_not(), 0).sum(0) / anchors).sum();
}

torch::Tensor Official(const LogSums& sums, const torch::Tensor& weights) {
  // The official code adds 1e-7 to a float32 mask and subtracts that from 1.
  constexpr float kSame = 1.0F + 1e-7F;
  constexpr float kDifferent = 1e-7F;
  const torch::Tensor same = sums.same.exp();
  const torch::Tensor different = sums.different.exp();
  const torch::Tensor positive = kSame * same + kDifferent * different;
  const torch::Tensor negative = (1.0F - kSame) * same + (1.0F - kDifferent) * different;
  return -(weights * (positive / (positive + negative)).log()).sum(1).mean();
}

class ConfidenceContrastive final : public Loss {
 public:
  ConfidenceContrastive(double temperature, Semantics semantics, std::vector<View> views)
      : temperature_(temperature), semantics_(semantics), views_(std::move(views)) {}

  std::vector<View> views() const override { return views_; }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    const torch::Tensor& features = input.full.features;
    TORCH_CHECK_VALUE(
        features.defined() && features.dim() == 2 && features.size(0) == input.labels.size(0),
        "a contrastive loss needs features [N, H] of the same N utterances as labels [",
        input.labels.size(0), "]");
    std::vector<torch::Tensor> labels;
    for (const View& view : views_) {
      labels.push_back(
          ConfidenceLabels(input.full.log_probs, input.at(view).log_probs, input.labels));
    }
    const LogSums sums = SumsOverOthers(features, torch::stack(labels, 1), temperature_);
    const torch::Tensor weights = AnchorWeights(sums.labels);
    if (semantics_ == CORRECTED) return Corrected(sums, weights);
    const torch::Tensor loss = Official(sums, weights);
    return loss.isfinite().item<bool>() ? loss : Zero(features);
  }

  const double temperature_;
  const Semantics semantics_;
  const std::vector<View> views_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Loss>> MakeConfidenceContrastive(const std::string& options_name,
                                                                double temperature,
                                                                Semantics semantics,
                                                                std::vector<View> views) {
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    return absl::InvalidArgumentError(
        absl::StrCat(options_name, ": temperature = ", temperature, ", must be above 0"));
  }
  if (semantics == OFFICIAL && std::isinf(std::exp(static_cast<float>(1 / temperature)))) {
    return absl::InvalidArgumentError(absl::StrCat(
        options_name, ": temperature = ", temperature,
        " with semantics = OFFICIAL overflows float32, and the loss would always be 0; "
        "must be above 0.0113, or semantics CORRECTED"));
  }
  return std::make_unique<ConfidenceContrastive>(temperature, semantics, std::move(views));
}

}  // namespace cmerc
