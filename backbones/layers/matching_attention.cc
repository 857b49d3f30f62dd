#include "backbones/layers/matching_attention.h"

#include "backbones/layers/float32.h"

namespace cmerc {

torch::Tensor MatchingAttention(const torch::Tensor& x, const torch::Tensor& weight,
                                const torch::Tensor& bias, const torch::Tensor& context) {
  const torch::Tensor scores =
      Float32(torch::linear(x, weight, bias).bmm(x.transpose(1, 2))).tanh();
  // The official code takes a softmax over everything, clears what is masked and divides by the
  // sum of the rest. That softmax's denominator cancels, and scores in (-1, 1) need no maximum.
  const torch::Tensor masses = scores.exp() * context;
  // A mass in context is at least exp(-1), so only rows without any are clamped.
  return masses / masses.sum(2, /*keepdim=*/true).clamp_min(0.1);
}

}  // namespace cmerc
