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

// cosines [..., R, K] float64 of K vectors, those from `first` on, with all K -> [..., R, K]
// float32. That of a vector with itself is constant, whatever rounding made of it.
Tensor AngularSimilarities(const Tensor& cosines, int64_t first = 0) {
  const Tensor all = torch::arange(
      cosines.size(-1), torch::TensorOptions().dtype(torch::kInt64).device(cosines.device()));
  const Tensor self = all.narrow(0, first, cosines.size(-2)).unsqueeze(1) == all;
  return (1 - (kShrink * cosines.masked_fill(self, 1)).acos() / kPi).to(torch::kFloat32);
}

// rows [K, R, D], x [K, n, D] -> [K, R, n]
Tensor InnerProducts(const Tensor& rows, const Tensor& x) { return rows.bmm(x.transpose(1, 2)); }

}  // namespace

ModalitySimilarities MakeSimilarities(const Tensor& x, const Packing& packing) {
  const Tensor directions = Directions(x);
  const Tensor padded = packing.Pad(directions);
  const RowBlocks blocks(padded.size(1), padded.size(0) * padded.size(1));
  return {directions, blocks.Gather(1, [&](int64_t first, int64_t count) {
            return AngularSimilarities(InnerProducts(RowsOf(padded, 1, first, count), padded),
                                       first);
          })};
}

SimilarityGraph MakeSimilarityGraph(const std::vector<ModalitySimilarities>& modalities,
                                    const Tensor& context, const Packing& packing) {
  std::vector<Tensor> directions;
  std::vector<Tensor> similarities;
  for (const ModalitySimilarities& modality : modalities) {
    directions.push_back(modality.directions);
    similarities.push_back(modality.within);
  }
  const auto num_modalities = static_cast<int64_t>(modalities.size());
  const Packing nodes(packing.lengths().repeat({num_modalities}), packing.max_length(),
                      context.device());
  const RowBlocks blocks(packing.max_length(), num_modalities * context.size(0) * context.size(1));
  const LazyRows weights(
      blocks, [similarities, context](int64_t first, int64_t count) {  // [M * B, count, T]
        std::vector<Tensor> rows;
        for (const Tensor& within : similarities) rows.push_back(RowsOf(within, 1, first, count));
        const Tensor edges = RowsOf(context, 1, first, count).to(torch::kFloat32);
        return (torch::stack(rows) * edges.unsqueeze(0)).flatten(0, 1);
      });
  const Tensor others = 1 - torch::eye(num_modalities, similarities[0].options());
  const Tensor of_utterances = torch::stack(directions, 1);
  const Tensor across = AngularSimilarities(InnerProducts(of_utterances, of_utterances)) * others;

  // Every real node has an edge to itself, so that no degree is 0.
  const Tensor degree = nodes.Pack(blocks.Gather(1, [&](int64_t first, int64_t count) {
    return weights.Rows(first, count).sum(2);
  })) + across.sum(2).t().flatten();
  const Tensor scale = degree.rsqrt();                               // [M * N]
  const Tensor by_utterance = scale.view({num_modalities, -1}).t();  // [N, M]
  const Tensor padded = nodes.Pad(scale);                            // [M * B, T]
  return {nodes,
          LazyRows(blocks,
                   [weights, padded](int64_t first, int64_t count) {
                     return weights.Rows(first, count) *
                            RowsOf(padded, 1, first, count).unsqueeze(2) * padded.unsqueeze(1);
                   }),
          across * by_utterance.unsqueeze(2) * by_utterance.unsqueeze(1)};
}

Tensor Propagate(const Tensor& h, const SimilarityGraph& graph) {
  const Tensor padded = graph.nodes.Pad(h.flatten(0, 1));
  const Tensor within =
      graph.nodes.Pack(graph.within.blocks().Gather(1, [&](int64_t first, int64_t count) {
        return graph.within.Rows(first, count).bmm(padded);
      }));
  return within.view(h.sizes()) + graph.across.bmm(h.transpose(0, 1)).transpose(0, 1);
}

}  // namespace cmerc
