// The hypergraph of the past against its definition, utterance by utterance.
#include "backbones/m3net/past_hypergraph.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace cmerc {
namespace {

using torch::Tensor;

constexpr double kTolerance = 2e-6;  // a few float32 operations on numbers of order 1
constexpr int64_t kWidth = 3;

// The layers of an utterance of a conversation, from all nodes [M, n, H] of it.
std::vector<Tensor> ByDefinition(Tensor nodes, const Tensor& hyperedge_weight,
                                 const Tensor& node_weight, const std::vector<Tensor>& biases) {
  const int64_t num_modalities = nodes.size(0), length = nodes.size(1);
  for (const Tensor& bias : biases) {
    std::vector<Tensor> of_modalities;
    for (int64_t k = 0; k < num_modalities; ++k) {
      std::vector<Tensor> rows;
      for (int64_t i = 0; i < length; ++i) {
        const Tensor of_modality =
            nodes[k].narrow(0, 0, i + 1).sum(0) / (node_weight[k] * static_cast<double>(i + 1));
        const Tensor of_utterance = nodes.select(1, i).sum(0) / node_weight.sum();
        const Tensor mean =
            (of_modality + of_utterance) / (hyperedge_weight[k] + hyperedge_weight[num_modalities]);
        rows.push_back(torch::leaky_relu(mean + bias, 0.01));
      }
      of_modalities.push_back(torch::stack(rows));
    }
    nodes = torch::stack(of_modalities);
  }
  return nodes.unbind(0);
}

TEST(PastHypergraphTest, LayersAndTheirGradientsAreThoseOfTheDefinition) {
  torch::manual_seed(4);
  const std::vector<int64_t> lengths = {2, 4, 1};
  const Packing packing(torch::tensor(lengths), /*max_length=*/5, torch::kCPU);
  std::vector<Tensor> nodes;
  for (int64_t k = 0; k < 2; ++k) nodes.push_back(torch::randn({7, kWidth}).requires_grad_());
  const Tensor hyperedge_weight = (torch::rand({3}) + 0.5).requires_grad_();
  const Tensor node_weight = (torch::rand({2}) + 0.5).requires_grad_();
  const std::vector<Tensor> biases = {torch::randn({kWidth}).requires_grad_(),
                                      torch::randn({kWidth}).requires_grad_()};
  const Tensor got =
      PastHypergraph(nodes, PastNorms(hyperedge_weight, node_weight, packing), biases, packing);

  const Tensor stacked = torch::stack(nodes);
  std::vector<Tensor> conversations;
  int64_t first = 0;
  for (const int64_t length : lengths) {
    conversations.push_back(torch::stack(
        ByDefinition(stacked.narrow(1, first, length), hyperedge_weight, node_weight, biases), 1));
    first += length;
  }
  const Tensor want = torch::cat(conversations);  // [N, M, H]
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LE((got - want).abs().max().item<double>(), kTolerance);

  const Tensor factor = torch::randn_like(want);
  std::vector<Tensor> leaves = nodes;
  leaves.insert(leaves.end(), {hyperedge_weight, node_weight, biases[0], biases[1]});
  const auto got_gradients = torch::autograd::grad({(got * factor).sum()}, leaves);
  const auto want_gradients = torch::autograd::grad({(want * factor).sum()}, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_LE((got_gradients[i] - want_gradients[i]).abs().max().item<double>(), 10 * kTolerance)
        << i;
  }
}

}  // namespace
}  // namespace cmerc
