// losses/group_log_sums.h on a GPU, by kernels/group_sums.h.
#ifndef CMERC_LOSSES_DEVICE_GROUP_LOG_SUMS_H_
#define CMERC_LOSSES_DEVICE_GROUP_LOG_SUMS_H_

#include <cstdint>

#include "torch/types.h"

namespace cmerc {

// GroupLogSums(PairwiseCosines(features), groups, ...) without the [N, N] cosines, for features
// [N, H] and groups [N] on one GPU; on the CPU, the kernel's twin does it. Computes in float32;
// [N, G] float32, differentiable in features. Memory: min(N, 512) N floats while it runs. Throws
// where the kernel cannot start.
torch::Tensor DeviceGroupLogSums(const torch::Tensor& features, const torch::Tensor& groups,
                                 int64_t num_groups, double temperature);

}  // namespace cmerc

#endif  // CMERC_LOSSES_DEVICE_GROUP_LOG_SUMS_H_
