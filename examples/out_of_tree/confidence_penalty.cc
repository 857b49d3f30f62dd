// Confidence penalty (Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output
// Distributions", ICLR 2017 workshop track, section 3.2). With N utterances and C classes:
//
//   H_i  = -sum_c p_i[c] log p_i[c]                       the entropy of prediction i
//   loss = mean_i max(0, entropy_share ln C - H_i)        []
//
//   losses { weight: 0.1 loss { [type.googleapis.com/example.ConfidencePenaltyOptions] {} } }
#include <cmath>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "confidence_penalty.pb.h"
#include "core/loss.h"

namespace example {
namespace {

class ConfidencePenalty final : public cmerc::Loss {
 public:
  static absl::StatusOr<std::unique_ptr<cmerc::Loss>> Create(
      const ConfidencePenaltyOptions& options, const cmerc::DatasetInfo& info) {
    const double share = options.entropy_share();
    if (!(share > 0 && share <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("example.ConfidencePenaltyOptions: entropy_share = ", share,
                       ", must be above 0 and at most 1"));
    }
    return std::make_unique<ConfidencePenalty>(share * std::log(info.num_classes()));
  }

  explicit ConfidencePenalty(double threshold) : threshold_(threshold) {}

 private:
  // It asks for no view (Loss::views), so that it reads the full prediction only.
  torch::Tensor ComputeImpl(const cmerc::LossInput& input) const override {
    const torch::Tensor& log_probs = input.full.log_probs;
    // A probability of 0 adds 0 to the entropy, but 0 times minus infinity would be NaN.
    const torch::Tensor finite = log_probs.clamp_min(std::numeric_limits<float>::lowest());
    const torch::Tensor entropies = -(log_probs.exp() * finite).sum(1);
    return (threshold_ - entropies).clamp_min(0).mean();
  }

  const double threshold_;
};

const cmerc::Registered<ConfidencePenaltyOptions> kRegistered(cmerc::Losses(),
                                                              ConfidencePenalty::Create);

}  // namespace
}  // namespace example
