// What the tests of the recurrent layers share: LibTorch's own layers as the reference.
#ifndef CMERC_TESTS_BACKBONES_LAYERS_RECURRENT_TESTING_H_
#define CMERC_TESTS_BACKBONES_LAYERS_RECURRENT_TESTING_H_

#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/module.h>
#include <torch/nn/utils/rnn.h>

#include <string>
#include <tuple>
#include <vector>

#include "backbones/layers/packing.h"

namespace cmerc {

// The lengths of the conversations of most tests.
inline const std::vector<int64_t> kLengths = {3, 1, 7, 7, 2};

// Expects equal shapes, and values that are equal but for the rounding of float32. `what` names the
// tensor in a failure.
void ExpectClose(const torch::Tensor& got, const torch::Tensor& want, const std::string& what);

int64_t Sum(const std::vector<int64_t>& lengths);

// Copies parameter values; the types may differ.
void CopyParameters(const torch::nn::Module& from, torch::nn::Module& to);

// The module's own forward pass on conversation-major rows.
template <typename Module>
torch::Tensor LibTorch(Module& module, const torch::Tensor& rows,
                       const std::vector<int64_t>& lengths) {
  const Packing::TimeMajor order =
      Packing(torch::tensor(lengths), torch::tensor(lengths).max().item<int64_t>(), torch::kCPU)
          .MakeTimeMajor();
  const torch::nn::utils::rnn::PackedSequence sequence(SelectRows(rows, order.order),
                                                       order.batch_sizes);
  const auto result = module->forward_with_packed_input(sequence);
  return PlaceRows(std::get<0>(result).data(), order.order, rows.size(0));
}

// Output, then the gradient of the input and of every parameter, for the loss sum(output * factor).
template <typename Module>
torch::autograd::variable_list Gradients(Module& module, const torch::Tensor& rows,
                                         const torch::Tensor& output, const torch::Tensor& factor) {
  torch::autograd::variable_list of = module->parameters();
  of.insert(of.begin(), rows);
  torch::autograd::variable_list result = torch::autograd::grad({(output * factor).sum()}, of);
  result.insert(result.begin(), output.detach());
  return result;
}

}  // namespace cmerc

#endif  // CMERC_TESTS_BACKBONES_LAYERS_RECURRENT_TESTING_H_
