// What is measured and written once training has ended.
#ifndef CMERC_TRAINING_OUTCOME_H_
#define CMERC_TRAINING_OUTCOME_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/prepared_data.h"
#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "metrics/conformal.pb.h"
#include "metrics/report.pb.h"

namespace cmerc {

// The coverage of the prediction sets that a run reports of its test split; `cmerc evaluate --sets`
// scores those of any other.
inline constexpr double kReportedCoverage = 0.9;

// What the validation split says of the selected model, for its checkpoint.
struct Outcome {
  std::optional<double> temperature;   // absent where there is none or it is withheld
  std::optional<SetCalibration> sets;  // absent without a validation split
};

// Scores the selected model: fills train, valid and test of `summary`, the test split with all
// views. Under a protocol with a validation split also test.post_hoc, the remedies fitted on that
// split, a warning for each that is withheld, test.sets, prediction sets of every method, and what
// scaling the views would do.
// Writes `folder`/test_predictions.jsonl, a PredictedConversation a line, in the order of the
// split: what `cmerc predict` says of it; and test_views.jsonl, a ConversationViews a line. An
// utterance without a label is in both, without a truth, and in no score. Without a test split
// there is neither file nor `test`, and a warning says so. Errors: those of Evaluate(),
// FitHeldOut() and ScoreHeldOut(); Unavailable: a file cannot be written.
absl::StatusOr<Outcome> MeasureOutcome(Backbone& selected, const PreparedData& data,
                                       const std::vector<WeightedLoss>& losses,
                                       const RunConfig& config, const std::string& folder,
                                       RunSummary* summary);

}  // namespace cmerc

#endif  // CMERC_TRAINING_OUTCOME_H_
