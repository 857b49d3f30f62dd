#include "calibration/predict_views.h"

#include <utility>

#include "absl/types/span.h"
#include "calibration/views.h"
#include "core/status.h"

namespace cmerc {
namespace {

// The batch itself, if asked for, and it without each view.
std::vector<Batch> BatchesOf(const Batch& batch, const std::vector<View>& views,
                             const CalibrationConfig& config, bool with_full) {
  std::vector<Batch> batches;
  if (with_full) batches.push_back(batch);
  for (const View& view : views) batches.push_back(ApplyView(batch, view, config.masked_mean()));
  return batches;
}

// Leaves `backbone` in the mode it was.
absl::StatusOr<std::vector<Prediction>> ForwardAllInEvaluation(Backbone& backbone,
                                                               const std::vector<Batch>& batches,
                                                               bool with_gradient) {
  const bool was_training = backbone.is_training();
  if (was_training) backbone.eval();
  torch::AutoGradMode gradient(with_gradient);
  absl::StatusOr<std::vector<Prediction>> predictions = backbone.ForwardAll(batches);
  if (was_training) backbone.train();
  return predictions;
}

std::vector<ViewPrediction> WithViews(const std::vector<View>& views,
                                      absl::Span<Prediction> predictions) {
  std::vector<ViewPrediction> result;
  for (size_t v = 0; v < views.size(); ++v) {
    result.push_back({views[v], std::move(predictions[v])});
  }
  return result;
}

}  // namespace

absl::StatusOr<std::vector<ViewPrediction>> PredictViews(Backbone& backbone, const Batch& batch,
                                                         const std::vector<View>& views,
                                                         const CalibrationConfig& config,
                                                         bool with_gradient) {
  ASSIGN_OR_RETURN(
      std::vector<Prediction> predictions,
      ForwardAllInEvaluation(backbone, BatchesOf(batch, views, config, /*with_full=*/false),
                             with_gradient));
  return WithViews(views, absl::MakeSpan(predictions));
}

absl::StatusOr<LossInput> PredictFullAndViews(Backbone& backbone, const Batch& batch,
                                              const std::vector<View>& views,
                                              const CalibrationConfig& config) {
  ASSIGN_OR_RETURN(
      std::vector<Prediction> predictions,
      ForwardAllInEvaluation(backbone, BatchesOf(batch, views, config, /*with_full=*/true),
                             /*with_gradient=*/false));
  return LossInput{predictions[0], WithViews(views, absl::MakeSpan(predictions).subspan(1)),
                   batch.labels};
}

absl::StatusOr<LossInput> PredictPaired(Backbone& backbone, const Batch& batch,
                                        const std::vector<View>& views,
                                        const CalibrationConfig& config) {
  ASSIGN_OR_RETURN(std::vector<Prediction> predictions,
                   backbone.ForwardPaired(BatchesOf(batch, views, config, /*with_full=*/true)));
  Prediction full = std::move(predictions[0]);
  return LossInput{std::move(full), WithViews(views, absl::MakeSpan(predictions).subspan(1)),
                   batch.labels};
}

}  // namespace cmerc
