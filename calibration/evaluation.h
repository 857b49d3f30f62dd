// Scores of a model on a split.
#ifndef CMERC_CALIBRATION_EVALUATION_H_
#define CMERC_CALIBRATION_EVALUATION_H_

#include <vector>

#include "absl/status/statusor.h"
#include "calibration/prepared_data.h"
#include "calibration/train_step.h"
#include "config/experiment.pb.h"
#include "core/backbone.h"
#include "metrics/report.pb.h"

namespace cmerc {

// Predicts the conversations at `indices` (not empty), `training.batch_size` at a time in that
// order, in evaluation mode and without gradient; leaves `backbone` in evaluation mode. The loss is
// that of the members of `losses` that need no views. `views`: also report how confidence changes
// in each of them. Internal: a loss that is not finite, by name.
absl::StatusOr<SplitReport> Evaluate(Backbone& backbone, const PreparedData& data,
                                     const std::vector<int64_t>& indices,
                                     const std::vector<WeightedLoss>& losses,
                                     const ExperimentConfig& config,
                                     const std::vector<View>& views = {});

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_EVALUATION_H_
