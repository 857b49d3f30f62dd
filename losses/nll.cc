// Negative log-likelihood with class weights: the usual loss of a classifier.
//
//   loss = sum_i w[y_i] * -log p_i[y_i] / sum_i w[y_i]
//
// log_probs [N, C], labels [N], w [C] -> []. Reads no views and no features. The weights are those
// of losses/class_weights.proto.
// Source: official train_cm.py, `loss_function = nn.NLLLoss(loss_weights)` (IEMOCAP).
//
//   loss { [type.googleapis.com/cmerc.NllOptions] { class_weights: INVERSE_FREQUENCY } }
#include <memory>
#include <utility>
#include <vector>

#include "core/loss.h"
#include "core/status.h"
#include "losses/class_weights.h"
#include "losses/nll.pb.h"

namespace cmerc {
namespace {

class Nll final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const NllOptions& options,
                                                      const DatasetInfo& info) {
    ASSIGN_OR_RETURN(torch::Tensor weights,
                     MakeClassWeights(options.GetTypeName(), options.class_weights(),
                                      options.weight(), options.beta(), info));
    return std::make_unique<Nll>(std::move(weights));
  }

  // weights: [C] float64, or undefined for none.
  explicit Nll(torch::Tensor weights) : weights_(std::move(weights)) {}

  std::vector<double> class_weights() const override { return WeightsOf(weights_); }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    return torch::nll_loss(input.full.log_probs, input.labels,
                           WeightsLike(weights_, input.full.log_probs));
  }

  const torch::Tensor weights_;
};

const Registered<NllOptions> kRegistered(Losses(), Nll::Create);

}  // namespace
}  // namespace cmerc
