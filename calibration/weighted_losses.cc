#include "calibration/weighted_losses.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
      if (std::find(views.begin(), views.end(), view) == views.end()) views.push_back(view);
    }
  }
  return views;
}

}  // namespace cmerc
