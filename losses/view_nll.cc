// Cross entropy on every view, so that what is left of the evidence is used as well as it can be.
//
//   loss = 1/V sum_v sum_i w[y_i] * -log p_i^v[y_i] / sum_i w[y_i]
//
// Each view's log_probs [N, C], labels [N], w [C] -> []. Does not look at the full prediction. The
// weights are those of losses/class_weights.proto.
// Source: Ma et al., "Calibrating Multimodal Learning" (ICML '23), whose code adds the
// cross entropy of every subset of the modalities.
//
//   loss { [type.googleapis.com/cmerc.ViewNllOptions] { views: "text" } }
#include <memory>
#include <utility>
#include <vector>

#include "core/loss.h"
#include "core/status.h"
#include "losses/class_weights.h"
#include "losses/named_views.h"
#include "losses/view_nll.pb.h"

namespace cmerc {
namespace {

class ViewNll final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const ViewNllOptions& options,
                                                      const DatasetInfo& info) {
    ASSIGN_OR_RETURN(std::vector<View> views,
                     NamedViews(options.GetTypeName(), options.views(), info));
    ASSIGN_OR_RETURN(torch::Tensor weights,
                     MakeClassWeights(options.GetTypeName(), options.class_weights(),
                                      options.weight(), options.beta(), info));
    return std::make_unique<ViewNll>(std::move(views), std::move(weights));
  }

  // weights: [C] float64, or undefined for none.
  ViewNll(std::vector<View> views, torch::Tensor weights)
      : views_(std::move(views)), weights_(std::move(weights)) {}

  std::vector<View> views() const override { return views_; }
  bool teaches_views() const override { return true; }
  std::unique_ptr<Loss> OfView(const View& view) const override {
    return std::make_unique<ViewNll>(std::vector<View>{view}, weights_);
  }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    std::vector<torch::Tensor> of_views;
    for (const View& view : views_) {
      const torch::Tensor& log_probs = input.at(view).log_probs;
      of_views.push_back(
          torch::nll_loss(log_probs, input.labels, WeightsLike(weights_, log_probs)));
    }
    return torch::stack(of_views).mean();
  }

  const std::vector<View> views_;
  const torch::Tensor weights_;
};

const Registered<ViewNllOptions> kRegistered(Losses(), ViewNll::Create);

}  // namespace
}  // namespace cmerc
