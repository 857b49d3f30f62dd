#include "backbones/layers/matching_attention.h"

#include "backbones/layers/float32.h"
#include "backbones/layers/row_blocks.h"

namespace cmerc {

torch::Tensor MatchingAttention(const torch::Tensor& queries, const torch::Tensor& x,
                                const torch::Tensor& context) {
  const torch::Tensor scores = Float32(queries.bmm(x.transpose(1, 2))).tanh();
  // The official code takes a softmax over everything, clears what is masked and divides by the
  // sum of the rest. That softmax's denominator cancels, and scores in (-1, 1) need no maximum.
  const torch::Tensor masses = scores.exp() * context;
  // A mass in context is at least exp(-1), so only rows without any are clamped.
  return masses / masses.sum(2, /*keepdim=*/true).clamp_min(0.1);
}

torch::Tensor GatherByMatching(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, const torch::Tensor& context) {
  const torch::Tensor queries = torch::linear(x, weight, bias);
  const RowBlocks blocks(x.size(1), x.size(0) * x.size(1));
  return blocks.Gather(1, [&](int64_t first, int64_t count) {
    return MatchingAttention(RowsOf(queries, 1, first, count), x, RowsOf(context, 1, first, count))
        .bmm(x);
  });
}

}  // namespace cmerc
