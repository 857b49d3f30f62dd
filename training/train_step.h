// One training step of CMERC: predict in full, predict without each source of evidence, sum the
// losses, step.
#ifndef CMERC_TRAINING_TRAIN_STEP_H_
#define CMERC_TRAINING_TRAIN_STEP_H_

#include <torch/optim/optimizer.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/batch.h"
#include "core/loss.h"

namespace cmerc {

struct StepReport {
  double total = 0;                // weighted sum of the losses
  std::vector<double> losses;      // each before its weight, in the order of `losses`
  std::vector<int64_t> predicted;  // [N]: the class of the full prediction
  LossInput input;                 // what the losses saw, detached; of the views only the log_probs
};

// `live` is in training mode. `for_views` predicts the views: an epoch's snapshot, or `live`
// itself. Of `training`, gradient_clip_norm and precision are used. A GPU is waited for once, to
// learn whether the step may be taken.
//
// OutOfRange, and that code for nothing else: a loss, a gradient or a buffer of `live` is not
// finite, or the gradients are so large that their squares are not. The message names it and the
// first tensor that is not finite, with position and value. Parameters and the optimiser's state
// are as they were and gradients are freed, but the forward pass may have written what it saw into
// `live`'s buffers (training/buffer_copy.h).
absl::StatusOr<StepReport> TrainStep(Backbone& live, Backbone& for_views,
                                     torch::optim::Optimizer& optimizer,
                                     const std::vector<WeightedLoss>& losses, const Batch& batch,
                                     const CalibrationConfig& config,
                                     const TrainingConfig& training = TrainingConfig());

// The two halves of TrainStep(), for who has something to do in between (the next batch) or does
// the first half in another way (training/recorded_steps.h).
//
// The first: predictions, losses and gradients, all where the model is and without waiting for it.
struct ComputedStep {
  LossInput input;        // as that of a report
  torch::Tensor numbers;  // float64: the L losses, their weighted sum, the sum of the
                          // squares of all buffers, the N classes
  torch::Tensor squares;  // [] float64: the sum of the squares of all gradients
  std::vector<torch::Tensor> gradients;  // of every parameter; undefined where there is none
};
absl::StatusOr<ComputedStep> ComputeStep(Backbone& live, Backbone& for_views,
                                         torch::optim::Optimizer& optimizer,
                                         const std::vector<WeightedLoss>& losses,
                                         const Batch& batch, const CalibrationConfig& config,
                                         const TrainingConfig& training);
// The second: reads them, and steps.
absl::StatusOr<StepReport> FinishStep(const ComputedStep& step, const Backbone& live,
                                      torch::optim::Optimizer& optimizer,
                                      const std::vector<WeightedLoss>& losses,
                                      const TrainingConfig& training);

}  // namespace cmerc

#endif  // CMERC_TRAINING_TRAIN_STEP_H_
