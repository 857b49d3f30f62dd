// What the model and its snapshot predict in a step.
#ifndef CMERC_TRAINING_STEP_PREDICTIONS_H_
#define CMERC_TRAINING_STEP_PREDICTIONS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/batch.h"
#include "core/loss.h"
#include "core/view.h"
#include "training/step_context.h"

namespace cmerc {

// The views that the step predicts.
std::vector<View> ViewsOfStep(const StepContext& context);

// The predictions of all utterances, in full and of these views, in float32. Errors are those of
// Backbone::Forward() and PredictViews().
absl::StatusOr<LossInput> PredictAll(const StepContext& context, const Batch& batch);

}  // namespace cmerc

#endif  // CMERC_TRAINING_STEP_PREDICTIONS_H_
