#include "calibration/weighted_losses.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "registry/registry.h"

namespace cmerc {

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
    learns_task = learns_task || (*loss)->views().empty();
    losses.push_back({PluginType(entry.loss()), entry.weight(), *std::move(loss)});
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  if (!learns_task) {
    return absl::InvalidArgumentError(
        "losses: none with a weight above 0 does without views, so nothing would learn the "
        "emotions; add one, for example losses { loss { "
        "[type.googleapis.com/cmerc.NllOptions] {} } }");
  }
  return losses;
}

std::vector<View> ViewsOf(const std::vector<WeightedLoss>& losses) {
  std::vector<View> views;
  for (const WeightedLoss& entry : losses) {
    for (const View& view : entry.loss->views()) {
      if (std::find(views.begin(), views.end(), view) == views.end()) views.push_back(view);
    }
  }
  return views;
}

}  // namespace cmerc
