// An average of a model's weights over the steps of its training.
#ifndef CMERC_TRAINING_WEIGHT_AVERAGE_H_
#define CMERC_TRAINING_WEIGHT_AVERAGE_H_

#include <torch/nn/module.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace cmerc {

// The part that the weights after step n = 1, 2, ... have in the average of the weights after each
// of n steps, in which each is `decay` times as heavy as the one after it:
// (1 - decay) / (1 - decay^n), which is 1 for the first and falls to 1 - decay. 0 < decay < 1.
double ShareOfStep(double decay, int64_t n);

class WeightAverage {
 public:
  // Both modules, which have the same names and shapes and are on one device, outlive this.
  WeightAverage(const torch::nn::Module& live, const torch::nn::Module& average);

  // average += share * (live - average) for every parameter and every buffer of floating point
  // numbers, such as the running statistics of batch normalization; other buffers, such as counts
  // of batches, are copied. Throws what LibTorch throws.
  void Add(double share);

 private:
  std::vector<std::pair<torch::Tensor, torch::Tensor>> pairs_;  // of `live` and of the average
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_WEIGHT_AVERAGE_H_
