#include "training/train_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/not_finite.h"
#include "calibration/predict_views.h"
#include "calibration/weighted_losses.h"
#include "core/to_device.h"
#include "core/torch_status.h"
#include "profile/scope.h"
#include "training/autocast.h"
#include "training/gradients.h"

namespace cmerc {
namespace {

// The numbers of all tensors, one after the other, where they are. float64 holds every class and
// every float32.
torch::Tensor Join(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> flat;
  flat.reserve(tensors.size());
  for (const torch::Tensor& tensor : tensors) {
    flat.push_back(tensor.detach().reshape({-1}).to(torch::kFloat64));
  }
  return torch::cat(flat);
}

std::vector<double> ToHost(const torch::Tensor& numbers) {
  const torch::Tensor there = numbers.cpu();
  return {there.data_ptr<double>(), there.data_ptr<double>() + there.numel()};
}

constexpr char kRemedies[] =
    "try a smaller training.learning_rate or a training.gradient_clip_norm, or leave such steps "
    "out "
    "with training { on_non_finite: SKIP_BATCH }";

// Beyond it the squares that Adam keeps are infinite, and what has an infinite square is never
// stepped again.
const double kLargestNorm = std::sqrt(static_cast<double>(std::numeric_limits<float>::max()));

absl::Status LossNotFinite(const std::string& name, double value, const LossInput& input,
                           const Backbone& model) {
  std::string where = NotFinitePrediction(input);
  if (where.empty()) where = NotFiniteParameter(model);
  if (where.empty()) where = "all predictions and parameters are finite";
  return absl::OutOfRangeError(
      absl::StrCat("the loss ", name, " is ", value, " (", where, "); ", kRemedies));
}

// "3 * cmerc.NllOptions 1.2 + ..."
std::string Sum(const std::vector<WeightedLoss>& losses, const std::vector<double>& values) {
  std::string text;
  for (size_t i = 0; i < losses.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " + ", losses[i].weight, " * ", losses[i].name, " ",
                    values[i]);
  }
  return text;
}

// numbers: of ComputedStep. OutOfRange: a loss or a buffer is not finite.
absl::Status CheckLosses(const std::vector<double>& numbers,
                         const std::vector<WeightedLoss>& losses, const LossInput& input,
                         const Backbone& model) {
  for (size_t i = 0; i < losses.size(); ++i) {
    if (!std::isfinite(numbers[i])) return LossNotFinite(losses[i].name, numbers[i], input, model);
  }
  const double total = numbers[losses.size()], of_buffers = numbers[losses.size() + 1];
  if (!std::isfinite(total)) {
    return absl::OutOfRangeError(absl::StrCat("the weighted sum of the losses is ", total, " = ",
                                              Sum(losses, numbers), "; try smaller losses.weight"));
  }
  if (!std::isfinite(of_buffers)) {
    return absl::OutOfRangeError(absl::StrCat(
        NotFiniteBuffer(model),
        "; the features of these conversations are too large: try data { standardize: true }, or "
        "leave such steps out with training { on_non_finite: SKIP_BATCH }"));
  }
  return absl::OkStatus();
}

std::vector<torch::Tensor> ParametersOf(const torch::optim::Optimizer& optimizer) {
  std::vector<torch::Tensor> parameters;
  for (const torch::optim::OptimizerParamGroup& group : optimizer.param_groups()) {
    parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  }
  return parameters;
}

void FreeGradients(const std::vector<torch::Tensor>& parameters) {
  for (const torch::Tensor& parameter : parameters) parameter.mutable_grad().reset();
}

std::vector<torch::Tensor> GradientsOf(const std::vector<torch::Tensor>& parameters) {
  std::vector<torch::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const torch::Tensor& parameter : parameters) gradients.push_back(parameter.grad());
  return gradients;
}

// OutOfRange: gradients, of that norm together, that no step may be taken with.
absl::Status CheckAndClipGradients(const std::vector<torch::Tensor>& parameters, double norm,
                                   double clip_norm, const std::string& losses,
                                   const Backbone& model) {
  if (!std::isfinite(norm)) {
    const std::string where = NotFiniteGradient(model);
    return absl::OutOfRangeError(absl::StrCat(where.empty() ? "a gradient is not finite" : where,
                                              ", of the losses ", losses, "; ", kRemedies));
  }
  if (clip_norm > 0) ClipGradients(parameters, norm, clip_norm);
  if (norm > kLargestNorm && (clip_norm == 0 || clip_norm > kLargestNorm)) {
    return absl::OutOfRangeError(
        absl::StrCat("the norm of the gradients is ", norm, ", whose square float32 cannot hold (",
                     LargestGradient(model), "), of the losses ", losses, "; ", kRemedies));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ComputedStep> ComputeStep(Backbone& live, Backbone& for_views,
                                         torch::optim::Optimizer& optimizer,
                                         const std::vector<WeightedLoss>& losses,
                                         const Batch& batch, const CalibrationConfig& config,
                                         const TrainingConfig& training) {
  ComputedStep step;
  const torch::Device device = batch.labels.device();
  absl::StatusOr<Prediction> full = [&] {
    const ProfileScope scope("full prediction");
    const Autocast autocast(training.precision(), device);
    return live.Forward(batch);
  }();
  if (!full.ok()) return full.status();
  absl::StatusOr<std::vector<ViewPrediction>> views = [&] {
    const ProfileScope scope("predictions of views");
    const Autocast autocast(training.precision(), device);
    return PredictViews(for_views, batch, ViewsOf(losses), config,
                        config.view_weights() == CalibrationConfig::LIVE_WITH_GRADIENT);
  }();
  if (!views.ok()) return views.status();
  step.input = {ToFloat32(*full), *std::move(views), batch.labels};
  for (ViewPrediction& view : step.input.views) view.prediction = ToFloat32(view.prediction);

  torch::Tensor total;
  std::vector<torch::Tensor> values;
  for (const WeightedLoss& entry : losses) {
    const ProfileScope scope("losses");
    const ProfileScope of_loss(entry.name.c_str());
    const absl::StatusOr<torch::Tensor> value = entry.loss->Compute(step.input);
    if (!value.ok()) return value.status();
    values.push_back(value->detach());
    const torch::Tensor weighted = entry.weight * *value;
    total = total.defined() ? total + weighted : weighted;
  }
  const absl::StatusOr<bool> summed = CatchTorch([&] {
    // Statistics can overflow where the predictions that are divided by them do not.
    const ProfileScope scope("check of buffers");
    values.insert(values.end(), {total, ToDevice(SumOfSquares(live.buffers()), device),
                                 step.input.full.log_probs.argmax(1)});
    step.numbers = Join(values);
    return true;
  });
  if (!summed.ok()) return summed.status();
  // Reading it costs nothing there, and what is not finite is still all there to be named.
  if (device.is_cpu()) {
    const absl::Status finite = CheckLosses(ToHost(step.numbers), losses, step.input, live);
    if (!finite.ok()) return finite;
  }

  // Only the losses compare features; the backward pass has them where it needs them.
  for (ViewPrediction& view : step.input.views) view.prediction.features.reset();
  step.input.cosine_cache = {};
  const absl::StatusOr<bool> differentiated = CatchTorch([&] {
    const std::vector<torch::Tensor> parameters = ParametersOf(optimizer);
    {
      const ProfileScope scope("backward");
      FreeGradients(parameters);
      total.backward();
    }
    const ProfileScope scope("optimiser");
    step.gradients = GradientsOf(parameters);
    step.squares = SumOfSquares(step.gradients);
    return true;
  });
  if (!differentiated.ok()) return differentiated.status();
  step.input.full.log_probs = step.input.full.log_probs.detach();
  step.input.full.features = step.input.full.features.detach();
  for (ViewPrediction& view : step.input.views) {
    view.prediction.log_probs = view.prediction.log_probs.detach();
  }
  return step;
}

absl::StatusOr<StepReport> FinishStep(const ComputedStep& step, const Backbone& live,
                                      torch::optim::Optimizer& optimizer,
                                      const std::vector<WeightedLoss>& losses,
                                      const TrainingConfig& training) {
  const std::vector<torch::Tensor> parameters = ParametersOf(optimizer);
  StepReport report;
  report.input = step.input;
  absl::Status usable;
  const absl::StatusOr<bool> stepped = CatchTorch([&] {
    const ProfileScope scope("optimiser");
    // The one time that a GPU is waited for.
    const std::vector<double> numbers =
        ToHost(torch::cat({step.numbers, ToDevice(step.squares, step.numbers.device()).view({1})}));
    const auto end_of_losses = numbers.begin() + static_cast<std::ptrdiff_t>(losses.size());
    report.losses.assign(numbers.begin(), end_of_losses);
    report.total = *end_of_losses;
    report.predicted.assign(end_of_losses + 2, numbers.end() - 1);
    usable = CheckLosses(numbers, losses, step.input, live);
    for (size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].mutable_grad() = step.gradients[i];
    }
    if (usable.ok()) {
      usable =
          CheckAndClipGradients(parameters, std::sqrt(numbers.back()),
                                training.gradient_clip_norm(), Sum(losses, report.losses), live);
    }
    if (usable.ok()) {
      optimizer.step();
    } else {
      FreeGradients(parameters);
    }
    return true;
  });
  if (!stepped.ok()) return stepped.status();
  if (!usable.ok()) return usable;
  return report;
}

absl::StatusOr<StepReport> TrainStep(Backbone& live, Backbone& for_views,
                                     torch::optim::Optimizer& optimizer,
                                     const std::vector<WeightedLoss>& losses, const Batch& batch,
                                     const CalibrationConfig& config,
                                     const TrainingConfig& training) {
  const absl::StatusOr<ComputedStep> step =
      ComputeStep(live, for_views, optimizer, losses, batch, config, training);
  if (!step.ok()) return step.status();
  return FinishStep(*step, live, optimizer, losses, training);
}

}  // namespace cmerc
