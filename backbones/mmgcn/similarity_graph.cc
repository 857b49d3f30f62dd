#include "backbones/mmgcn/similarity_graph.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr double kPi = 3.14159265358979323846;

// Keeps the derivative of the arc cosine finite (official create_big_adj).
constexpr double kShrink = 0.99999;

constexpr double kShortest = 1e-12;

// x [N, D] -> [N, D] float64. A row that is too short gets no gradient either: clamp has none, and
// the factor is 0.
Tensor Directions(const Tensor& x) {
  const Tensor wide = x.to(torch::kFloat64);
  const Tensor square = wide.square().sum(1, /*keepdim=*/true);
  constexpr double kSmallest = kShortest * kShortest;
  return wide * (square.clamp_min(kSmallest).rsqrt() * square.ge(kSmallest));
}

// cosines [..., K, K] float64 of K vectors with each other -> [..., K, K] float32. The diagonal is
// constant, whatever rounding made of it.
Tensor AngularSimilarities(const Tensor& cosines) {
  const Tensor self = torch::eye(
      cosines.size(-1), torch::TensorOptions().dtype(torch::kBool).device(cosines.device()));
  return (1 - (kShrink * cosines.masked_fill(self, 1)).acos() / kPi).to(torch::kFloat32);
}

// x [K, n, D] -> [K, n, n]
Tensor InnerProducts(const Tensor& x) { return x.bmm(x.transpose(1, 2)); }

}  // namespace

ModalitySimilarities MakeSimilarities(const Tensor& x, const Packing& packing) {
  const Tensor directions = Directions(x);
  return {directions, AngularSimilarities(InnerProducts(packing.Pad(directions)))};
}

SimilarityGraph MakeSimilarityGraph(const std::vector<ModalitySimilarities>& modalities,
                                    const Tensor& context, const Packing& packing) {
  std::vector<Tensor> directions;
  std::vector<Tensor> blocks;
  for (const ModalitySimilarities& modality : modalities) {
    directions.push_back(modality.directions);
    blocks.push_back(modality.within);
  }
  const auto num_modalities = static_cast<int64_t>(modalities.size());
  const Packing nodes(packing.lengths().repeat({num_modalities}), packing.max_length(),
                      context.device());
  const Tensor within =
      (torch::stack(blocks) * context.to(torch::kFloat32).unsqueeze(0)).flatten(0, 1);
  const Tensor others = 1 - torch::eye(num_modalities, within.options());
  const Tensor across = AngularSimilarities(InnerProducts(torch::stack(directions, 1))) * others;

  // Every real node has an edge to itself, so that no degree is 0.
  const Tensor degree = nodes.Pack(within.sum(2)) + across.sum(2).t().flatten();
  const Tensor scale = degree.rsqrt();                               // [M * N]
  const Tensor by_utterance = scale.view({num_modalities, -1}).t();  // [N, M]
  const Tensor padded = nodes.Pad(scale);                            // [M * B, T]
  return {nodes, within * padded.unsqueeze(2) * padded.unsqueeze(1),
          across * by_utterance.unsqueeze(2) * by_utterance.unsqueeze(1)};
}

Tensor Propagate(const Tensor& h, const SimilarityGraph& graph) {
  const Tensor within = graph.nodes.Pack(graph.within.bmm(graph.nodes.Pad(h.flatten(0, 1))));
  return within.view(h.sizes()) + graph.across.bmm(h.transpose(0, 1)).transpose(0, 1);
}

}  // namespace cmerc
