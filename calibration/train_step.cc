#include "calibration/train_step.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/views.h"
#include "core/torch_status.h"
#include "profile/scope.h"

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

absl::StatusOr<std::vector<WeightedLoss>> MakeLosses(const ExperimentConfig& config,
                                                     const DatasetInfo& info) {
  std::vector<WeightedLoss> losses;
  std::vector<std::string> problems;
  bool learns_task = false;
  for (int i = 0; i < config.losses_size(); ++i) {
    const LossConfig& entry = config.losses(i);
    absl::StatusOr<std::unique_ptr<Loss>> loss = Losses().Create(entry.loss(), info);
    if (!loss.ok()) {
      problems.push_back(absl::StrCat("losses[", i, "]: ", loss.status().message()));
      continue;
    }
    if (entry.weight() == 0) continue;
    learns_task = learns_task || (*loss)->views().empty();
    std::string name;
    google::protobuf::Any::ParseAnyTypeUrl(entry.loss().type_url(), &name);
    losses.push_back({name, entry.weight(), *std::move(loss)});
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  if (!learns_task) {
    return absl::InvalidArgumentError(
        "losses: none with a weight above 0 does without views, so nothing would learn the "
        "emotions; add one, for example losses { loss { "
        "[type.googleapis.com/cmerc.NllOptions] {} } }");
  }
  return losses;
}

std::vector<View> ViewsOf(const std::vector<WeightedLoss>& losses) {
  std::vector<View> views;
  for (const WeightedLoss& entry : losses) {
    for (const View& view : entry.loss->views()) {
      if (std::find(views.begin(), views.end(), view) == views.end()) views.push_back(view);
    }
  }
  return views;
}

void CopyState(const Backbone& from, Backbone& to) {
  torch::NoGradGuard no_grad;
  const auto copy = [](const auto& sources, auto targets) {
    for (const auto& source : sources) targets[source.key()].copy_(source.value());
  };
  copy(from.named_parameters(), to.named_parameters());
  copy(from.named_buffers(), to.named_buffers());
}

absl::StatusOr<std::vector<ViewPrediction>> PredictViews(Backbone& backbone, const Batch& batch,
                                                         const std::vector<View>& views,
                                                         const CalibrationConfig& config,
                                                         bool with_gradient) {
  absl::StatusOr<std::vector<Prediction>> predictions = ForwardAllInEvaluation(
      backbone, BatchesOf(batch, views, config, /*with_full=*/false), with_gradient);
  if (!predictions.ok()) return predictions.status();
  return WithViews(views, absl::MakeSpan(*predictions));
}

absl::StatusOr<LossInput> PredictFullAndViews(Backbone& backbone, const Batch& batch,
                                              const std::vector<View>& views,
                                              const CalibrationConfig& config) {
  absl::StatusOr<std::vector<Prediction>> predictions = ForwardAllInEvaluation(
      backbone, BatchesOf(batch, views, config, /*with_full=*/true), /*with_gradient=*/false);
  if (!predictions.ok()) return predictions.status();
  return LossInput{(*predictions)[0], WithViews(views, absl::MakeSpan(*predictions).subspan(1)),
                   batch.labels};
}

absl::StatusOr<StepReport> TrainStep(Backbone& live, Backbone& for_views,
                                     torch::optim::Optimizer& optimizer,
                                     const std::vector<WeightedLoss>& losses, const Batch& batch,
                                     const CalibrationConfig& config) {
  StepReport report;
  absl::StatusOr<Prediction> full = [&] {
    const ProfileScope scope("full prediction");
    return live.Forward(batch);
  }();
  if (!full.ok()) return full.status();
  absl::StatusOr<std::vector<ViewPrediction>> views = [&] {
    const ProfileScope scope("predictions of views");
    return PredictViews(for_views, batch, ViewsOf(losses), config,
                        config.view_weights() == CalibrationConfig::LIVE_WITH_GRADIENT);
  }();
  if (!views.ok()) return views.status();
  report.input = {*std::move(full), *std::move(views), batch.labels};

  torch::Tensor total;
  for (const WeightedLoss& entry : losses) {
    const ProfileScope scope("losses");
    const ProfileScope of_loss(entry.name.c_str());
    const absl::StatusOr<torch::Tensor> value = entry.loss->Compute(report.input);
    if (!value.ok()) return value.status();
    report.losses.push_back(value->item<double>());
    if (!std::isfinite(report.losses.back())) {
      return absl::InternalError(absl::StrCat("the loss ", entry.name, " is ", report.losses.back(),
                                              "; try a smaller training.learning_rate"));
    }
    const torch::Tensor weighted = entry.weight * *value;
    total = total.defined() ? total + weighted : weighted;
  }
  report.total = total.item<double>();
  if (!std::isfinite(report.total)) {
    return absl::InternalError(absl::StrCat("the weighted sum of the losses is ", report.total,
                                            "; try smaller losses.weight"));
  }

  // Only the losses compare features; the backward pass has them where it needs them.
  for (ViewPrediction& view : report.input.views) view.prediction.features.reset();
  report.input.cosine_cache = {};

  const absl::StatusOr<bool> stepped = CatchTorch([&] {
    {
      const ProfileScope scope("backward");
      optimizer.zero_grad();
      total.backward();
    }
    const ProfileScope scope("optimiser");
    optimizer.step();
    return true;
  });
  if (!stepped.ok()) return stepped.status();
  report.input.full.log_probs = report.input.full.log_probs.detach();
  report.input.full.features = report.input.full.features.detach();
  for (ViewPrediction& view : report.input.views) {
    view.prediction.log_probs = view.prediction.log_probs.detach();
  }
  return report;
}

}  // namespace cmerc
