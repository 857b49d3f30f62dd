#include "training/train_step.h"

#include <optional>
#include <utility>

#include "calibration/labelled.h"
#include "calibration/weighted_losses.h"
#include "core/status.h"
#include "core/to_device.h"
#include "core/torch_status.h"
#include "profile/scope.h"
#include "training/gradients.h"
#include "training/step_checks.h"
#include "training/step_in_parts.h"
#include "training/step_numbers.h"
#include "training/step_predictions.h"

namespace cmerc {
namespace {

// What the losses see; `parts` is null where the step is undivided.
absl::StatusOr<LossInput> Predict(const StepContext& context, const Batch& batch,
                                  StepInParts* parts) {
  if (batch.labelled.defined() && batch.labelled.size(0) == 0) {
    return absl::InvalidArgumentError("no utterance of the batch has a label to learn from");
  }
  ASSIGN_OR_RETURN(LossInput all,
                   parts != nullptr ? parts->Predict(batch) : PredictAll(context, batch));
  return CatchTorch(
      [&]() -> absl::StatusOr<LossInput> { return OnlyLabelled(std::move(all), batch.labelled); });
}

// Undefined where it has none of the views that were drawn.
absl::StatusOr<torch::Tensor> ComputeLoss(const StepContext& context, const Loss& loss,
                                          const LossInput& input) {
  if (context.drawn == nullptr) return loss.Compute(input);
  return LossOfDrawn(loss, *context.drawn, input);
}

// Adds the losses and their weighted sum to `numbers`; the sum has a gradient.
absl::Status ComputeLosses(const StepContext& context, const LossInput& input,
                           StepTensors* numbers) {
  for (const WeightedLoss& entry : context.losses) {
    const double weight = entry.WeightIn(context.epoch);
    torch::Tensor value;
    if (weight != 0) {
      const ProfileScope scope("losses");
      const ProfileScope of_loss(entry.name.c_str());
      ASSIGN_OR_RETURN(value, ComputeLoss(context, *entry.loss, input));
    }
    if (!value.defined()) {
      numbers->losses.push_back(torch::zeros({}, input.full.log_probs.options()));
      continue;
    }
    numbers->losses.push_back(value.detach());
    const torch::Tensor weighted = weight * value;
    numbers->total = numbers->total.defined() ? numbers->total + weighted : weighted;
  }
  return absl::OkStatus();
}

// Only the losses compare features; the backward pass has them where it needs them.
void ForgetFeaturesOfViews(LossInput& input) {
  for (ViewPrediction& view : input.views) view.prediction.features.reset();
  input.cosine_cache = {};
}

void Detach(LossInput& input) {
  input.full.log_probs = input.full.log_probs.detach();
  input.full.features = input.full.features.detach();
  for (ViewPrediction& view : input.views) {
    view.prediction.log_probs = view.prediction.log_probs.detach();
  }
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

// The gradients of `total`, one for each parameter.
std::vector<torch::Tensor> Differentiate(const torch::Tensor& total,
                                         const std::vector<torch::Tensor>& parameters) {
  const ProfileScope scope("backward");
  FreeGradients(parameters);
  total.backward();
  std::vector<torch::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const torch::Tensor& parameter : parameters) gradients.push_back(parameter.grad());
  return gradients;
}

}  // namespace

absl::StatusOr<ComputedStep> ComputeStep(const StepContext& context, const Batch& batch) {
  const torch::Device device = batch.labels.device();
  ComputedStep step;
  std::optional<StepInParts> parts;
  if (context.training.parts() > 0) parts.emplace(context);
  ASSIGN_OR_RETURN(step.input, Predict(context, batch, parts.has_value() ? &*parts : nullptr));
  StepTensors numbers;
  RETURN_IF_ERROR(ComputeLosses(context, step.input, &numbers));
  RETURN_IF_ERROR(CatchTorch([&] {
    // Statistics can overflow where the predictions that are divided by them do not.
    const ProfileScope scope("check of buffers");
    numbers.squares_of_buffers = ToDevice(SumOfSquares(context.live.buffers()), device);
    numbers.predicted = step.input.full.log_probs.argmax(1);
    if (!device.is_cpu()) return absl::OkStatus();
    // Reading them costs nothing there, and what is not finite is still all there to be named.
    return CheckLosses(context, Decode(Encode(numbers), context.losses.size()), step.input);
  }));
  ForgetFeaturesOfViews(step.input);
  const std::vector<torch::Tensor> parameters = ParametersOf(context.optimizer);
  RETURN_IF_ERROR(CatchTorch([&]() -> absl::Status {
    step.gradients = Differentiate(numbers.total, parameters);
    if (parts.has_value()) {
      ASSIGN_OR_RETURN(step.gradients, parts->PassOn(parameters));
    }
    const ProfileScope scope("optimiser");
    numbers.squares_of_gradients = ToDevice(SumOfSquares(step.gradients), device);
    step.numbers = Encode(numbers);
    return absl::OkStatus();
  }));
  Detach(step.input);
  return step;
}

absl::StatusOr<StepReport> FinishStep(const StepContext& context, const ComputedStep& step) {
  return CatchTorch([&]() -> absl::StatusOr<StepReport> {
    const ProfileScope scope("optimiser");
    // The one time that a GPU is waited for.
    StepNumbers numbers = Decode(step.numbers, context.losses.size());
    const std::vector<torch::Tensor> parameters = ParametersOf(context.optimizer);
    for (size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].mutable_grad() = step.gradients[i];
    }
    absl::Status usable = CheckLosses(context, numbers, step.input);
    if (usable.ok()) usable = CheckAndClipGradients(context, numbers, parameters);
    if (!usable.ok()) {
      FreeGradients(parameters);
      return usable;
    }
    context.optimizer.step();
    for (const WeightedLoss& entry : context.losses) {
      if (entry.WeightIn(context.epoch) == 0) continue;
      // It remembers nothing (MakeLosses()), and some of its views are not there.
      if (context.drawn != nullptr && !entry.loss->views().empty()) continue;
      RETURN_IF_ERROR(Annotate(entry.loss->AfterStep(step.input), entry.name));
    }
    return StepReport{numbers.total, std::move(numbers.losses), std::move(numbers.predicted),
                      step.input};
  });
}

absl::StatusOr<StepReport> TrainStep(const StepContext& context, const Batch& batch) {
  ASSIGN_OR_RETURN(const ComputedStep step, ComputeStep(context, batch));
  return FinishStep(context, step);
}

}  // namespace cmerc
