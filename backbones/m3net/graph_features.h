// Both graphs of M3Net, from the nodes to the features: hypergraph.h and high_frequency.h. What
// they compute is written where the features have it, and read there in the backward pass.
#ifndef CMERC_BACKBONES_M3NET_GRAPH_FEATURES_H_
#define CMERC_BACKBONES_M3NET_GRAPH_FEATURES_H_

#include <vector>

#include "backbones/layers/packing.h"
#include "backbones/m3net/high_frequency.h"
#include "backbones/m3net/hypergraph.h"

namespace cmerc {

// The layers of both graphs; either may have none.
struct GraphLayers {
  std::vector<torch::Tensor> hypergraph_biases;  // [H] each
  std::vector<torch::Tensor> gate_weights;       // of the high-frequency layers: [1, 2 H] each
  std::vector<torch::Tensor> gate_biases;        // [1] each
};

// nodes: of each modality [N, H], float32 or bfloat16. Both graphs start from them. norms and graph
// are not read without layers of theirs. Returns [N, M * 2 * H]: for each modality what the
// hypergraph makes of its nodes, then what the high-frequency graph does. Gradients cannot be
// differentiated again.
torch::Tensor GraphFeatures(const std::vector<torch::Tensor>& nodes, const HypergraphNorms& norms,
                            const HighFrequencyGraph& graph, const GraphLayers& layers,
                            const Packing& packing);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_GRAPH_FEATURES_H_
