// Predictions of a batch without each source of evidence.
#ifndef CMERC_CALIBRATION_PREDICT_VIEWS_H_
#define CMERC_CALIBRATION_PREDICT_VIEWS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/batch.h"
#include "core/loss.h"

namespace cmerc {

// Predicts `views` of a batch with `backbone` in evaluation mode, and leaves it in the mode it was.
// Returns one prediction for each view, in their order. The views name modalities of the batch.
// Errors are those of Backbone::ForwardAll(): InvalidArgument where the batch does not fit the
// backbone, ResourceExhausted or Internal where LibTorch throws or the answer has the wrong shape.
absl::StatusOr<std::vector<ViewPrediction>> PredictViews(Backbone& backbone, const Batch& batch,
                                                         const std::vector<View>& views,
                                                         const CalibrationConfig& config,
                                                         bool with_gradient);

// Predicts a batch in full and without each of `views`, in evaluation mode and without gradient;
// leaves `backbone` in the mode it was. Errors are those of PredictViews().
absl::StatusOr<LossInput> PredictFullAndViews(Backbone& backbone, const Batch& batch,
                                              const std::vector<View>& views,
                                              const CalibrationConfig& config);

// Predicts a batch in full as backbone.Forward() does, in training mode and with gradient, and then
// without each of `views` in pairs with that: with its dropout masks and the statistics of its
// batch (CalibrationConfig.LIVE_PAIRED). The random numbers that come next and the running
// statistics are those that the full prediction alone leaves. Errors are those of
// Backbone::Forward().
absl::StatusOr<LossInput> PredictPaired(Backbone& backbone, const Batch& batch,
                                        const std::vector<View>& views,
                                        const CalibrationConfig& config);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PREDICT_VIEWS_H_
