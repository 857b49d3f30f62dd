#include "backbones/hypergraph.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr double kNegativeSlope = 0.01;

// 1 / x, and 0 (with a gradient of 0, not NaN) where x is 0.
Tensor ReciprocalOrZero(const Tensor& x) {
  const Tensor zero = x == 0;
  return x.masked_fill(zero, 1).reciprocal().masked_fill(zero, 0);
}

}  // namespace

HypergraphNorms NormsByModality(const Tensor& hyperedge_weight, const Tensor& node_weight,
                                const Packing& packing) {
  const int64_t num_modalities = node_weight.size(0);
  const Tensor sizes = packing.weights().sum(1).view({-1, 1, 1});
  HypergraphNorms norms;
  norms.utterance = ReciprocalOrZero(node_weight.sum());
  for (int64_t k = 0; k < num_modalities; ++k) {
    norms.modality.push_back(ReciprocalOrZero(sizes * node_weight[k]));
    norms.node.push_back(ReciprocalOrZero(hyperedge_weight[k] + hyperedge_weight[num_modalities]));
  }
  return norms;
}

HypergraphNorms NormsByPosition(const Tensor& hyperedge_weight, const Tensor& node_weight,
                                int64_t num_modalities, const Packing& packing) {
  const int64_t num_nodes = num_modalities * packing.num_utterances();
  const int64_t num_hyperedges =
      packing.num_utterances() + num_modalities * packing.num_conversations();
  TORCH_CHECK_VALUE(num_hyperedges <= hyperedge_weight.size(0) && num_nodes <= node_weight.size(0),
                    "M3Net with semantics: OFFICIAL has weights for ", hyperedge_weight.size(0),
                    " hyperedges and ", node_weight.size(0), " nodes, and this batch of ",
                    packing.num_conversations(), " conversations and ", packing.num_utterances(),
                    " utterances needs ", num_hyperedges, " and ", num_nodes,
                    "; use a smaller batch, or semantics: CORRECTED, which has no limit");
  const auto device = packing.valid().device();
  const Tensor lengths = packing.lengths();
  const Tensor starts = lengths.cumsum(0) - lengths;  // [B]: utterances before
  const Tensor time = torch::arange(packing.max_length()).unsqueeze(0);
  const Tensor valid = packing.valid().unsqueeze(2);
  // Positions of padding are past the end: they read entry 0, and what is read never counts.
  const auto gather = [&](const Tensor& weight, const Tensor& positions) {
    const Tensor index = positions.flatten().to(device);
    return weight.index_select(0, index.masked_fill(index >= weight.size(0), 0))
        .view({positions.size(0), positions.size(1), 1});
  };
  const Tensor first_hyperedge =
      (starts + num_modalities * torch::arange(lengths.size(0))).unsqueeze(1);  // [B, 1]
  const Tensor of_utterance =
      gather(hyperedge_weight, first_hyperedge + num_modalities + time);  // [B, T, 1]
  HypergraphNorms norms;
  Tensor utterance_sum;
  for (int64_t k = 0; k < num_modalities; ++k) {
    const Tensor nodes = gather(
        node_weight, (num_modalities * starts + k * lengths).unsqueeze(1) + time);  // [B, T, 1]
    norms.modality.push_back(
        ReciprocalOrZero(nodes.masked_fill(~valid, 0).sum(1, /*keepdim=*/true)));
    utterance_sum = k == 0 ? nodes : utterance_sum + nodes;
    norms.node.push_back(
        ReciprocalOrZero(gather(hyperedge_weight, first_hyperedge + k) + of_utterance));
  }
  norms.utterance = ReciprocalOrZero(utterance_sum);
  return norms;
}

std::vector<Tensor> HypergraphLayer(const std::vector<Tensor>& nodes, const HypergraphNorms& norms,
                                    const Tensor& bias, const Packing& packing) {
  const Tensor real = packing.weights().unsqueeze(1);  // [B, 1, T]
  Tensor sum = nodes[0];
  for (size_t k = 1; k < nodes.size(); ++k) sum = sum + nodes[k];
  const Tensor utterances = sum * norms.utterance;  // [B, T, H]
  std::vector<Tensor> result;
  for (size_t k = 0; k < nodes.size(); ++k) {
    const Tensor modality = torch::bmm(real, nodes[k]) * norms.modality[k];  // [B, 1, H]
    result.push_back(torch::leaky_relu(torch::addcmul(bias, modality + utterances, norms.node[k]),
                                       kNegativeSlope));
  }
  return result;
}

}  // namespace cmerc
