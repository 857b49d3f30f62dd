// Focal loss, in the form of its paper or in that of the official CMERC code.
//
//   FOCAL                 loss = 1/N sum_i (1 - p_i[y_i])^gamma * -log p_i[y_i]
//   OFFICIAL_ALL_CLASSES  q = log_softmax(log p),
//                         loss = 1/(N C) sum_i [ (1 - q_i[y_i])^gamma * -q_i[y_i]
//                                                + sum_{c != y_i} -q_i[c] ]
//
// log_probs [N, C], labels [N] -> []. Reads no views and no features.
// Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), eq. 4; official model_cm.py,
// class FocalLoss (MELD).
//
//   loss { [type.googleapis.com/cmerc.FocalOptions] { gamma: 2 } }
#include <memory>

#include "core/confidence.h"
#include "core/loss.h"
#include "losses/focal.pb.h"

namespace cmerc {
namespace {

class Focal final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const FocalOptions& options,
                                                      const DatasetInfo& /*info*/) {
    return std::make_unique<Focal>(options.gamma(), options.form());
  }

  Focal(double gamma, FocalOptions::Form form) : gamma_(gamma), form_(form) {}

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    if (form_ == FocalOptions::OFFICIAL_ALL_CLASSES) return OfficialAllClasses(input);
    const torch::Tensor true_log_probs = TrueClassLogProbs(input.full.log_probs, input.labels);
    // Clamped, because at p = 1 the slope of the power is infinite for gamma < 1 and would meet
    // the factor log p = 0: NaN.
    const torch::Tensor miss = (-true_log_probs.expm1()).clamp_min(1e-12);
    return -(miss.pow(gamma_) * true_log_probs).mean();
  }

  torch::Tensor OfficialAllClasses(const LossInput& input) const {
    const torch::Tensor log_probs = input.full.log_probs.log_softmax(1);
    const torch::Tensor true_log_probs = TrueClassLogProbs(log_probs, input.labels);
    // Every class once, and of the true class what its factor adds to that.
    const torch::Tensor extra = ((1 - true_log_probs).pow(gamma_) - 1) * true_log_probs;
    return -(log_probs.sum() + extra.sum()) / log_probs.numel();
  }

  const double gamma_;
  const FocalOptions::Form form_;
};

const Registered<FocalOptions> kRegistered(Losses(), Focal::Create);

}  // namespace
}  // namespace cmerc
