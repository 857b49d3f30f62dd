// One layer of M3Net's hypergraph, for all modalities and sequences at once
// (backbones/m3net/hypergraph.h has the mathematics and its source):
//
//   m_k = modality_k sum_i h_ki,  u_i = utterance_i sum_k h_ki     within each sequence
//   y_ki = LeakyReLU_0.01(node_ki (m_k + u_i) + bias)
//
// Letters: sequences.h. float32. A sum is added up in the same order each time. On the CPU the
// loops of kernels/cpu/hypergraph_kernels.h do the work.
#ifndef CMERC_KERNELS_HYPERGRAPH_MEAN_H_
#define CMERC_KERNELS_HYPERGRAPH_MEAN_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/cuda_stream.h"
#include "kernels/sequences.h"

namespace cmerc::kernels {

struct HypergraphMean {
  Sequences sequences;
  int64_t num_modalities;  // M, at most kHypergraphMeanModalities
  int64_t width;           // H

  const float* modality;            // [M, S]
  const float* utterance;           // [R]
  const float* node;                // [M, R]
  const float* bias;                // [H]
  ModalityRows<const float> nodes;  // [M, R, H]: h

  // Forward only.
  ModalityRows<float> result;  // [M, R, H]

  // Backward only; the gradients are written.
  ModalityRows<const float> activated;  // [M, R, H]: y
  ModalityRows<const float> d_result;   // [M, R, H]
  ModalityRows<float> d_nodes;          // [M, R, H]
  float* d_modality;                    // [M, S]
  float* d_utterance;                   // [R]
  float* d_node;                        // [M, R]
  float* d_bias;                        // [H]
  float* workspace;                     // HypergraphMeanWorkspace() floats; GPU only
};

// The GPU keeps sums of every modality in registers or shared memory.
constexpr int64_t kHypergraphMeanModalities = 8;

// May throw std::bad_alloc.
void RunHypergraphMean(const HypergraphMean& arguments);
void RunHypergraphMeanBackward(const HypergraphMean& arguments);

// On the GPU, without waiting for it. InvalidArgument: too many modalities. Internal: CUDA refuses
// the launch.
absl::Status LaunchHypergraphMean(const HypergraphMean& arguments, CudaStream stream);
absl::Status LaunchHypergraphMeanBackward(const HypergraphMean& arguments, CudaStream stream);
int64_t HypergraphMeanWorkspace(const Sequences& sequences, int64_t num_modalities, int64_t width);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_HYPERGRAPH_MEAN_H_
