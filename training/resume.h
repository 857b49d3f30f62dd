// Training that goes on after an interruption as if there had been none: the same bits in the end.
//
// A stage of training saves all that changes over it to resume.pth, a checkpoint (its own checksums
// included) with these tensors, and a TrainingProgress in its metadata:
//   model/NAME         parameters and buffers
//   snapshot/NAME      within an epoch, where an epoch's snapshot predicts the views
//   adam/steps         [P] int64, for the P parameters in their order
//   adam/NAME/first    Adam's moments; absent where steps is 0
//   adam/NAME/second
//   average/NAME       with training.ema_decay: the average of parameters and buffers
//   start/NAME         of the first of two stages with training.init_checkpoint, which both start
//                      with it
//   loss/I/NAME        what the loss at position I remembers (Loss::State())
//   random_state       bytes: LibTorch's default generator
//   device_random_state
//                      bytes: the GPU's default generator, for a model that is on one
//   epoch/conversations, epoch/labels, epoch/predictions
//                      int64, within an epoch: its order, and the predictions so far
#ifndef CMERC_TRAINING_RESUME_H_
#define CMERC_TRAINING_RESUME_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "calibration/prepared_data.h"
#include "calibration/weighted_losses.h"
#include "core/backbone.h"
#include "storage/checkpoint.h"
#include "training/adam.h"

namespace cmerc {

// An epoch so far.
struct EpochProgress {
  std::vector<int64_t> conversations;  // in the order they are trained on; empty: not begun
  int64_t steps = 0;                   // done, skipped or without labels
  int64_t skipped = 0;
  int64_t without_labels = 0;  // not taken: no utterance had a label
  // Sums over the steps that were taken.
  double total = 0;
  std::vector<double> losses;  // in the order of the losses
  // One number for each labelled utterance of those steps.
  std::vector<int64_t> labels;
  std::vector<int64_t> predictions;
};

// All that changes while a stage trains.
struct TrainingState {
  Backbone& live;
  Backbone* snapshot;  // null where `live` predicts the views
  Adam& optimizer;
  const std::vector<WeightedLoss>& losses;
  TrainingProgress progress;  // without partial_epoch, which is made from `epoch` and read into it
  EpochProgress epoch;
  Backbone* average = nullptr;  // the average of the weights of `live`; null without one
  StateDict start;              // what another stage starts with, too
};

// Writes `state` to `path`, and into its metadata `metadata` with the progress of `state`.
// Unavailable: the file cannot be written.
absl::Status SaveTrainingState(const std::string& path, const TrainingState& state,
                               const CheckpointMetadata& metadata);

// Reads both back; `state` then is as it was, the default generators included. InvalidArgument: the
// file is not one that SaveTrainingState() wrote, or does not fit the model, the losses or the
// data, whose DataDigest() is state->progress.data_digest(). Other codes: those of
// ReadCheckpoint(). After an error the models may hold other weights.
absl::Status RestoreTrainingState(const std::string& path, const PreparedData& data,
                                  TrainingState* state, CheckpointMetadata* metadata);

}  // namespace cmerc

#endif  // CMERC_TRAINING_RESUME_H_
