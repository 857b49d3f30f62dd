#include "calibration/predict_views.h"

#include <ATen/Context.h>

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

// Lets passes of a backbone draw the random numbers of the first one, and at its end brings back
// what the first one left: where random numbers are drawn, running statistics.
class Replay {
 public:
  Replay(Backbone& backbone, const torch::Device& device)
      : backbone_(backbone),
        generator_(at::globalContext().defaultGenerator(device)),
        begin_(generator_.get_state()) {
    backbone_.UseBatchStatistics(Backbone::BatchStatistics::kOwnAndKeep);
  }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  ~Replay() {
    backbone_.UseBatchStatistics(Backbone::BatchStatistics::kOwn);
    if (!end_.defined()) return;
    generator_.set_state(end_);
    // The gradient of a normalization keeps its running statistics, and would refuse to be computed
    // if these counted as written to.
    const std::vector<torch::Tensor> buffers = backbone_.buffers();
    for (size_t i = 0; i < buffers.size(); ++i) buffers[i].variable_data().copy_(buffers_[i]);
  }

  // After the first pass.
  void Begin() {
    end_ = generator_.get_state();
    for (const torch::Tensor& buffer : backbone_.buffers()) buffers_.push_back(buffer.clone());
    backbone_.UseBatchStatistics(Backbone::BatchStatistics::kKept);
  }
  void Rewind() { generator_.set_state(begin_); }

 private:
  Backbone& backbone_;
  at::Generator generator_;
  torch::Tensor begin_, end_;  // end_: once the first pass is over
  std::vector<torch::Tensor> buffers_;
};

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
  Replay replay(backbone, batch.labels.device());
  ASSIGN_OR_RETURN(Prediction full, backbone.Forward(batch));
  LossInput input{std::move(full), {}, batch.labels};
  replay.Begin();
  for (const View& view : views) {
    replay.Rewind();
    ASSIGN_OR_RETURN(Prediction prediction,
                     backbone.Forward(ApplyView(batch, view, config.masked_mean())));
    input.views.push_back({view, std::move(prediction)});
  }
  return input;
}

}  // namespace cmerc
