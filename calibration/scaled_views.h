// The cheap opponent of calibrated training: the logits of the views alone, scaled by one factor
// after training. It leaves every prediction alone and makes views less sure, at the price of their
// calibration. What a method gains must be compared with it at an equal share
// (docs/metrics.md).
#ifndef CMERC_CALIBRATION_SCALED_VIEWS_H_
#define CMERC_CALIBRATION_SCALED_VIEWS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "calibration/evaluation.h"
#include "metrics/report.pb.h"

namespace cmerc {

// What factors from 1 down to 0.05, in steps of 0.05, make of the views of the labelled utterances
// of a validation and a test split, which were predicted with the same views, one or more. Empty
// where a split has no utterance that is predicted right, or wrong. Errors: those of
// MeasureEvidence() and MeasureCalibration().
absl::StatusOr<std::vector<ScaledViewsReport>> MeasureScaledViews(const SplitPredictions& valid,
                                                                  const SplitPredictions& test,
                                                                  int64_t num_classes);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_SCALED_VIEWS_H_
