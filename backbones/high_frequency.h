// M3Net's high-frequency graph, dense per conversation (official high_fre_conv.py).
//
// One node per utterance and modality; the neighbours of (k, i) are (k, j) for every other
// utterance j in i's context, and (k', i) for every other modality k'. deg is their number. A layer
// computes
//
//   g_i <- g_i + sum_j (deg_i deg_j)^(-1/2) tanh(w1.g_i + w2.g_j + b) g_j
//
// The gate splits into a_i + b_j, so that within a modality and conversation of n utterances the
// sum is one [n, n] matrix times g.
#ifndef CMERC_BACKBONES_HIGH_FREQUENCY_H_
#define CMERC_BACKBONES_HIGH_FREQUENCY_H_

#include "backbones/packing.h"

namespace cmerc {

// What all layers share.
struct HighFrequencyGraph {
  torch::Tensor within;   // [sum n^2]: per conversation an [n, n] matrix of (deg_i deg_j)^(-1/2)
                          // for neighbours of a modality, else 0
  torch::Tensor between;  // [N]: 1 / deg_i
};

// context: [B, T, T] bool; its diagonal and padding are ignored.
HighFrequencyGraph MakeHighFrequencyGraph(const torch::Tensor& context, int64_t num_modalities,
                                          const Packing& packing);

// One layer. nodes [M, N, H] float32 on the CPU -> [M, N, H]. gate_weight [1, 2 H] is [w1 | w2],
// gate_bias [1].
torch::Tensor HighFrequencyLayer(const torch::Tensor& nodes, const HighFrequencyGraph& graph,
                                 const torch::Tensor& gate_weight, const torch::Tensor& gate_bias,
                                 const Packing& packing);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_HIGH_FREQUENCY_H_
