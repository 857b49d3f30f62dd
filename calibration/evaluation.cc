#include "calibration/evaluation.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/confidence.h"
#include "metrics/classification.h"

namespace cmerc {

absl::StatusOr<SplitReport> Evaluate(Backbone& backbone, const PreparedData& data,
                                     const std::vector<int64_t>& indices,
                                     const std::vector<WeightedLoss>& losses,
                                     const ExperimentConfig& config,
                                     const std::vector<View>& views) {
  torch::NoGradGuard no_grad;
  backbone.eval();
  const auto batch_size = static_cast<size_t>(config.training().batch_size());
  std::vector<int64_t> labels, predictions;
  std::vector<double> surer_without(views.size()), rise(views.size());
  double loss = 0;
  int64_t batches = 0;
  for (size_t begin = 0; begin < indices.size(); begin += batch_size, ++batches) {
    const Batch batch = data.MakeBatch(absl::MakeConstSpan(indices).subspan(begin, batch_size));
    const absl::StatusOr<LossInput> input =
        PredictFullAndViews(backbone, batch, views, config.calibration());
    if (!input.ok()) return input.status();
    const torch::Tensor& log_probs = input->full.log_probs;
    for (const WeightedLoss& entry : losses) {
      if (!entry.loss->views().empty()) continue;
      const absl::StatusOr<torch::Tensor> value = entry.loss->Compute(*input);
      if (!value.ok()) return value.status();
      loss += entry.weight * value->item<double>();
      if (!std::isfinite(loss)) {
        return absl::InternalError(absl::StrCat("the loss ", entry.name, " is ",
                                                value->item<double>(),
                                                ": the model's weights are of no use"));
      }
    }
    const torch::Tensor predicted = log_probs.argmax(1).contiguous();
    const torch::Tensor truth = batch.labels.contiguous();
    predictions.insert(predictions.end(), predicted.data_ptr<int64_t>(),
                       predicted.data_ptr<int64_t>() + predicted.numel());
    labels.insert(labels.end(), truth.data_ptr<int64_t>(),
                  truth.data_ptr<int64_t>() + truth.numel());
    const torch::Tensor full_true = TrueClassLogProbs(log_probs, batch.labels);
    for (size_t v = 0; v < views.size(); ++v) {
      const torch::Tensor change =
          TrueClassLogProbs(input->views[v].prediction.log_probs, batch.labels) - full_true;
      surer_without[v] += (change > 0).sum().item<double>();
      rise[v] += change.sum().item<double>();
    }
  }

  absl::StatusOr<SplitReport> report =
      ClassificationReport(labels, predictions, data.info.class_names);
  if (!report.ok()) return report;
  report->set_conversations(static_cast<int>(indices.size()));
  report->set_loss(loss / static_cast<double>(batches));
  const auto total = static_cast<double>(labels.size());
  for (size_t v = 0; v < views.size(); ++v) {
    ViewReport* entry = report->add_views();
    entry->set_view(views[v].name());
    entry->set_share_surer_without(surer_without[v] / total);
    entry->set_mean_log_prob_rise(rise[v] / total);
  }
  return report;
}

}  // namespace cmerc
