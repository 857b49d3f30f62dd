// The loops of high_frequency.h, vectorized for what the processor offers. No LibTorch here:
// pointers to float32 in memory.
//
// Letters: M modalities, n utterances of the conversation, H width of a node. The gate of an edge
// is tanh(receive + send): receive = w1 . g + b of the node at its end, send = w2 . g of the node
// at its beginning.
#ifndef CMERC_KERNELS_CPU_HIGH_FREQUENCY_KERNELS_H_
#define CMERC_KERNELS_CPU_HIGH_FREQUENCY_KERNELS_H_

#include <cstdint>

#include "kernels/cpu/graph_rows.h"

namespace cmerc::kernels {

// One layer of one conversation.
struct HighFrequencyPass {
  int64_t num_modalities;        // M
  int64_t length;                // n
  int64_t width;                 // H
  const float* within;           // [n, n]: the norms of the edges within a modality
  const float* between;          // [n]: the norm of every edge between modalities
  const float* receive_weight;   // w1: [H]
  const float* send_weight;      // w2: [H]
  float bias;                    // b
  GraphRows<const float> nodes;  // rows of H numbers, as everywhere
  float* receive;                // [M, n]
  float* send;                   // [M, n]
  // Forward only.
  GraphRows<float> result;
  // Backward only.
  GraphRows<const float> d_result;
  GraphRows<float> d_nodes;
  float* d_receive;  // [M, n]
  float* d_send;     // [M, n]
  // Forward only: of `within`, only the rows from this one on are there.
  int64_t within_first = 0;
};

// Each may be called for some utterances [first, last) at a time; an output element is a sum in the
// same order however they are divided, unless said.
struct HighFrequencyKernels {
  // First: writes `receive`, `send` and, to `result`, every node and what it gets from the other
  // modalities.
  void (*between_modalities)(const HighFrequencyPass& pass, int64_t first, int64_t last);
  // Then, for modality k: adds what the edges carry that end in [first, last). May throw
  // std::bad_alloc, like the next.
  void (*within_modality)(const HighFrequencyPass& pass, int64_t k, int64_t first, int64_t last);

  // First, for modality k: the edges that begin in [first, last). Writes their part of d_nodes and
  // d_send; and d_receive [n], all rows of it, for these edges alone.
  void (*within_modality_backward)(const HighFrequencyPass& pass, int64_t k, int64_t first,
                                   int64_t last, float* d_receive);
  // Then: completes d_nodes, d_receive and d_send. Adds to d_weights [2 H + 1], the gradients of
  // w1, w2 and b, what these utterances contribute.
  void (*between_modalities_backward)(const HighFrequencyPass& pass, int64_t first, int64_t last,
                                      float* d_weights);
};

// Those for the best instruction set that this processor has.
const HighFrequencyKernels& BestHighFrequencyKernels();

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_HIGH_FREQUENCY_KERNELS_H_
