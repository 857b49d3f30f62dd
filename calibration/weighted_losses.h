// The losses that a config asks for, each with its weight.
#ifndef CMERC_CALIBRATION_WEIGHTED_LOSSES_H_
#define CMERC_CALIBRATION_WEIGHTED_LOSSES_H_

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/run.pb.h"
#include "core/loss.h"

namespace cmerc {

struct WeightedLoss {
  std::string name;  // its options type, "cmerc.NllOptions"
  double weight = 1;
  std::unique_ptr<Loss> loss;
  int warm_up_epochs = 0;

  // The weight in an epoch, which are counted from 1: it has grown for epoch - 1 of the
  // warm_up_epochs.
  double WeightIn(int epoch) const;
};

// The losses of a config whose weight is not 0, in its order. InvalidArgument: a loss refused its
// options (all such errors at once, a line each), every loss needs views or warms up, so that
// nothing learns the task from the first epoch on, a loss teaches views that
// calibration.view_weights predicts without gradient, or cannot be taken apart into its views, as
// calibration.views_per_step does.
absl::StatusOr<std::vector<WeightedLoss>> MakeLosses(const RunConfig& config,
                                                     const DatasetInfo& info);

// The views that at least one loss asks for, each once.
std::vector<View> ViewsOf(const std::vector<WeightedLoss>& losses);

// The same of the losses that have a weight in this epoch.
std::vector<View> ViewsOf(const std::vector<WeightedLoss>& losses, int epoch);

// Whether LossOfDrawn() can compute it from some of its views: each has a loss of its own, and
// nothing is remembered from step to step.
bool CanDrawViews(const Loss& loss);

// `count` of these views (CalibrationConfig.views_per_step), each as likely as any other, in the
// order they had; all of them where count is 0 or not below their number, and then nothing is
// drawn.
std::vector<View> DrawViews(std::vector<View> views, int count, std::mt19937& random);

// The loss of a step that predicted `drawn`, some of the views that losses ask for: that of all its
// views where they are there, and else the mean, over those of its views that are, of the loss of
// one alone; undefined where none is. Errors are those of Loss::Compute().
absl::StatusOr<torch::Tensor> LossOfDrawn(const Loss& loss, const std::vector<View>& drawn,
                                          const LossInput& input);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_WEIGHTED_LOSSES_H_
