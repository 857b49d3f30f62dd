#include "training/gradients.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/row_kernels.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kNumbersPerChunk = 1 << 15;
constexpr int64_t kChunksPerThread = 4;

// Numbers that are summed by themselves, so that the order of additions does not depend on threads.
struct Chunk {
  const float* numbers;
  int64_t size;
  double sum = 0;
};

}  // namespace

Tensor SumOfSquares(const std::vector<Tensor>& tensors) {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  std::vector<Tensor> others;  // norms, where they are
  std::vector<Tensor> dense;   // keeps copies alive
  std::vector<Chunk> chunks;
  int64_t total = 0;
  for (const Tensor& tensor : tensors) {
    if (!tensor.defined() || tensor.numel() == 0) continue;
    if (tensor.scalar_type() != torch::kFloat32 || !tensor.device().is_cpu() ||
        tensor.layout() != torch::kStrided) {
      others.push_back(torch::linalg_vector_norm(
          tensor.is_floating_point() ? tensor : tensor.to(torch::kFloat64), /*ord=*/2,
          /*dim=*/c10::nullopt, /*keepdim=*/false, torch::kFloat64));
      continue;
    }
    // The order of the numbers does not matter, only that each is there once.
    dense.push_back(tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous());
    const float* const numbers = dense.back().data_ptr<float>();
    for (int64_t begin = 0; begin < tensor.numel(); begin += kNumbersPerChunk) {
      chunks.push_back({numbers + begin, std::min(kNumbersPerChunk, tensor.numel() - begin)});
    }
    total += tensor.numel();
  }
  CountWork(2.0 * static_cast<double>(total), sizeof(float) * static_cast<double>(total));
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), kChunksPerThread,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t c = begin; c < end; ++c) {
                       chunks[c].sum = kernels::SumOfSquares(chunks[c].numbers, chunks[c].size);
                     }
                   });
  for (const Chunk& chunk : chunks) sum += chunk.sum;
  if (others.empty()) return torch::scalar_tensor(sum, torch::kFloat64);
  return torch::stack(others).square().sum() + sum;
}

double NormOf(const std::vector<Tensor>& tensors) {
  return std::sqrt(SumOfSquares(tensors).item<double>());
}

void ClipGradients(const std::vector<Tensor>& parameters, double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  if (!(factor < 1)) return;
  const torch::NoGradGuard no_grad;
  for (const Tensor& parameter : parameters) {
    if (parameter.grad().defined()) parameter.grad().mul_(factor);
  }
}

}  // namespace cmerc
