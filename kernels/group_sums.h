// What the contrastive losses need of all pairs of utterances: with cosines u_i . u_j and groups of
// utterances,
//
//   log_sums[i, g] = log sum_{j != i, groups[j] = g} exp(u_i . u_j / temperature)
//
// and its gradient, without an [N, N] matrix. losses/group_log_sums.h is the same function of
// cosines that are in memory; both sums of every view of a loss, and its masks, follow from [N, G]
// (losses/contrastive.cc).
//
// Similarities are computed for kGroupSumsStrip utterances against all at a time, once forward and
// once backward, so memory grows with N. float32. A sum is added up in the same order each time,
// and exponentials are taken relative to the largest of their sum, so that none overflows.
#ifndef CMERC_KERNELS_GROUP_SUMS_H_
#define CMERC_KERNELS_GROUP_SUMS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda_stream.h"

namespace cmerc::kernels {

struct GroupSums {
  int64_t num;            // N utterances
  int64_t width;          // H
  int64_t num_groups;     // G
  float temperature;      // above 0
  const float* unit;      // [N, H]: rows of length 1, or 0 for one without a direction
  const int32_t* groups;  // [N], in [0, G)

  float* log_sums;  // [N, G]: written forward, read backward; kEmptyGroup where no j is left

  // Backward only.
  const float* d_log_sums;  // [N, G]; not read where log_sums is kEmptyGroup
  float* d_unit;            // [N, H], written

  float* workspace;  // GroupSumsWorkspace() floats, forward and backward
};

// Stands for the logarithm of 0, as in losses/group_log_sums.h.
constexpr float kEmptyGroup = -1e30F;

constexpr int64_t kGroupSumsStrip = 512;

// min(N, kGroupSumsStrip) * N
int64_t GroupSumsWorkspace(int64_t num);

// May throw std::bad_alloc.
void RunGroupSums(const GroupSums& arguments);
void RunGroupSumsBackward(const GroupSums& arguments);

// On the GPU, without waiting for it. Internal: CUDA refuses a launch.
absl::Status LaunchGroupSums(const GroupSums& arguments, CudaStream stream);
absl::Status LaunchGroupSumsBackward(const GroupSums& arguments, CudaStream stream);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_GROUP_SUMS_H_
