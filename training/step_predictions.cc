#include "training/step_predictions.h"

#include <utility>

#include "calibration/predict_views.h"
#include "calibration/weighted_losses.h"
#include "core/status.h"
#include "profile/scope.h"
#include "training/autocast.h"

namespace cmerc {
namespace {

absl::StatusOr<Prediction> PredictInFull(const StepContext& context, const Batch& batch) {
  const ProfileScope scope("full prediction");
  const Autocast autocast(context.training.precision(), batch.labels.device());
  return context.live.Forward(batch);
}

absl::StatusOr<std::vector<ViewPrediction>> PredictViewsOfLosses(const StepContext& context,
                                                                 const Batch& batch) {
  const ProfileScope scope("predictions of views");
  const Autocast autocast(context.training.precision(), batch.labels.device());
  return PredictViews(context.for_views, batch, ViewsOfStep(context), context.calibration,
                      context.calibration.view_weights() == CalibrationConfig::LIVE_WITH_GRADIENT);
}

absl::StatusOr<LossInput> PredictInPairs(const StepContext& context, const Batch& batch) {
  const ProfileScope scope("full prediction and views");
  const Autocast autocast(context.training.precision(), batch.labels.device());
  ASSIGN_OR_RETURN(LossInput input,
                   PredictPaired(context.live, batch, ViewsOfStep(context), context.calibration));
  input.full = ToFloat32(input.full);
  for (ViewPrediction& view : input.views) view.prediction = ToFloat32(view.prediction);
  return input;
}

}  // namespace

std::vector<View> ViewsOfStep(const StepContext& context) {
  return context.drawn != nullptr ? *context.drawn : ViewsOf(context.losses, context.epoch);
}

absl::StatusOr<LossInput> PredictAll(const StepContext& context, const Batch& batch) {
  if (context.calibration.view_weights() == CalibrationConfig::LIVE_PAIRED) {
    return PredictInPairs(context, batch);
  }
  ASSIGN_OR_RETURN(const Prediction full, PredictInFull(context, batch));
  ASSIGN_OR_RETURN(std::vector<ViewPrediction> views, PredictViewsOfLosses(context, batch));
  for (ViewPrediction& view : views) view.prediction = ToFloat32(view.prediction);
  return LossInput{ToFloat32(full), std::move(views), batch.labels};
}

}  // namespace cmerc
