// Which numbers are not finite, for messages.
#ifndef CMERC_CALIBRATION_NOT_FINITE_H_
#define CMERC_CALIBRATION_NOT_FINITE_H_

#include <torch/nn/module.h>

#include <string>

#include "core/loss.h"

namespace cmerc {

// The first number of `tensor`, in row-major order, that is not finite: "nan at [3, 17]", "inf" of
// a scalar; "" where all are finite, or the tensor is undefined.
std::string NotFiniteIn(const torch::Tensor& tensor);

// "" where all numbers of the kind are finite, or else the first tensor in which they are not:
//   predictions  "log_probs of the full prediction: nan at [0, 2]", "features without audio: ..."
//   parameters   "the parameter head.weight: inf at [1, 0]"
//   gradients    "the gradient of head.weight: inf at [1, 0]"
//   buffers      "the buffer norm.running_var: inf at [4]"
std::string NotFinitePrediction(const LossInput& input);
std::string NotFiniteParameter(const torch::nn::Module& module);
std::string NotFiniteGradient(const torch::nn::Module& module);
std::string NotFiniteBuffer(const torch::nn::Module& module);

// The gradient with the largest number: "the gradient of head.weight: 2e+20 at [1, 0]". All are
// finite and at least one is defined.
std::string LargestGradient(const torch::nn::Module& module);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_NOT_FINITE_H_
