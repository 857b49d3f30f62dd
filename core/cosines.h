// The cosine similarity of every pair of utterances. It is the costliest part of a contrastive
// loss, and the losses of a step all compare the same features.
#ifndef CMERC_CORE_COSINES_H_
#define CMERC_CORE_COSINES_H_

#include <cstdint>

#include "torch/types.h"

namespace cmerc {

// features [N, H], float32 or float64 -> [N, N], symmetric. A row shorter than 1e-12 has no
// direction: its cosine with every row, itself included, is 0, and it gets no gradient. Costs 0.6
// of a matrix product of [N, H] and [H, N] forward, and a whole one backward.
torch::Tensor PairwiseCosines(const torch::Tensor& features);

// [N, H]: each row of features [N, H] divided by its length; 0, and without a gradient, where it
// has no direction. Differentiable, by LibTorch's own operators.
torch::Tensor UnitRows(const torch::Tensor& features);

// Remembers the cosines of the last features it was asked for. All who ask for the same features
// get one and the same tensor, so that its backward pass runs once too, on the sum of their
// gradients. Computes them again where the features were changed in place or now need a gradient.
class CosineCache {
 public:
  torch::Tensor Of(const torch::Tensor& features);

 private:
  torch::Tensor features_;
  torch::Tensor cosines_;
  int64_t version_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_CORE_COSINES_H_
