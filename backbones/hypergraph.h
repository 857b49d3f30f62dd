// M3Net's hypergraph, dense per conversation (official model_hyper.py, HypergraphConv.py).
//
// A conversation of n utterances has one node per utterance and modality. Each lies in two
// hyperedges: its modality's (n nodes) and its utterance's (M nodes). With a weight ew per node and
// w per hyperedge, a layer computes
//
//   m_k = sum_i h_{k,i} / sum_i ew_{k,i}        u_i = sum_k h_{k,i} / sum_k ew_{k,i}
//   h'_{k,i} = LeakyReLU_0.01((m_k + u_i) / (w_k + w_i) + bias)
#ifndef CMERC_BACKBONES_HYPERGRAPH_H_
#define CMERC_BACKBONES_HYPERGRAPH_H_

#include "backbones/packing.h"

namespace cmerc {

// What all layers share: the reciprocals of the sums above; 0 where a sum is 0.
struct HypergraphNorms {
  torch::Tensor modality;   // [M, B]: 1 / sum_i ew_{k,i}
  torch::Tensor utterance;  // [N]: 1 / sum_k ew_{k,i}
  torch::Tensor node;       // [M, N]: 1 / (w_k + w_i)
};

// Weights that belong to modalities. hyperedge_weight [M + 1]: one per modality's hyperedge, then
// one for all utterances'. node_weight [M].
HypergraphNorms NormsByModality(const torch::Tensor& hyperedge_weight,
                                const torch::Tensor& node_weight, const Packing& packing);

// The official code's: weights belong to positions in the batch. Conversation b starts at node
// M * sum(n of earlier ones), modality after modality, and at hyperedge sum(n + M of earlier ones):
// its modalities, then its utterances. Throws where hyperedge_weight or node_weight is too short.
HypergraphNorms NormsByPosition(const torch::Tensor& hyperedge_weight,
                                const torch::Tensor& node_weight, int64_t num_modalities,
                                const Packing& packing);

// One layer. nodes [M, N, H] float32 on the CPU, bias [H] -> [M, N, H].
torch::Tensor HypergraphLayer(const torch::Tensor& nodes, const HypergraphNorms& norms,
                              const torch::Tensor& bias, const Packing& packing);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_HYPERGRAPH_H_
