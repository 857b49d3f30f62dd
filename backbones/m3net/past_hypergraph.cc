#include "backbones/m3net/past_hypergraph.h"

#include "backbones/layers/float32.h"
#include "profile/scope.h"

namespace cmerc {

using torch::Tensor;

HypergraphNorms PastNorms(const Tensor& hyperedge_weight, const Tensor& node_weight,
                          const Packing& packing) {
  HypergraphNorms norms = NormsByModality(hyperedge_weight, node_weight, packing);
  const Tensor times = torch::arange(1, packing.max_length() + 1, node_weight.options())
                           .expand({packing.num_conversations(), -1});
  // The sums of a conversation of one utterance, divided by how many there are.
  const Tensor zero = node_weight == 0;
  const Tensor first = node_weight.masked_fill(zero, 1).reciprocal().masked_fill(zero, 0);
  norms.modality = first.unsqueeze(1) / packing.Pack(times);
  return norms;
}

Tensor PastHypergraph(const std::vector<Tensor>& nodes, const HypergraphNorms& norms,
                      const std::vector<Tensor>& biases, const Packing& packing) {
  const ProfileScope scope("hypergraph");
  constexpr double kSlope = 0.01;
  const WithoutAutocast float32;
  Tensor h = Float32(torch::stack(nodes, 1));
  const Tensor by_modality = norms.modality.t().unsqueeze(2);  // [N, M, 1]
  const Tensor by_utterance = norms.utterance.view({-1, 1, 1});
  const Tensor by_node = norms.node.t().unsqueeze(2);
  for (const Tensor& bias : biases) {
    const Tensor of_modality = packing.Pack(packing.Pad(h).cumsum(1)) * by_modality;
    const Tensor of_utterance = h.sum(1, /*keepdim=*/true) * by_utterance;
    h = torch::leaky_relu((of_modality + of_utterance) * by_node + bias, kSlope);
  }
  return h;
}

}  // namespace cmerc
