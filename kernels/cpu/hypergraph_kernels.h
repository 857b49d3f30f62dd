// The loops of hypergraph.h, vectorized for what the processor offers. No LibTorch here: pointers
// to float32 in memory.
//
// Letters: M modalities, n utterances of the conversation, H width of a node.
#ifndef CMERC_KERNELS_CPU_HYPERGRAPH_KERNELS_H_
#define CMERC_KERNELS_CPU_HYPERGRAPH_KERNELS_H_

#include <cstdint>

#include "kernels/cpu/graph_rows.h"

namespace cmerc::kernels {

// One layer of one conversation. Rows have H numbers. The norms are those of HypergraphNorms.
struct HypergraphPass {
  int64_t num_modalities;       // M
  int64_t width;                // H
  std::vector<float> modality;  // [M]
  const float* utterance;       // [n]
  GraphRows<const float> node;  // one number a row
  const float* bias;            // [H]
  GraphRows<const float> nodes;
  const float* sums;  // [M, H], of the nodes over the conversation
  // Forward only.
  GraphRows<float> result;
  // Backward only.
  GraphRows<const float> activated;  // the result
  GraphRows<const float> d_result;
  float* d_utterance;       // [n], added to
  GraphRows<float> d_node;  // one number a row, added to
  float* d_sums;            // [n, H]: the gradient of what an utterance's nodes have in common
  GraphRows<float> d_nodes;
};

// Each for some utterances [first, last) at a time.
struct HypergraphKernels {
  // Writes sums [M, H] over these utterances.
  void (*sum_nodes)(const HypergraphPass& pass, int64_t first, int64_t last, float* sums);
  // Writes `result`.
  void (*forward)(const HypergraphPass& pass, int64_t first, int64_t last);

  // Adds what these utterances contribute to d_means [M, H], the gradients of the means of the
  // modalities, and to d_bias [H]; writes d_sums.
  void (*backward)(const HypergraphPass& pass, int64_t first, int64_t last, float* d_means,
                   float* d_bias);
  // Given the whole d_means, d_nodes; added to what is there with `add`.
  void (*finish_backward)(const HypergraphPass& pass, int64_t first, int64_t last,
                          const float* d_means, bool add);
};

// Those for the best instruction set that this processor has.
const HypergraphKernels& BestHypergraphKernels();

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_HYPERGRAPH_KERNELS_H_
