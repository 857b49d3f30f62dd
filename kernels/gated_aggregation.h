// What the nodes of a modality send each other in M3Net's high-frequency graph, for all modalities
// and sequences at once (backbones/m3net/high_frequency.h has the whole layer):
//
//   y_i += sum_j n_ij tanh(a_i + b_j + c) x_j,   n_ij = context_ij scale_i scale_j
//
// within each sequence and modality. Letters: sequences.h. float32. A sum is added up in the same
// order each time.
//
// On the GPU the [n, n] gates are never in memory, neither forward nor backward; they are computed
// again where they are needed. On the CPU those of one sequence are, as in
// kernels/cpu/high_frequency_kernels.h, whose loops do the work there.
#ifndef CMERC_KERNELS_GATED_AGGREGATION_H_
#define CMERC_KERNELS_GATED_AGGREGATION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda_stream.h"
#include "kernels/sequences.h"

namespace cmerc::kernels {

struct GatedAggregation {
  Sequences sequences;
  int64_t num_modalities;  // M
  int64_t width;           // H

  const int64_t* first_pair;    // [S]: where each sequence begins in `context`
  const uint8_t* context;       // [sum n^2]: per sequence [n, n]; 1 where i draws on j, else 0
  const float* scale;           // [R]
  const float* receive;         // [M, R]: a_i + c
  const float* send;            // [M, R]: b_j
  ModalityRows<const float> x;  // [M, R, H]

  // Forward only.
  ModalityRows<float> result;  // [M, R, H], added to

  // Backward only; the gradients are written.
  ModalityRows<const float> d_result;  // [M, R, H]
  ModalityRows<float> d_x;             // [M, R, H], of these sums alone: not what y_i was before
  float* d_receive;                    // [M, R]; its sum is the gradient of c
  float* d_send;                       // [M, R]
  float* workspace;                    // GatedAggregationWorkspace() floats; GPU only
};

// May throw std::bad_alloc.
void RunGatedAggregation(const GatedAggregation& arguments);
void RunGatedAggregationBackward(const GatedAggregation& arguments);

// On the GPU, without waiting for it. Internal: CUDA refuses the launch.
absl::Status LaunchGatedAggregation(const GatedAggregation& arguments, CudaStream stream);
absl::Status LaunchGatedAggregationBackward(const GatedAggregation& arguments, CudaStream stream);
int64_t GatedAggregationWorkspace(const Sequences& sequences, int64_t num_modalities);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_GATED_AGGREGATION_H_
