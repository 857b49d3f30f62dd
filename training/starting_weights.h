// The weights that a run starts with in place of those that the seed draws:
// training.init_checkpoint.
#ifndef CMERC_TRAINING_STARTING_WEIGHTS_H_
#define CMERC_TRAINING_STARTING_WEIGHTS_H_

#include <torch/nn/module.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/run.pb.h"
#include "core/dataset.h"
#include "metrics/report.pb.h"
#include "storage/checkpoint.h"

namespace cmerc {

struct StartingWeights {
  StateDict taken;  // names and shapes are the model's
  // What the file is, what was not taken from it, and what speaks against it for this data.
  StartReport report;
};

// Chooses the tensors of `checkpoint`, which was read from training.init_checkpoint, for `model`, a
// model for data like `info`: those whose names fit init_parameters, which is all of them where
// that is empty, and do not fit init_skip.
//
// InvalidArgument, with all that is wrong: a chosen name is in the model or in the file alone, a
// chosen tensor has another shape or is not finite, a pattern fits no name in either, or nothing is
// left to take.
absl::StatusOr<StartingWeights> ChooseStartingWeights(const TrainingConfig& training,
                                                      const Checkpoint& checkpoint,
                                                      const DatasetInfo& info,
                                                      const torch::nn::Module& model);

// Copies the taken tensors into `model`. InvalidArgument: it has no tensors of these names and
// shapes.
absl::Status StartWith(const StartingWeights& start, torch::nn::Module& model);

// "starts with 34 of 36 tensors of a.pth (epoch 12); as the seed draws them: b, c", for the
// terminal.
std::string DescribeStart(const StartReport& report);

// Whether `name` fits `pattern`, in which * is any characters, none included, and ? is one.
bool FitsPattern(absl::string_view name, absl::string_view pattern);

}  // namespace cmerc

#endif  // CMERC_TRAINING_STARTING_WEIGHTS_H_
