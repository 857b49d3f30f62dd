#include "calibration/weighted_losses.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/random_removal.h"
#include "core/status.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

// InvalidArgument: a loss teaches the views of a config that predicts them without gradient.
absl::Status CheckViewGradient(const std::vector<WeightedLoss>& losses,
                               const CalibrationConfig& config) {
  if (config.view_weights() == CalibrationConfig::LIVE_WITH_GRADIENT ||
      config.view_weights() == CalibrationConfig::LIVE_PAIRED) {
    return absl::OkStatus();
  }
  for (const WeightedLoss& entry : losses) {
    if (!entry.loss->teaches_views()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "calibration.view_weights = ", CalibrationConfig::Weights_Name(config.view_weights()), ": ",
        entry.name,
        " teaches the predictions without a source of evidence, which have no gradient then; set "
        "calibration { view_weights: LIVE_PAIRED }"));
  }
  return absl::OkStatus();
}

// InvalidArgument: only some views are predicted in a step, and a loss needs all of its own.
absl::Status CheckViewsPerStep(const std::vector<WeightedLoss>& losses,
                               const CalibrationConfig& config) {
  if (config.views_per_step() == 0) return absl::OkStatus();
  for (const WeightedLoss& entry : losses) {
    if (CanDrawViews(*entry.loss)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("calibration.views_per_step = ", config.views_per_step(), ": ", entry.name,
                     " cannot be computed from some of its views; leave one of the two out"));
  }
  return absl::OkStatus();
}

bool Contains(const std::vector<View>& views, const View& view) {
  return std::find(views.begin(), views.end(), view) != views.end();
}

}  // namespace

absl::StatusOr<std::vector<WeightedLoss>> MakeLosses(const RunConfig& config,
                                                     const DatasetInfo& info) {
  std::vector<WeightedLoss> losses;
  std::vector<std::string> problems;
  bool learns_task = false;
  for (int i = 0; i < config.losses_size(); ++i) {
    const LossConfig& entry = config.losses(i);
    absl::StatusOr<std::unique_ptr<Loss>> loss = Losses().Create(entry.loss(), info);
    if (!loss.ok()) {
      problems.push_back(absl::StrCat("losses[", i, "]: ", loss.status().message()));
      continue;
    }
    if (entry.weight() == 0) continue;
    learns_task = learns_task || ((*loss)->views().empty() && entry.warm_up_epochs() == 0);
    losses.push_back(
        {PluginType(entry.loss()), entry.weight(), *std::move(loss), entry.warm_up_epochs()});
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  if (!learns_task) {
    return absl::InvalidArgumentError(
        "losses: none with a weight above 0 does without views and a warm-up, so nothing would "
        "learn "
        "the emotions; add one, for example losses { loss { "
        "[type.googleapis.com/cmerc.NllOptions] {} } }");
  }
  RETURN_IF_ERROR(CheckViewGradient(losses, config.calibration()));
  RETURN_IF_ERROR(CheckViewsPerStep(losses, config.calibration()));
  return losses;
}

double WeightedLoss::WeightIn(int epoch) const {
  return epoch > warm_up_epochs ? weight : weight * (epoch - 1) / warm_up_epochs;
}

std::vector<View> ViewsOf(const std::vector<WeightedLoss>& losses) {
  return ViewsOf(losses, std::numeric_limits<int>::max());
}

std::vector<View> ViewsOf(const std::vector<WeightedLoss>& losses, int epoch) {
  std::vector<View> views;
  for (const WeightedLoss& entry : losses) {
    if (entry.WeightIn(epoch) == 0) continue;
    for (const View& view : entry.loss->views()) {
      if (!Contains(views, view)) views.push_back(view);
    }
  }
  return views;
}

bool CanDrawViews(const Loss& loss) {
  const std::vector<View> views = loss.views();
  return std::all_of(views.begin(), views.end(), [&](const View& view) {
    return loss.OfView(view) != nullptr && loss.State().empty();
  });
}

std::vector<View> DrawViews(std::vector<View> views, int count, std::mt19937& random) {
  if (count == 0 || static_cast<size_t>(count) >= views.size()) return views;
  // Each is passed over with the probability that leaves all choices of `count` as likely.
  auto to_draw = static_cast<double>(count);
  auto left = static_cast<double>(views.size());
  const auto passed_over = [&](const View& /*view*/) {
    if (to_draw >= left) return false;
    const bool drawn = DrawFraction(random) * left-- < to_draw;
    if (drawn) --to_draw;
    return !drawn;
  };
  std::vector<View> drawn;
  std::remove_copy_if(views.begin(), views.end(), std::back_inserter(drawn), passed_over);
  return drawn;
}

absl::StatusOr<torch::Tensor> LossOfDrawn(const Loss& loss, const std::vector<View>& drawn,
                                          const LossInput& input) {
  const std::vector<View> views = loss.views();
  const auto is_drawn = [&](const View& view) { return Contains(drawn, view); };
  if (std::all_of(views.begin(), views.end(), is_drawn)) return loss.Compute(input);
  torch::Tensor sum;
  int64_t count = 0;
  for (const View& view : views) {
    if (!is_drawn(view)) continue;
    ASSIGN_OR_RETURN(const torch::Tensor of_view, loss.OfView(view)->Compute(input));
    sum = sum.defined() ? sum + of_view : of_view;
    ++count;
  }
  return count == 0 ? sum : sum / count;
}

}  // namespace cmerc
