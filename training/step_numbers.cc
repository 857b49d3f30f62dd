#include "training/step_numbers.h"

namespace cmerc {

torch::Tensor Encode(const StepTensors& tensors) {
  std::vector<torch::Tensor> all = tensors.losses;
  all.insert(all.end(), {tensors.total, tensors.squares_of_buffers,
                         tensors.squares_of_gradients.defined()
                             ? tensors.squares_of_gradients
                             : torch::zeros_like(tensors.squares_of_buffers),
                         tensors.predicted});
  for (torch::Tensor& tensor : all) tensor = tensor.detach().reshape({-1}).to(torch::kFloat64);
  return torch::cat(all);
}

StepNumbers Decode(const torch::Tensor& encoded, size_t num_losses) {
  const torch::Tensor on_host = encoded.cpu();
  const auto* next = on_host.data_ptr<double>();
  const auto* const end = next + on_host.numel();
  StepNumbers numbers;
  numbers.losses.assign(next, next + num_losses);
  next += num_losses;
  numbers.total = *next++;
  numbers.squares_of_buffers = *next++;
  numbers.squares_of_gradients = *next++;
  numbers.predicted.assign(next, end);
  return numbers;
}

}  // namespace cmerc
