// The gradients of a step as a whole: are they finite, how long is the vector of them all.
#ifndef CMERC_CALIBRATION_GRADIENTS_H_
#define CMERC_CALIBRATION_GRADIENTS_H_

#include <torch/types.h>

#include <vector>

namespace cmerc {

// The Euclidean norm of all numbers of `tensors` together; undefined ones count as 0. It is finite
// if and only if every number is: the sum is in float64, where no square of a float32 overflows.
// One pass over memory; the same bits for any number of threads. All are on one device, which is
// waited for once.
double NormOf(const std::vector<torch::Tensor>& tensors);

// Scales the gradients of `parameters`, whose norm is `norm`, to a norm of at most `max_norm`:
// times max_norm / (norm + 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_ does.
void ClipGradients(const std::vector<torch::Tensor>& parameters, double norm, double max_norm);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_GRADIENTS_H_
