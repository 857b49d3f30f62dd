// What a validation split says of a trained model, and what the test split then shows of that.
#ifndef CMERC_CALIBRATION_HELD_OUT_H_
#define CMERC_CALIBRATION_HELD_OUT_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "calibration/evaluation.h"
#include "calibration/post_hoc.h"
#include "core/dataset.h"
#include "metrics/conformal.h"
#include "metrics/report.pb.h"

namespace cmerc {

struct HeldOut {
  std::vector<Remedy> remedies;       // none that is withheld
  std::optional<double> temperature;  // of the remedy with this name
  SetCalibration sets;
};

// Of the predictions of a validation split, whose scores `summary` has as `valid`; adds a warning
// to it for each remedy that is withheld. Errors: those of FitRemedies() and CalibrateSets().
absl::StatusOr<HeldOut> FitHeldOut(const SplitPredictions& valid, const DatasetInfo& info,
                                   RunSummary* summary);

// Adds to the scores of a test split post_hoc, each remedy, and sets, prediction sets of this
// coverage by every method. Errors: those of ScoreRemedy().
absl::Status ScoreHeldOut(const HeldOut& held_out, const SplitPredictions& test,
                          const DatasetInfo& info, double coverage, SplitReport* report);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_HELD_OUT_H_
