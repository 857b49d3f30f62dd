// Both graphs of M3Net on a GPU, by the kernels of kernels/.
#ifndef CMERC_BACKBONES_M3NET_DEVICE_GRAPH_FEATURES_H_
#define CMERC_BACKBONES_M3NET_DEVICE_GRAPH_FEATURES_H_

#include <vector>

#include "backbones/m3net/graph_features.h"

namespace cmerc {

// GraphFeatures() for nodes, norms, graph and layers on one GPU; elsewhere the kernels' twins do
// it. Throws where a kernel cannot start.
torch::Tensor DeviceGraphFeatures(const std::vector<torch::Tensor>& nodes,
                                  const HypergraphNorms& norms, const HighFrequencyGraph& graph,
                                  const GraphLayers& layers, const Packing& packing);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_DEVICE_GRAPH_FEATURES_H_
