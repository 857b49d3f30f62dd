// One training step of CMERC: predict in full, predict without each source of evidence, sum the
// losses, step.
#ifndef CMERC_TRAINING_TRAIN_STEP_H_
#define CMERC_TRAINING_TRAIN_STEP_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/batch.h"
#include "core/loss.h"
#include "training/step_context.h"

namespace cmerc {

struct StepReport {
  double total = 0;                // weighted sum of the losses
  std::vector<double> losses;      // each before its weight, in the order of StepContext.losses
  std::vector<int64_t> predicted;  // the class of the full prediction, of the labelled utterances
  LossInput input;                 // what the losses saw, detached; of the views only the log_probs
};

// Takes one step on `batch`: losses see its labelled utterances, of which there is at least one. A
// GPU is waited for once, to learn whether the step may be taken.
//
// OutOfRange, and that code for nothing else: a loss, a gradient or a buffer of the model is not
// finite, or the gradients are so large that their squares are not. The message names it and the
// first tensor that is not finite, with position and value. Parameters, the optimizer's state and
// what losses remember are as they were and gradients are freed, but the forward pass may have
// written what it saw into the model's buffers (training/buffer_copy.h).
//
// Any other code: InvalidArgument where no utterance has a label; what Backbone::Forward(),
// PredictViews(), Loss::Compute() or Loss::AfterStep() returned, or what LibTorch threw in the
// backward pass (ResourceExhausted, InvalidArgument, Internal).
absl::StatusOr<StepReport> TrainStep(const StepContext& context, const Batch& batch);

// TrainStep() in two halves, for callers that have something to do in between (make the next batch)
// or that do the first half in another way (training/recorded_steps.h).
//
// The first half: predictions, losses and gradients, all where the model is and without waiting for
// it. On the CPU, where nothing has to be waited for, losses and buffers are checked before the
// backward pass. Errors are those of TrainStep().
struct ComputedStep {
  LossInput input;                       // as StepReport.input
  torch::Tensor numbers;                 // a StepNumbers as Encode() made it
  std::vector<torch::Tensor> gradients;  // one for each parameter; undefined where it has none
};
absl::StatusOr<ComputedStep> ComputeStep(const StepContext& context, const Batch& batch);

// The second half: reads the numbers, checks them, steps, and shows the losses what they computed
// (Loss::AfterStep()). Errors are those of TrainStep().
absl::StatusOr<StepReport> FinishStep(const StepContext& context, const ComputedStep& step);

}  // namespace cmerc

#endif  // CMERC_TRAINING_TRAIN_STEP_H_
