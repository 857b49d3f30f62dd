// The gradients of a step as a whole: are they finite, how long is the vector of them all.
#ifndef CMERC_TRAINING_GRADIENTS_H_
#define CMERC_TRAINING_GRADIENTS_H_

#include <torch/types.h>

#include <vector>

namespace cmerc {

// The sum of the squares of all numbers of `tensors` together, [] float64, where they are: nothing
// is waited for. Undefined ones count as 0. It is finite if and only if every number is, since no
// square of a float32 overflows float64. One pass over memory; on the CPU the same bits for any
// number of threads. All are on one device.
torch::Tensor SumOfSquares(const std::vector<torch::Tensor>& tensors);

// Its root, the Euclidean norm. A GPU is waited for.
double NormOf(const std::vector<torch::Tensor>& tensors);

// Scales the gradients of `parameters`, whose norm is `norm`, to a norm of at most `max_norm`:
// times max_norm / (norm + 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_ does.
void ClipGradients(const std::vector<torch::Tensor>& parameters, double norm, double max_norm);

}  // namespace cmerc

#endif  // CMERC_TRAINING_GRADIENTS_H_
