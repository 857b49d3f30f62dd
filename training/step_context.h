// What a training step works with beside its batch.
#ifndef CMERC_TRAINING_STEP_CONTEXT_H_
#define CMERC_TRAINING_STEP_CONTEXT_H_

#include <torch/optim/optimizer.h>

#include <limits>
#include <vector>

#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/view.h"
#include "processes/process_group.h"

namespace cmerc {

// What all steps of a stage share. It owns nothing: all members outlive it.
struct StepContext {
  Backbone& live;                      // the model that is trained, in training mode
  Backbone& for_views;                 // predicts the views: an epoch's snapshot, or `live` itself
  torch::optim::Optimizer& optimizer;  // of the parameters of `live`
  const std::vector<WeightedLoss>& losses;
  const CalibrationConfig& calibration = CalibrationConfig::default_instance();
  // gradient_clip_norm and precision are used.
  const TrainingConfig& training = TrainingConfig::default_instance();
  // Counted from 1; by default one in which every loss has its whole weight.
  int epoch = std::numeric_limits<int>::max();
  // The views that the step predicts; null: all that the losses ask for.
  const std::vector<View>* drawn = nullptr;
  // Those that take the step together, with training.parts; null: this process alone.
  ProcessGroup* processes = nullptr;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_STEP_CONTEXT_H_
