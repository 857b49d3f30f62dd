// Confidence calibration by ranking: a penalty wherever the model is surer of the true emotion with
// one source of evidence removed than with all of it.
//
//   loss = sum_i sum_v max(0, log p_i^v[y_i] - log p_i[y_i])
//
// log_probs and each view's log_probs [N, C], labels [N] -> []. A sum, not a mean: its weight in a
// config depends on the batch size, unless the options say MEAN (over all N utterances and V
// views). Where both are equal, the gradient of log p_i[y_i] is -1 (and that of the view's +1, if
// the view has a gradient).
// Source: CMERC (MM '24), the calibration loss over modalities and context; official train_cm.py,
// "rank loss, indicate cf", whose condition is `<=`. The gate and the side without gradient: Ma et
// al., "Calibrating Multimodal Learning" (ICML '23), whose code ranks in both directions where the
// larger set of evidence is right.
//
//   loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] { views: "text" views: "audio" } }
#include <memory>
#include <utility>
#include <vector>

#include "core/confidence.h"
#include "core/loss.h"
#include "core/status.h"
#include "losses/calibration_ranking.pb.h"
#include "losses/named_views.h"

namespace cmerc {
namespace {

class CalibrationRanking final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const CalibrationRankingOptions& options,
                                                      const DatasetInfo& info) {
    ASSIGN_OR_RETURN(std::vector<View> views,
                     NamedViews(options.GetTypeName(), options.views(), info));
    return std::make_unique<CalibrationRanking>(options, std::move(views));
  }

  CalibrationRanking(CalibrationRankingOptions options, std::vector<View> views)
      : options_(std::move(options)), views_(std::move(views)) {}

  std::vector<View> views() const override { return views_; }
  bool teaches_views() const override {
    return options_.stop_gradient() == CalibrationRankingOptions::FULL;
  }
  std::unique_ptr<Loss> OfView(const View& view) const override {
    return std::make_unique<CalibrationRanking>(options_, std::vector<View>{view});
  }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    std::vector<torch::Tensor> of_views;
    for (const View& view : views_) {
      of_views.push_back(TrueClassLogProbs(input.at(view).log_probs, input.labels));
    }
    torch::Tensor views = torch::stack(of_views);
    torch::Tensor full = TrueClassLogProbs(input.full.log_probs, input.labels);
    if (options_.stop_gradient() == CalibrationRankingOptions::FULL) full = full.detach();
    if (options_.stop_gradient() == CalibrationRankingOptions::VIEWS) views = views.detach();
    // Not relu(), whose gradient at a tie is 0; clamp_min() passes it on.
    torch::Tensor excess = (views - full).clamp_min(0);
    if (options_.gate() == CalibrationRankingOptions::FULL_IS_RIGHT) {
      const torch::Tensor wrong = input.full.log_probs.argmax(1) != input.labels;
      excess = excess.masked_fill(wrong, 0);
    }
    return options_.reduction() == CalibrationRankingOptions::MEAN ? excess.mean() : excess.sum();
  }

  const CalibrationRankingOptions options_;
  const std::vector<View> views_;
};

const Registered<CalibrationRankingOptions> kRegistered(Losses(), CalibrationRanking::Create);

}  // namespace
}  // namespace cmerc
