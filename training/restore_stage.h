// A stage that was interrupted, read from its folder.
#ifndef CMERC_TRAINING_RESTORE_STAGE_H_
#define CMERC_TRAINING_RESTORE_STAGE_H_

#include "absl/status/statusor.h"
#include "storage/checkpoint.h"
#include "training/resume.h"
#include "training/stage_plan.h"

namespace cmerc {

// The weights in selected.pth and the epoch they are of; no weights and -1 before the first epoch
// was over.
struct SelectedWeights {
  StateDict weights;
  int epoch = 0;  // 1, 2, ...; 0: none yet
};

// Reads `state` of the stage from its resume.pth, and returns the weights that it had selected.
// They may be those of an epoch that `state` has yet to train: it was cut short after they were
// written, is trained again, and must then be selected again. Says on standard output where
// training goes on, and warns on standard error of what may change the last bits: other threads or
// versions.
//
// InvalidArgument: the file does not fit the model or the data (see RestoreTrainingState()), is of
// a run with another config, or --tensorboard was not there from the start. DataLoss: selected.pth
// holds another epoch or other weights than resume.pth says. Other codes: a file cannot be read.
absl::StatusOr<SelectedWeights> RestoreStage(const StagePlan& plan, TrainingState* state);

}  // namespace cmerc

#endif  // CMERC_TRAINING_RESTORE_STAGE_H_
