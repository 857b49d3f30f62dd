// Scores of a model on a split.
#ifndef CMERC_CALIBRATION_EVALUATION_H_
#define CMERC_CALIBRATION_EVALUATION_H_

#include <vector>

#include "absl/status/statusor.h"
#include "calibration/post_hoc.h"
#include "calibration/prepared_data.h"
#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "metrics/report.pb.h"

namespace cmerc {

// What a model says of the N utterances of a split, conversation by conversation.
struct SplitPredictions {
  int64_t conversations = 0;
  std::vector<int64_t> labels;    // [N]
  std::vector<double> log_probs;  // [N * C], float32 values
  std::vector<View> views;
  std::vector<std::vector<double>> view_log_probs;  // one [N * C] per view
  double loss = 0;                                  // as SplitReport.loss
};

// Predicts the conversations at `indices` (not empty), `training.batch_size` at a time in that
// order, in evaluation mode and without gradient; leaves `backbone` in evaluation mode. The loss is
// that of the members of `losses` that need no views. Internal: a loss that is not finite, with the
// conversations and the first tensor that is not.
absl::StatusOr<SplitPredictions> PredictSplit(Backbone& backbone, const PreparedData& data,
                                              const std::vector<int64_t>& indices,
                                              const std::vector<WeightedLoss>& losses,
                                              const RunConfig& config,
                                              const std::vector<View>& views = {});

// Everything but post_hoc; of the views that were predicted, how confidence changes in each.
// Internal: predictions that are not log-probabilities, by view.
absl::StatusOr<SplitReport> ScorePredictions(const SplitPredictions& predictions,
                                             const DatasetInfo& info);

// What `remedy` makes of the predictions, the views' included.
absl::StatusOr<PostHocReport> ScoreRemedy(const Remedy& remedy, const SplitPredictions& predictions,
                                          const DatasetInfo& info);

// Both: PredictSplit, then ScorePredictions.
absl::StatusOr<SplitReport> Evaluate(Backbone& backbone, const PreparedData& data,
                                     const std::vector<int64_t>& indices,
                                     const std::vector<WeightedLoss>& losses,
                                     const RunConfig& config, const std::vector<View>& views = {});

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_EVALUATION_H_
