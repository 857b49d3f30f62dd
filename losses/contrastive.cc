#include "losses/contrastive.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/confidence.h"
#include "losses/device_group_log_sums.h"
#include "losses/group_log_sums.h"

namespace cmerc {
namespace {

// The logarithms of P and Q of contrastive.h, each [N, V]; kLogZero or less where they are 0.
struct LogSums {
  torch::Tensor same;
  torch::Tensor different;
};

// Utterances that agree in all V labels, so that one pass over all pairs serves every view.
struct Groups {
  torch::Tensor labels;  // [G, V] bool: the labels of each group; some groups may be empty
  torch::Tensor of;      // [N] int64 in [0, G): the group of each utterance
};

// The groups of utterances with the labels `labels`, [N, V] in {0, 1}.
Groups GroupsOf(const torch::Tensor& labels) {
  const int64_t num_views = labels.size(1);
  constexpr int64_t kMostDigits = 6;
  if (num_views > kMostDigits) {
    const auto [group_labels, group_of, sizes] =
        at::unique_dim(labels, 0, /*sorted=*/true, /*return_inverse=*/true);
    return {group_labels.to(torch::kBool), group_of};
  }
  // The labels are the binary digits of a group's number: nothing to look for, which on a GPU would
  // be waited for.
  const auto options = labels.options();
  const torch::Tensor digits =
      torch::full({num_views}, 2, options).pow(torch::arange(num_views - 1, -1, -1, options));
  const torch::Tensor groups = torch::arange(int64_t{1} << num_views, options).unsqueeze(1);
  return {groups.bitwise_and(digits).to(torch::kBool), (labels * digits).sum(1)};
}

LogSums SumsOverOthers(const LossInput& input, const torch::Tensor& labels, double temperature) {
  const Groups groups = GroupsOf(labels);
  const int64_t num_groups = groups.labels.size(0);
  const torch::Tensor& features = input.Features();
  const torch::Tensor sums =
      (features.is_cpu() ? GroupLogSums(input.Cosines(), groups.of, num_groups, temperature)
                         : DeviceGroupLogSums(features, groups.of, num_groups, temperature))
          .unsqueeze(2);  // [N, G, 1]
  const torch::Tensor same =
      labels.to(torch::kBool).unsqueeze(1) == groups.labels.unsqueeze(0);  // [N, G, V]
  return {sums.masked_fill(same.logical_not(), kLogZero).logsumexp(1),
          sums.masked_fill(same, kLogZero).logsumexp(1)};
}

// [N, V] float32: W of contrastive.h for every anchor.
torch::Tensor AnchorWeights(const torch::Tensor& labels) {
  std::vector<torch::Tensor> weights;
  for (const torch::Tensor& of_view : labels.unbind(1)) {
    weights.push_back(ConfidenceClassWeights(of_view).index_select(0, of_view));
  }
  return torch::stack(weights, 1);
}

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
  std::unique_ptr<Loss> OfView(const View& view) const override {
    return std::make_unique<ConfidenceContrastive>(temperature_, semantics_,
                                                   std::vector<View>{view});
  }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    std::vector<torch::Tensor> of_views;
    for (const View& view : views_) {
      of_views.push_back(
          ConfidenceLabels(input.full.log_probs, input.at(view).log_probs, input.labels));
    }
    const torch::Tensor labels = torch::stack(of_views, 1);
    const LogSums sums = SumsOverOthers(input, labels, temperature_);
    const torch::Tensor weights = AnchorWeights(labels);
    if (semantics_ == CORRECTED) return Corrected(sums, weights);
    const torch::Tensor loss = Official(sums, weights);
    // The gradients become 0 too. The choice is made on the device, so that nothing waits for a
    // GPU.
    const torch::Tensor not_finite = loss.isfinite().logical_not();
    for (const torch::Tensor& logs : {sums.same, sums.different}) {
      if (!logs.requires_grad()) continue;
      logs.register_hook([not_finite](const torch::Tensor& gradient) {
        return gradient.masked_fill(not_finite, 0);
      });
    }
    return loss.masked_fill(not_finite, 0);
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
  if (semantics == OFFICIAL && std::isinf(std::exp(static_cast<float>(1 / temperature)))) {
    return absl::InvalidArgumentError(absl::StrCat(
        options_name, ": temperature = ", temperature,
        " with semantics = OFFICIAL overflows float32, and the loss would always be 0; "
        "must be above 0.0113, or semantics CORRECTED"));
  }
  return std::make_unique<ConfidenceContrastive>(temperature, semantics, std::move(views));
}

}  // namespace cmerc
