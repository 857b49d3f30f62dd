// M3Net's hypergraph, dense per conversation (official model_hyper.py, HypergraphConv.py).
//
// A conversation of n utterances has one node per utterance and modality. Each lies in two
// hyperedges: its modality's (n nodes) and its utterance's (M nodes). With a weight ew per node and
// w per hyperedge, a layer computes
//
//   m_k = sum_i h_{k,i} / sum_i ew_{k,i}        u_i = sum_k h_{k,i} / sum_k ew_{k,i}
//   h'_{k,i} = LeakyReLU_0.01((m_k + u_i) / (w_k + w_i) + bias)
//
// A conversation goes through all layers while its nodes are in the processor's cache.
#ifndef CMERC_BACKBONES_M3NET_HYPERGRAPH_H_
#define CMERC_BACKBONES_M3NET_HYPERGRAPH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "backbones/layers/packing.h"
#include "backbones/m3net/conversation_blocks.h"
#include "kernels/cpu/graph_rows.h"
#include "kernels/cpu/hypergraph_kernels.h"

namespace cmerc {

// What all layers share: the reciprocals of the sums above; 0 where a sum is 0.
struct HypergraphNorms {
  torch::Tensor modality;   // [M, B]: 1 / sum_i ew_{k,i}, but for past_hypergraph.h
  torch::Tensor utterance;  // [N]: 1 / sum_k ew_{k,i}
  torch::Tensor node;       // [M, N]: 1 / (w_k + w_i)
};

// Weights that belong to modalities. hyperedge_weight [M + 1]: one per modality's hyperedge, then
// one for all utterances'. node_weight [M].
HypergraphNorms NormsByModality(const torch::Tensor& hyperedge_weight,
                                const torch::Tensor& node_weight, const Packing& packing);

// Why `hyperedges` and `nodes` weights of the official code are too few for a batch of so many
// conversations and utterances, and what to do; "" where they are not.
std::string WhyTooFewWeights(int64_t hyperedges, int64_t nodes, int64_t num_modalities,
                             int64_t num_conversations, int64_t num_utterances);

// The official code's: weights belong to positions in the batch. Conversation b starts at node
// M * sum(n of earlier ones), modality after modality, and at hyperedge sum(n + M of earlier ones):
// its modalities, then its utterances. Throws where hyperedge_weight or node_weight is too short.
HypergraphNorms NormsByPosition(const torch::Tensor& hyperedge_weight,
                                const torch::Tensor& node_weight, int64_t num_modalities,
                                const Packing& packing);

// Layers one after the other, on plain memory: graph_features.h calls them.
class HypergraphLayers {
 public:
  // norms and biases [H] of each of L layers, all contiguous.
  HypergraphLayers(const HypergraphNorms& norms, at::TensorList biases, int64_t num_modalities,
                   int64_t width);

  // [L - 1, M, N, H]: what the backward pass needs, the results of all layers but the last.
  torch::Tensor MakeKept(const ConversationBlocks& blocks) const;

  // Without `kept` (null), nothing is. Not for L = 0.
  void Forward(const ConversationBlocks& blocks, const kernels::GraphRows<const float>& nodes,
               const torch::Tensor* kept, const kernels::GraphRows<float>& result) const;

  struct Gradients {
    HypergraphNorms norms;
    torch::Tensor biases;  // [L, H]
  };
  // Adds to d_nodes.
  Gradients Backward(const ConversationBlocks& blocks, const kernels::GraphRows<const float>& nodes,
                     const torch::Tensor& kept, const kernels::GraphRows<const float>& result,
                     const kernels::GraphRows<const float>& d_result,
                     const kernels::GraphRows<float>& d_nodes) const;

  int64_t num_layers() const { return static_cast<int64_t>(biases_.size()); }  // L

 private:
  // A pass of layer l, without nodes and results.
  kernels::HypergraphPass Pass(const ConversationBlocks::Conversation& c, int64_t l) const;
  struct BackwardMemory;
  // The backward pass of layer l, whose nodes, results and gradients `pass` has. Adds to d_norms
  // and d_bias [blocks, H].
  void LayerBackward(const ConversationBlocks::Conversation& c, int64_t l,
                     const BackwardMemory& memory, const HypergraphNorms& d_norms, float* d_bias,
                     kernels::HypergraphPass& pass) const;
  // [M, H] in `sums`: of pass.nodes. parts: [blocks, M, H].
  void Sum(const ConversationBlocks::Conversation& c, const kernels::HypergraphPass& pass,
           float* parts, float* sums) const;
  // Operations per number of all nodes; tensors of that size that are read or written.
  void CountPasses(const ConversationBlocks& blocks, double arithmetic, double tensors) const;

  const int64_t num_modalities_, width_;  // M, H
  const HypergraphNorms norms_;
  const std::vector<torch::Tensor> biases_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_HYPERGRAPH_H_
