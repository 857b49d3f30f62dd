// Cross entropy with label smoothing and class weights.
//
//   loss = sum_i [ (1 - epsilon) w[y_i] * -log p_i[y_i] + epsilon / C sum_c w[c] * -log p_i[c] ]
//          / sum_i w[y_i]
//
// log_probs [N, C], labels [N], w [C] -> []. Reads no views and no features. The weights are those
// of losses/class_weights.proto. The formula is that of PyTorch's CrossEntropyLoss.
// Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (CVPR 2016),
// section 7.
//
//   loss { [type.googleapis.com/cmerc.LabelSmoothingOptions] { epsilon: 0.05 } }
#include <memory>
#include <utility>
#include <vector>

#include "core/loss.h"
#include "core/status.h"
#include "losses/class_weights.h"
#include "losses/label_smoothing.pb.h"

namespace cmerc {
namespace {

class LabelSmoothing final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const LabelSmoothingOptions& options,
                                                      const DatasetInfo& info) {
    ASSIGN_OR_RETURN(torch::Tensor weights,
                     MakeClassWeights(options.GetTypeName(), options.class_weights(),
                                      options.weight(), options.beta(), info));
    return std::make_unique<LabelSmoothing>(options.epsilon(), std::move(weights));
  }

  // weights: [C] float64, or undefined for none.
  LabelSmoothing(double epsilon, torch::Tensor weights)
      : epsilon_(epsilon), weights_(std::move(weights)) {}

  std::vector<double> class_weights() const override { return WeightsOf(weights_); }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    const torch::Tensor& log_probs = input.full.log_probs;
    const torch::Tensor weights = WeightsLike(weights_, log_probs);
    const torch::Tensor of_labels = torch::nll_loss(log_probs, input.labels, weights);
    // Below, 0 times the logarithm of a probability of 0 would be NaN.
    if (epsilon_ == 0) return of_labels;
    const torch::Tensor of_all =
        weights.defined() ? -log_probs.mv(weights).sum() /
                                (log_probs.size(1) * weights.index_select(0, input.labels).sum())
                          : -log_probs.mean();
    return (1 - epsilon_) * of_labels + epsilon_ * of_all;
  }

  const double epsilon_;
  const torch::Tensor weights_;
};

const Registered<LabelSmoothingOptions> kRegistered(Losses(), LabelSmoothing::Create);

}  // namespace
}  // namespace cmerc
