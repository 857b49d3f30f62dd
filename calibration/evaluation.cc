#include "calibration/evaluation.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/labelled.h"
#include "calibration/not_finite.h"
#include "calibration/predict_views.h"
#include "calibration/weighted_losses.h"
#include "core/status.h"
#include "metrics/calibration.h"
#include "metrics/classification.h"
#include "metrics/evidence.h"

namespace cmerc {
namespace {

void Append(const torch::Tensor& log_probs, std::vector<double>* out) {
  const torch::Tensor values = log_probs.to(torch::kCPU, torch::kFloat32).contiguous();
  out->insert(out->end(), values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
}

// The calibration of `log_probs`, which the model predicts for the utterances of `predictions`;
// `what` they are ("from all evidence"). Internal: they are not log-probabilities, which is not the
// user's fault.
absl::StatusOr<CalibrationReport> Measure(absl::Span<const double> log_probs,
                                          const SplitPredictions& predictions, int64_t num_classes,
                                          const std::string& what) {
  absl::StatusOr<CalibrationReport> report =
      MeasureCalibration(log_probs, predictions.labels, num_classes, predictions.lengths);
  if (report.ok()) return report;
  return absl::InternalError(absl::StrCat("the model's predictions ", what,
                                          " are of no use: ", report.status().message()));
}

// Adds the weighted losses of a batch that need no views to `sum`. Internal: it is then not finite;
// `conversations` are the ids of the batch.
absl::Status AddLosses(const std::vector<WeightedLoss>& losses, const LossInput& input,
                       const std::string& conversations, double* sum) {
  for (const WeightedLoss& entry : losses) {
    if (!entry.loss->views().empty()) continue;
    ASSIGN_OR_RETURN(const torch::Tensor value, entry.loss->Compute(input));
    *sum += entry.weight * value.item<double>();
    if (std::isfinite(*sum)) continue;
    std::string where = NotFinitePrediction(input);
    if (where.empty()) where = "all predictions are finite";
    return absl::InternalError(absl::StrCat(
        "conversations ", conversations, ": the loss ", entry.name, " is ", value.item<double>(),
        " (", where, "): the model's weights, or the features, are of no use"));
  }
  return absl::OkStatus();
}

// What the view `name` changes, in probabilities and in calibration.
absl::StatusOr<ViewReport> ScoreView(const SplitPredictions& predictions, const std::string& name,
                                     const std::vector<double>& view_log_probs,
                                     int64_t num_classes) {
  ASSIGN_OR_RETURN(
      const CalibrationReport calibration,
      Measure(view_log_probs, predictions, num_classes, absl::StrCat("without ", name)));
  ASSIGN_OR_RETURN(ViewReport report, MeasureEvidence(predictions.log_probs, view_log_probs,
                                                      predictions.labels, num_classes));
  report.set_view(name);
  *report.mutable_calibration() = calibration;
  return report;
}

}  // namespace

absl::StatusOr<SplitPredictions> PredictSplit(Backbone& backbone, const PreparedData& data,
                                              const std::vector<int64_t>& indices,
                                              const std::vector<WeightedLoss>& losses,
                                              const RunConfig& config,
                                              const std::vector<View>& views) {
  torch::NoGradGuard no_grad;
  backbone.eval();
  const auto batch_size = static_cast<size_t>(config.training().batch_size());
  SplitPredictions result;
  result.conversations = static_cast<int64_t>(indices.size());
  result.views = views;
  result.unscored_classes.assign(config.data().unscored_classes().begin(),
                                 config.data().unscored_classes().end());
  result.view_log_probs.resize(views.size());
  double loss = 0;
  int64_t batches = 0;
  for (size_t begin = 0; begin < indices.size(); begin += batch_size) {
    const absl::Span<const int64_t> chosen =
        absl::MakeConstSpan(indices).subspan(begin, batch_size);
    ASSIGN_OR_RETURN(const Batch batch, data.MakeBatch(chosen));
    data.ReadAhead(absl::MakeConstSpan(indices).subspan(
        std::min(begin + batch_size, indices.size()), batch_size));
    ASSIGN_OR_RETURN(const LossInput input,
                     PredictFullAndViews(backbone, batch, views, config.calibration()));
    if (!batch.labelled.defined() || batch.labelled.size(0) > 0) {
      RETURN_IF_ERROR(
          AddLosses(losses, OnlyLabelled(input, batch.labelled), data.Ids(chosen), &loss));
      ++batches;
    }
    for (const int64_t index : chosen) {
      result.lengths.push_back(data.conversations[index].length());
    }
    const torch::Tensor truth = batch.labels.cpu().contiguous();
    result.labels.insert(result.labels.end(), truth.data_ptr<int64_t>(),
                         truth.data_ptr<int64_t>() + truth.numel());
    Append(input.full.log_probs, &result.log_probs);
    for (size_t v = 0; v < views.size(); ++v) {
      Append(input.views[v].prediction.log_probs, &result.view_log_probs[v]);
    }
  }
  result.loss = batches == 0 ? 0 : loss / static_cast<double>(batches);
  return result;
}

SplitPredictions OnlyLabelled(SplitPredictions predictions, int64_t num_classes) {
  const std::vector<int64_t> labels = predictions.labels;
  const auto is_unlabelled = [&](size_t utterance) { return labels[utterance] == kUnlabelled; };
  if (std::count(labels.begin(), labels.end(), kUnlabelled) == 0) return predictions;
  const auto classes = static_cast<size_t>(num_classes);
  const auto keep = [&](std::vector<double>& log_probs) {
    std::vector<double> kept;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (is_unlabelled(i)) continue;
      kept.insert(kept.end(), log_probs.begin() + i * classes,
                  log_probs.begin() + (i + 1) * classes);
    }
    log_probs = std::move(kept);
  };
  keep(predictions.log_probs);
  for (std::vector<double>& view : predictions.view_log_probs) keep(view);
  predictions.labels.clear();
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(predictions.labels),
               [](int64_t label) { return label != kUnlabelled; });
  std::vector<int64_t> lengths;
  size_t utterance = 0;
  for (const int64_t length : predictions.lengths) {
    int64_t labelled = 0;
    for (int64_t i = 0; i < length; ++i, ++utterance) labelled += is_unlabelled(utterance) ? 0 : 1;
    if (labelled > 0) lengths.push_back(labelled);
  }
  predictions.lengths = std::move(lengths);
  return predictions;
}

absl::StatusOr<SplitReport> ScorePredictions(const SplitPredictions& all, const DatasetInfo& info) {
  const int64_t num_classes = info.num_classes();
  const SplitPredictions predictions = OnlyLabelled(all, num_classes);
  if (predictions.labels.empty()) {
    return absl::InvalidArgumentError("no utterance has a label, so that nothing can be scored");
  }
  ASSIGN_OR_RETURN(const CalibrationReport calibration,
                   Measure(predictions.log_probs, predictions, num_classes, "from all evidence"));
  const std::vector<int64_t> predicted = PredictedClasses(predictions.log_probs, num_classes);
  ASSIGN_OR_RETURN(SplitReport report,
                   ClassificationReport(predictions.labels, predicted, info.class_names));
  report.set_conversations(static_cast<int>(predictions.conversations));
  if (const size_t unlabelled = all.labels.size() - predictions.labels.size(); unlabelled > 0) {
    report.mutable_unlabelled_utterances()->set_value(static_cast<int>(unlabelled));
  }
  report.set_loss(predictions.loss);
  *report.mutable_calibration() = calibration;
  if (!predictions.unscored_classes.empty()) {
    *report.mutable_f1_without() = F1WithoutClasses(report, predictions.unscored_classes);
  }
  for (size_t v = 0; v < predictions.views.size(); ++v) {
    ASSIGN_OR_RETURN(*report.add_views(), ScoreView(predictions, predictions.views[v].name(),
                                                    predictions.view_log_probs[v], num_classes));
  }
  return report;
}

absl::StatusOr<PostHocReport> ScoreRemedy(const Remedy& remedy, const SplitPredictions& all,
                                          const DatasetInfo& info) {
  const int64_t num_classes = info.num_classes();
  const SplitPredictions predictions = OnlyLabelled(all, num_classes);
  const std::vector<double> full = Apply(remedy, predictions.log_probs, num_classes);
  ASSIGN_OR_RETURN(const CalibrationReport calibration,
                   Measure(full, predictions, num_classes, absl::StrCat("after ", remedy.method)));
  ASSIGN_OR_RETURN(const SplitReport scores,
                   ClassificationReport(predictions.labels, PredictedClasses(full, num_classes),
                                        info.class_names));
  PostHocReport report;
  report.set_method(remedy.method);
  report.mutable_parameters()->Add(remedy.parameters.begin(), remedy.parameters.end());
  report.set_accuracy(scores.accuracy());
  report.set_weighted_f1(scores.weighted_f1());
  *report.mutable_calibration() = calibration;
  for (const std::vector<double>& view : predictions.view_log_probs) {
    report.add_share_surer_without(
        RiseOf(predictions.labels, full, Apply(remedy, view, num_classes), num_classes)
            .share_surer);
  }
  return report;
}

absl::StatusOr<SplitReport> Evaluate(Backbone& backbone, const PreparedData& data,
                                     const std::vector<int64_t>& indices,
                                     const std::vector<WeightedLoss>& losses,
                                     const RunConfig& config, const std::vector<View>& views) {
  ASSIGN_OR_RETURN(SplitPredictions predictions,
                   PredictSplit(backbone, data, indices, losses, config, views));
  predictions.lengths.clear();
  return ScorePredictions(predictions, data.info);
}

}  // namespace cmerc
