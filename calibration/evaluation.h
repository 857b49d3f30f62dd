// Scores of a model on a split.
#ifndef CMERC_CALIBRATION_EVALUATION_H_
#define CMERC_CALIBRATION_EVALUATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/post_hoc.h"
#include "calibration/prepared_data.h"
#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "metrics/report.pb.h"

namespace cmerc {

// What a model predicts for the N utterances of a split, conversation by conversation.
struct SplitPredictions {
  int64_t conversations = 0;
  std::vector<int64_t> lengths;   // [conversations], utterances of each
  std::vector<int64_t> labels;    // [N], kUnlabelled where there is none
  std::vector<double> log_probs;  // [N * C], float32 values
  std::vector<View> views;
  std::vector<std::vector<double>> view_log_probs;  // one [N * C] per view
  double loss = 0;                                  // see SplitReport.loss
  std::vector<std::string> unscored_classes;        // of the config
};

// Predicts the conversations at `indices` (not empty), `training.batch_size` at a time in that
// order, in evaluation mode and without gradient; leaves `backbone` in evaluation mode. The loss is
// the weighted sum of the members of `losses` that need no views, of the labelled utterances, the
// mean over the batches that have some; 0 without any.
// Internal: a loss is not finite; the message names the conversations and the first tensor that is
// not. Other codes: those of PreparedData::MakeBatch(), PredictFullAndViews() and Loss::Compute().
absl::StatusOr<SplitPredictions> PredictSplit(Backbone& backbone, const PreparedData& data,
                                              const std::vector<int64_t>& indices,
                                              const std::vector<WeightedLoss>& losses,
                                              const RunConfig& config,
                                              const std::vector<View>& views = {});

// The predictions of the utterances that have a label, and the conversations that have such ones;
// the number of conversations and the loss stay. `predictions` themselves where all have one.
SplitPredictions OnlyLabelled(SplitPredictions predictions, int64_t num_classes);

// The whole report except post_hoc, with an entry for each view that was predicted: how confidence
// changes without its evidence; all of the labelled utterances alone. Without `lengths` the floor
// and the error of the ECE are unset. Internal: predictions are not log-probabilities; the message
// says of which view. InvalidArgument: the labels are no classes of `info`, or there is none.
absl::StatusOr<SplitReport> ScorePredictions(const SplitPredictions& all, const DatasetInfo& info);

// The scores of the predictions of labelled utterances, those of the views included, after
// `remedy`, which is not one that is withheld. Internal: what the remedy makes of them are not
// log-probabilities. InvalidArgument: the labels are no classes of `info`.
absl::StatusOr<PostHocReport> ScoreRemedy(const Remedy& remedy, const SplitPredictions& all,
                                          const DatasetInfo& info);

// PredictSplit(), then ScorePredictions(), with their errors: the report of an epoch, which leaves
// out the floor and the error of the ECE.
absl::StatusOr<SplitReport> Evaluate(Backbone& backbone, const PreparedData& data,
                                     const std::vector<int64_t>& indices,
                                     const std::vector<WeightedLoss>& losses,
                                     const RunConfig& config, const std::vector<View>& views = {});

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_EVALUATION_H_
