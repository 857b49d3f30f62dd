#include "training/gradients.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "profile/scope.h"
#include "training/avx2.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kNumbersPerChunk = 1 << 15;
constexpr int64_t kChunksPerThread = 4;
constexpr int64_t kLanes = 8;

// Numbers that are summed by themselves, so that the order of additions does not depend on threads.
struct Chunk {
  const float* numbers;
  int64_t size;
  double sum = 0;
};

[[gnu::always_inline]] inline double SumOf(const float* numbers, int64_t size) {
  std::array<double, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = numbers[i + lane];
      lanes[lane] += value * value;
    }
  }
  double sum = 0;
  for (; i < size; ++i) sum += static_cast<double>(numbers[i]) * numbers[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

double SumOfSquaresBaseline(const float* numbers, int64_t size) { return SumOf(numbers, size); }

CMERC_AVX2 double SumOfSquaresAvx2(const float* numbers, int64_t size) {
  return SumOf(numbers, size);
}

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
  const auto sum_of_squares = HasAvx2() ? SumOfSquaresAvx2 : SumOfSquaresBaseline;
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), kChunksPerThread,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t c = begin; c < end; ++c) {
                       chunks[c].sum = sum_of_squares(chunks[c].numbers, chunks[c].size);
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
