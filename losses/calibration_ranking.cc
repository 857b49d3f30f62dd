// Confidence calibration by ranking: a penalty wherever the model is surer of the true emotion with
// one source of evidence removed than with all of it.
//
//   loss = sum_i sum_v max(0, log p_i^v[y_i] - log p_i[y_i])
//
// log_probs and each view's log_probs [N, C], labels [N] -> []. A sum, not a mean: its weight in a
// config depends on the batch size. Where both are equal, the gradient of log p_i[y_i] is -1 (and
// that of the view's +1, if the view has a gradient).
// Source: CMERC (MM '24), the calibration loss over modalities and context; official train_cm.py,
// "rank loss, indicate cf", whose condition is `<=`.
//
//   loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] { views: "text" views: "audio" } }
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/confidence.h"
#include "core/loss.h"
#include "losses/calibration_ranking.pb.h"

namespace cmerc {
namespace {

class CalibrationRanking final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const CalibrationRankingOptions& options,
                                                      const DatasetInfo& info) {
    std::vector<View> all = AllViews(info);
    if (options.views().empty()) return std::make_unique<CalibrationRanking>(std::move(all));
    std::vector<View> views;
    for (const std::string& name : options.views()) {
      const auto named = [&](const View& view) { return view.name() == name; };
      const auto found = std::find_if(all.begin(), all.end(), named);
      if (found == all.end()) {
        const auto append_name = [](std::string* out, const View& view) { *out += view.name(); };
        return absl::InvalidArgumentError(
            absl::StrCat("cmerc.CalibrationRankingOptions: views has \"", name,
                         "\", must be among ", absl::StrJoin(all, ", ", append_name)));
      }
      if (std::any_of(views.begin(), views.end(), named)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "cmerc.CalibrationRankingOptions: views has \"", name, "\" twice, must have it once"));
      }
      views.push_back(*found);
    }
    return std::make_unique<CalibrationRanking>(std::move(views));
  }

  explicit CalibrationRanking(std::vector<View> views) : views_(std::move(views)) {}

  std::vector<View> views() const override { return views_; }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    std::vector<torch::Tensor> of_views;
    for (const View& view : views_) {
      of_views.push_back(TrueClassLogProbs(input.at(view).log_probs, input.labels));
    }
    const torch::Tensor full = TrueClassLogProbs(input.full.log_probs, input.labels);
    // Not relu(), whose gradient at a tie is 0; clamp_min() passes it on.
    return (torch::stack(of_views) - full).clamp_min(0).sum();
  }

  const std::vector<View> views_;
};

const Registered<CalibrationRankingOptions> kRegistered(Losses(), CalibrationRanking::Create);

}  // namespace
}  // namespace cmerc
