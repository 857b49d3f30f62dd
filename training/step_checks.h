// Whether a step may be taken with what was computed for it. Every refusal is an OutOfRange error.
#ifndef CMERC_TRAINING_STEP_CHECKS_H_
#define CMERC_TRAINING_STEP_CHECKS_H_

#include <torch/types.h>

#include <vector>

#include "absl/status/status.h"
#include "core/loss.h"
#include "training/step_context.h"
#include "training/step_numbers.h"

namespace cmerc {

// OutOfRange: a loss, the weighted sum of the losses or a buffer of context.live is not finite. The
// message names it, and of a loss the first tensor of `input` (what the losses saw) or of the model
// that is not finite.
absl::Status CheckLosses(const StepContext& context, const StepNumbers& numbers,
                         const LossInput& input);

// Scales the gradients of `parameters` to a norm of context.training.gradient_clip_norm where that
// is set. OutOfRange: a gradient is not finite, or the gradients are so large, and not clipped,
// that float32 cannot hold the square of their norm.
absl::Status CheckAndClipGradients(const StepContext& context, const StepNumbers& numbers,
                                   const std::vector<torch::Tensor>& parameters);

}  // namespace cmerc

#endif  // CMERC_TRAINING_STEP_CHECKS_H_
