// The numbers that a step is judged and reported by. They are computed where the model is and come
// to the host in one tensor, so that a GPU is waited for once.
#ifndef CMERC_TRAINING_STEP_NUMBERS_H_
#define CMERC_TRAINING_STEP_NUMBERS_H_

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cmerc {

// On the host.
struct StepNumbers {
  std::vector<double> losses;       // each before its weight
  double total = 0;                 // their weighted sum
  double squares_of_buffers = 0;    // sum of the squares of all numbers in the model's buffers
  double squares_of_gradients = 0;  // the same for the gradients; 0 before the backward pass
  std::vector<int64_t> predicted;   // [L]: the class of the full prediction, labelled utterances
};

// Where the model is. All are on one device.
struct StepTensors {
  std::vector<torch::Tensor> losses;   // [] each
  torch::Tensor total;                 // []
  torch::Tensor squares_of_buffers;    // [] float64
  torch::Tensor squares_of_gradients;  // [] float64; undefined before the backward pass
  torch::Tensor predicted;             // [L] int64
};

// One float64 tensor of all the numbers, where they are, without a gradient and without waiting for
// the device. float64 holds every class and every float32. Throws what LibTorch throws.
torch::Tensor Encode(const StepTensors& tensors);

// The numbers that Encode() was given; a GPU is waited for. `num_losses` is the number of losses.
// Throws what LibTorch throws.
StepNumbers Decode(const torch::Tensor& encoded, size_t num_losses);

}  // namespace cmerc

#endif  // CMERC_TRAINING_STEP_NUMBERS_H_
