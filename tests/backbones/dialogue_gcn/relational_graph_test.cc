// DialogueGCN's graph: its edges, and its convolution and attention against their definitions.
#include "backbones/dialogue_gcn/relational_graph.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "backbones/layers/packing.h"
#include "core/backbone.h"
#include "tests/backbones/dialogue_gcn/dialogue_gcn_data.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

Packing PackingOf(const Batch& batch) {
  return Packing(batch.lengths, batch.max_length(), torch::kCPU);
}

TEST(RelationalGraphTest, WindowIsWithinTheContext) {
  Tensor context = torch::ones({1, 4, 4}, torch::kBool);
  context[0][3][2] = false;
  const auto edges = [&](int64_t past, int64_t future) {
    return WindowEdges(context, past, future)[0].to(torch::kInt64);
  };
  EXPECT_TRUE(torch::equal(
      edges(1, 0), torch::tensor({{1, 0, 0, 0}, {1, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 1}})));
  EXPECT_TRUE(torch::equal(
      edges(0, 2), torch::tensor({{1, 1, 1, 0}, {0, 1, 1, 1}, {0, 0, 1, 1}, {0, 0, 0, 1}})));
  EXPECT_TRUE(torch::equal(
      edges(-1, 0), torch::tensor({{1, 0, 0, 0}, {1, 1, 0, 0}, {1, 1, 1, 0}, {1, 1, 0, 1}})));
  EXPECT_TRUE(torch::equal(edges(0, 0), torch::eye(4, torch::kInt64)));
  EXPECT_TRUE(torch::equal(edges(-1, -1), context[0].to(torch::kInt64)));
  EXPECT_TRUE(torch::equal(edges(10, 10), context[0].to(torch::kInt64)));
}

// A batch in float64 whose edges are random, and what the convolution needs of it.
struct Graph {
  explicit Graph(int64_t num_speakers, const std::vector<int64_t>& lengths)
      : info(Info(num_speakers)), batch(RandomBatch(lengths, info)) {
    const int64_t num = batch.num_conversations(), length = batch.max_length();
    edges = torch::rand({num, length, length}).lt(0.6).logical_and(batch.context);
    x = torch::randn({num, length, 4}, torch::kFloat64).requires_grad_();
    alpha = torch::rand({num, length, length}, torch::kFloat64).requires_grad_();
    basis = torch::randn({3, 4, 2}, torch::kFloat64).requires_grad_();
    coefficients =
        torch::randn({2 * num_speakers * num_speakers, 3}, torch::kFloat64).requires_grad_();
  }

  std::vector<Tensor> Gradients(const Tensor& y) const {
    const Tensor weights = torch::linspace(-1, 1, y.numel(), torch::kFloat64).view(y.sizes());
    return torch::autograd::grad({(y * weights).sum()}, {x, alpha, basis, coefficients});
  }

  DatasetInfo info;
  Batch batch;
  Tensor edges, x, alpha, basis, coefficients;
};

// The definition: one matrix per edge.
Tensor ConvolutionByEdges(const Graph& graph) {
  const Batch& batch = graph.batch;
  const int64_t num_speakers = graph.info.num_speakers;
  std::vector<Tensor> rows;
  for (int64_t b = 0; b < batch.num_conversations(); ++b) {
    for (int64_t i = 0; i < batch.max_length(); ++i) {
      Tensor sum = torch::zeros({2}, torch::kFloat64);
      for (int64_t j = 0; j < batch.max_length(); ++j) {
        if (!graph.edges[b][i][j].item<bool>()) continue;
        const int64_t pair = batch.speakers[b][j].item<int64_t>() * num_speakers +
                             batch.speakers[b][i].item<int64_t>();
        const Tensor weight = torch::einsum(
            "k,kdh->dh", {graph.coefficients[2 * pair + (j < i ? 0 : 1)], graph.basis});
        sum = sum + graph.alpha[b][i][j] * graph.x[b][j].matmul(weight);
      }
      rows.push_back(sum);
    }
  }
  return torch::stack(rows).view({batch.num_conversations(), batch.max_length(), 2});
}

TEST(RelationalGraphTest, ConvolutionAndItsGradientsAreThoseOfTheDefinition) {
  for (const int64_t num_speakers : {1, 2, 5}) {
    const Graph graph(num_speakers, {5, 1, 4, 2});
    const Relations relations =
        MakeRelations(graph.edges, graph.batch.speakers, num_speakers, PackingOf(graph.batch));
    const Tensor got = RelationalConvolution(graph.x, graph.alpha * graph.edges, relations,
                                             graph.basis, graph.coefficients);
    const Tensor want = ConvolutionByEdges(graph);
    EXPECT_LE(MaxDifference(got, want), 1e-12) << num_speakers;  // float64
    const std::vector<Tensor> got_gradients = graph.Gradients(got);
    const std::vector<Tensor> want_gradients = graph.Gradients(want);
    for (size_t k = 0; k < want_gradients.size(); ++k) {
      EXPECT_LE(MaxDifference(got_gradients[k], want_gradients[k]), 1e-12)
          << num_speakers << " speakers, input " << k;
    }
  }
}

TEST(RelationalGraphTest, RowByRowItIsTheSame) {
  const torch::NoGradGuard no_grad;
  for (const int64_t num_speakers : {1, 2, 5}) {
    const Graph graph(num_speakers, {5, 1, 4, 2});
    const Relations relations =
        MakeRelations(graph.edges, graph.batch.speakers, num_speakers, PackingOf(graph.batch));
    const Tensor got = RelationalConvolutionByRows(graph.x, graph.alpha * graph.edges, relations,
                                                   graph.basis, graph.coefficients);
    EXPECT_LE(MaxDifference(got, ConvolutionByEdges(graph)), 1e-12) << num_speakers;  // float64
  }
}

TEST(RelationalGraphTest, RelationsThatDoNotOccurCostNothing) {
  // 30 speakers have 1800 relations; a conversation has fewer slots than edges.
  const Graph graph(30, {60, 7});
  const Tensor edges = WindowEdges(graph.batch.context, 2, 1);
  const Relations relations =
      MakeRelations(edges, graph.batch.speakers, 30, PackingOf(graph.batch));
  const int64_t num_edges = edges.sum().item<int64_t>();
  EXPECT_LE(relations.slots.size(0), num_edges);
  EXPECT_LE(relations.relations.size(0), relations.slots.size(0));
  EXPECT_EQ(relations.counts.sum().item<int64_t>(), relations.slots.size(0));
  EXPECT_LE(relations.members.size(2), 30);
  EXPECT_TRUE(
      torch::equal(relations.members.sum(2), PackingOf(graph.batch).valid().to(torch::kInt64)));
}

TEST(RelationalGraphTest, EdgeAttentionIsASoftmaxOverTheEdgesOfEachUtterance) {
  const Graph graph(2, {5, 1, 4});
  const Tensor weight = torch::randn({4, 4}, torch::kFloat64);
  const Tensor alpha = EdgeAttention(torch::linear(graph.x, weight), graph.x, graph.edges);
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t i = 0; i < 5; ++i) {
      const Tensor to = graph.edges[b][i].nonzero().squeeze(1);
      Tensor want = torch::zeros({5}, torch::kFloat64);
      if (to.size(0) > 0) {
        const Tensor scores = graph.x[b].index_select(0, to).matmul(weight.matmul(graph.x[b][i]));
        want = want.index_copy(0, to, scores.softmax(0));
      }
      EXPECT_LE(MaxDifference(alpha[b][i], want), 1e-12) << b << ", " << i;
    }
  }
  // Rows without any edge, as padding has, do not spoil a gradient.
  EXPECT_TRUE(
      torch::autograd::grad({alpha.square().sum()}, {graph.x})[0].isfinite().all().item<bool>());
}

}  // namespace
}  // namespace cmerc
