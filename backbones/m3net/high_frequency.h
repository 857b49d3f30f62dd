// M3Net's high-frequency graph, dense per conversation (official high_fre_conv.py).
//
// One node per utterance and modality; the neighbors of (k, i) are (k, j) for every other
// utterance j in i's context, and (k', i) for every other modality k'. deg is their number. A layer
// computes
//
//   g_i <- g_i + sum_j (deg_i deg_j)^(-1/2) tanh(w1.g_i + w2.g_j + b) g_j
//
// The gate splits into a_i + b_j, so that within a modality and conversation of n utterances the
// sum is one [n, n] matrix times g. A conversation goes through all layers while its nodes are in
// the processor's cache; for the backward pass only the nodes and the a_i and b_j are kept.
#ifndef CMERC_BACKBONES_M3NET_HIGH_FREQUENCY_H_
#define CMERC_BACKBONES_M3NET_HIGH_FREQUENCY_H_

#include <cstdint>
#include <vector>

#include "backbones/layers/packing.h"
#include "backbones/m3net/conversation_blocks.h"
#include "kernels/cpu/graph_rows.h"
#include "kernels/cpu/high_frequency_kernels.h"

namespace cmerc {

// What all layers share.
struct HighFrequencyGraph {
  torch::Tensor within;   // [sum n^2]: per conversation an [n, n] matrix of (deg_i deg_j)^(-1/2)
                          // for neighbors of a modality, else 0
  torch::Tensor between;  // [N]: 1 / deg_i
  // Of long conversations, without gradients, `within` is undefined, and rows of it are made when
  // they are needed. Else these are.
  torch::Tensor context;  // [B, T, T] bool: as it was given
  torch::Tensor scale;    // [N]: deg_i^(-1/2)
};

// context: [B, T, T] bool; its diagonal and padding are ignored.
HighFrequencyGraph MakeHighFrequencyGraph(const torch::Tensor& context, int64_t num_modalities,
                                          const Packing& packing);

// Layers one after the other, on plain memory: graph_features.h calls them.
class HighFrequencyLayers {
 public:
  // gates: for each of L layers the weight [1, 2 H], which is [w1 | w2], and b [1]; contiguous. Of
  // `graph`, tensors that are not there may be empty as well.
  HighFrequencyLayers(HighFrequencyGraph graph, at::TensorList gates, int64_t num_modalities,
                      int64_t width);

  // What the backward pass needs of the forward pass.
  struct Kept {
    torch::Tensor nodes;      // [L - 1, M, N, H]: what layers after the first read
    torch::Tensor arguments;  // [L, 2, M * N]: a and b, per conversation [M, n]
  };
  Kept MakeKept(const ConversationBlocks& blocks) const;

  // Without `kept`, nothing is. Not for L = 0.
  void Forward(const ConversationBlocks& blocks, const kernels::GraphRows<const float>& nodes,
               const Kept* kept, const kernels::GraphRows<float>& result) const;

  // For a graph that has `within`. Writes d_nodes. Returns the gradients of the gates, [L, 2 H +
  // 1], each [w1 | w2 | b].
  torch::Tensor Backward(const ConversationBlocks& blocks,
                         const kernels::GraphRows<const float>& nodes, const Kept& kept,
                         const kernels::GraphRows<const float>& d_result,
                         const kernels::GraphRows<float>& d_nodes) const;

  int64_t num_layers() const { return static_cast<int64_t>(gates_.size()) / 2; }  // L

 private:
  // A pass of layer l, without nodes and results.
  kernels::HighFrequencyPass Pass(const ConversationBlocks::Conversation& c, int64_t l) const;
  // Adds what the edges carry that end in utterances [first, last).
  void AddWithinModality(const kernels::HighFrequencyPass& pass,
                         const ConversationBlocks::Conversation& c, int64_t k, int64_t first,
                         int64_t last) const;
  // norms [last - first, n]: those rows of `within` of a conversation.
  void MakeNorms(const ConversationBlocks::Conversation& c, int64_t first, int64_t last,
                 float* norms) const;
  // Whether rows of `within` are made when they are needed.
  bool by_rows() const { return graph_.scale.defined() && graph_.scale.numel() > 0; }
  // Lets it read, and in the forward direction write, what is kept.
  void Use(const Kept& kept, const ConversationBlocks& blocks,
           const ConversationBlocks::Conversation& c, int64_t l,
           kernels::HighFrequencyPass& pass) const;
  // Products of H numbers per layer and pair of nodes with an edge; tensors of the size of all
  // nodes that are read or written.
  void CountPasses(const ConversationBlocks& blocks, double products, double tensors) const;

  const int64_t num_modalities_, width_;  // M, H
  const HighFrequencyGraph graph_;
  const std::vector<torch::Tensor> gates_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_HIGH_FREQUENCY_H_
