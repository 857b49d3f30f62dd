// M3Net's hypergraph (hypergraph.h) where an utterance draws on the past alone: for utterance i,
// the hyperedge of a modality joins the nodes of the utterances up to i,
//
//   m_{k,i} = sum_{j <= i} h_{k,j} / sum_{j <= i} ew_{k,j}
//
// and all else is as there.
#ifndef CMERC_BACKBONES_M3NET_PAST_HYPERGRAPH_H_
#define CMERC_BACKBONES_M3NET_PAST_HYPERGRAPH_H_

#include <vector>

#include "backbones/layers/packing.h"
#include "backbones/m3net/hypergraph.h"

namespace cmerc {

// As NormsByModality(), but `modality` is [M, N]: 1 / sum_{j <= i} ew_{k,j}.
HypergraphNorms PastNorms(const torch::Tensor& hyperedge_weight, const torch::Tensor& node_weight,
                          const Packing& packing);

// nodes: of each modality [N, H] -> [N, M, H], after a layer for each of `biases` [H].
torch::Tensor PastHypergraph(const std::vector<torch::Tensor>& nodes, const HypergraphNorms& norms,
                             const std::vector<torch::Tensor>& biases, const Packing& packing);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_PAST_HYPERGRAPH_H_
