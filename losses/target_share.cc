// Dual ascent on one weight for each view: the loss that brings the share of utterances surer of
// the truth without a source of evidence to a target, for each source as much of it as that takes.
//
//   loss    = sum_v lambda_v loss_v
//   share_v = |{i in S: log p_i^v[y_i] > log p_i[y_i]}| / |S|
//   after a step that was taken: lambda_v = clamp(lambda_v + step_size (share_v - target),
//                                                 0, max_weight)
//
// log_probs and each view's log_probs [N, C], labels [N] -> []; loss_v is the wrapped loss of the
// view v alone, S the labelled utterances of the step whose full prediction is right, or all of
// them. A step without any in S leaves the weights as they are. There is no mean over steps beside:
// the weight is a sum over them already, and a mean would only let it lag behind. What the share is
// taken of is what the step predicted: with LIVE_PAIRED the same dropout masks in both, with other
// views the full prediction in training mode against views in evaluation mode, whose share is
// larger than that of evaluation.
// The sum over views is not divided by their number: with weights of 1 it is Mscl, Cscl and a
// CalibrationRanking of SUM as they are, and V times the losses that are means over V views.
// Source: Lagrange multipliers that ascend while the model descends (Platt and Barr, NIPS 1987).
// The share has no gradient, so the wrapped loss stands for it in the descent and the share itself
// moves the multipliers (Cotter, Jiang and Sridharan, ALT 2019).
//
//   loss { [type.googleapis.com/cmerc.TargetShareOptions] {
//     target: 0.05
//     loss { [type.googleapis.com/cmerc.ShrunkDistillationOptions] { shrinkage: 0.3 } } } }
#include <google/protobuf/any.pb.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/confidence.h"
#include "core/loss.h"
#include "core/status.h"
#include "core/to_device.h"
#include "losses/calibration_ranking.pb.h"
#include "losses/target_share.pb.h"

namespace cmerc {
namespace {

// The wrapped loss of one view.
struct WeighedView {
  View view;
  std::unique_ptr<Loss> loss;
};

// The options of the wrapped loss.
google::protobuf::Any WrappedOptions(const TargetShareOptions& options) {
  if (options.has_loss()) return options.loss();
  CalibrationRankingOptions ranking;
  ranking.set_reduction(CalibrationRankingOptions::MEAN);
  google::protobuf::Any any;
  any.PackFrom(ranking);
  return any;
}

// The loss of `wrapped` for each of its views. InvalidArgument: it cannot be made, or not be taken
// apart, or what remembers something is wrapped.
absl::StatusOr<std::vector<WeighedView>> TakeApart(const google::protobuf::Any& wrapped,
                                                   const std::string& type,
                                                   const DatasetInfo& info) {
  const std::string field = absl::StrCat(type, ": loss");
  const absl::Status unfit = absl::InvalidArgumentError(
      absl::StrCat(field, " = ", PluginType(wrapped),
                   " cannot be weighted view by view; wrap a loss that compares views, such as "
                   "CalibrationRankingOptions or ShrunkDistillationOptions"));
  // Before it is made: a wrapper in a wrapper in a wrapper ... has no end.
  if (PluginType(wrapped) == type) return unfit;
  ASSIGN_OR_RETURN(const std::unique_ptr<Loss> whole,
                   Annotate(Losses().Create(wrapped, info), field));
  if (whole->views().empty()) return unfit;
  std::vector<WeighedView> views;
  for (const View& view : whole->views()) {
    views.push_back({view, whole->OfView(view)});
    if (views.back().loss == nullptr || !views.back().loss->State().empty()) return unfit;
  }
  return views;
}

class TargetShare final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const TargetShareOptions& options,
                                                      const DatasetInfo& info) {
    if (options.initial_weight() > options.max_weight()) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.GetTypeName(), ": initial_weight = ", options.initial_weight(),
                       ", must be <= max_weight = ", options.max_weight()));
    }
    ASSIGN_OR_RETURN(std::vector<WeighedView> views,
                     TakeApart(WrappedOptions(options), options.GetTypeName(), info));
    return std::make_unique<TargetShare>(options, std::move(views));
  }

  TargetShare(TargetShareOptions options, std::vector<WeighedView> views)
      : options_(std::move(options)),
        views_(std::move(views)),
        weights_(torch::full({static_cast<int64_t>(views_.size())}, options_.initial_weight(),
                             torch::kFloat64)) {}

  std::vector<View> views() const override {
    std::vector<View> views;
    for (const WeighedView& entry : views_) views.push_back(entry.view);
    return views;
  }
  bool teaches_views() const override { return views_[0].loss->teaches_views(); }
  std::map<std::string, torch::Tensor> State() const override {
    std::map<std::string, torch::Tensor> state;
    for (size_t v = 0; v < views_.size(); ++v) {
      state.emplace(absl::StrCat("weight/", views_[v].view.name()),
                    weights_[static_cast<int64_t>(v)]);
    }
    return state;
  }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    const torch::Tensor& full = input.full.log_probs;
    const torch::Tensor weights = ToDevice(weights_, full.device()).to(full.scalar_type());
    torch::Tensor sum;
    for (size_t v = 0; v < views_.size(); ++v) {
      const absl::StatusOr<torch::Tensor> of_view = views_[v].loss->Compute(input);
      TORCH_CHECK_VALUE(of_view.ok(), of_view.status().message());
      const torch::Tensor weighted = weights[static_cast<int64_t>(v)] * *of_view;
      sum = sum.defined() ? sum + weighted : weighted;
    }
    return sum;
  }

  // On the device of the predictions, so that nothing waits for a GPU.
  void AfterStepImpl(const LossInput& input) override {
    const torch::Tensor& log_probs = input.full.log_probs;
    const torch::Tensor full = TrueClassLogProbs(log_probs, input.labels);
    const bool right = options_.utterances() == TargetShareOptions::RIGHT;
    const torch::Tensor counted =
        right ? log_probs.argmax(1) == input.labels : torch::ones_like(input.labels, torch::kBool);
    std::vector<torch::Tensor> surer;
    for (const WeighedView& entry : views_) {
      const torch::Tensor without = TrueClassLogProbs(input.at(entry.view).log_probs, input.labels);
      surer.push_back((without > full).logical_and(counted).sum());
    }
    const torch::Tensor total = counted.sum();
    const torch::Tensor share = torch::stack(surer).to(torch::kFloat64) / total;
    const torch::Tensor weights = ToDevice(weights_, log_probs.device());
    const torch::Tensor moved = (weights + options_.step_size() * (share - options_.target()))
                                    .clamp(0, options_.max_weight());
    weights_ = torch::where(total > 0, moved, weights);
  }

  const TargetShareOptions options_;
  const std::vector<WeighedView> views_;
  torch::Tensor weights_;  // [V] float64
};

const Registered<TargetShareOptions> kRegistered(Losses(), TargetShare::Create);

}  // namespace
}  // namespace cmerc
