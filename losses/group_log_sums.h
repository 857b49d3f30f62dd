// Sums of similarities over groups of utterances, the one part of the contrastive losses that walks
// over all pairs.
#ifndef CMERC_LOSSES_GROUP_LOG_SUMS_H_
#define CMERC_LOSSES_GROUP_LOG_SUMS_H_

#include <cstdint>

#include "torch/types.h"

namespace cmerc {

// Stands for the logarithm of 0. Finite, so that the gradient of log-sum-exp is 0, not NaN, where
// there is nothing to add up; exp() of it is 0 in float32 and float64.
constexpr double kLogZero = -1e30;

// [N, G]: log sum_{j != i, groups[j] = g} exp(cosines_ij / temperature); kLogZero where there is no
// such j. Exact wherever the result itself is representable, for the exponentials are taken
// relative to the largest of their sum. Differentiable in cosines.
//
// cosines: [N, N] float32 or float64 on the CPU, its diagonal is ignored; groups: [N] int64 in
// [0, G). Memory: one [N, N] tensor for the backward pass.
torch::Tensor GroupLogSums(const torch::Tensor& cosines, const torch::Tensor& groups,
                           int64_t num_groups, double temperature);

}  // namespace cmerc

#endif  // CMERC_LOSSES_GROUP_LOG_SUMS_H_
