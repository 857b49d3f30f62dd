// M3Net's graphs at sizes that their kernels divide: against the definition in float64, and however
// they are divided. Small cases, edge by edge: graph_layers_test.cc; the kernels by themselves:
// graph_kernels_test.cc.
#include "backbones/m3net/graph_features.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "backbones/m3net/device_graph_features.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;

// Below, at and above what is divided among threads.
const std::vector<int64_t> kLengths = {150, 3, 128, 40, 129, 1, 17};
constexpr int64_t kModalities = 3;
constexpr int64_t kWidth = 37;
constexpr int64_t kLayers = 3;

int64_t Sum(const std::vector<int64_t>& lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
}

struct Inputs {
  explicit Inputs(const std::vector<int64_t>& conversation_lengths)
      : lengths(conversation_lengths),
        longest(*std::max_element(lengths.begin(), lengths.end())),
        packing(torch::tensor(lengths), longest, torch::kCPU) {
    torch::manual_seed(7);
    context = torch::rand({static_cast<int64_t>(lengths.size()), longest, longest}) < 0.6;
    const auto leaf = [](const Tensor& value) { return value.detach().requires_grad_(); };
    for (int64_t k = 0; k < kModalities; ++k)
      nodes.push_back(leaf(torch::randn({num_rows(), kWidth})));
    norms = {leaf(torch::rand({kModalities, static_cast<int64_t>(lengths.size())}) * 0.1),
             leaf(torch::rand({num_rows()})), leaf(torch::rand({kModalities, num_rows()}) + 0.5)};
    for (int64_t l = 0; l < kLayers; ++l) {
      layers.hypergraph_biases.push_back(leaf(torch::randn({kWidth})));
      layers.gate_weights.push_back(leaf(torch::randn({1, 2 * kWidth}) * 0.3));
      layers.gate_biases.push_back(leaf(torch::randn({1})));
    }
  }

  int64_t num_rows() const { return Sum(lengths); }

  HighFrequencyGraph Graph() const { return MakeHighFrequencyGraph(context, kModalities, packing); }

  variable_list leaves() const {
    variable_list result = nodes;
    result.insert(result.end(), {norms.modality, norms.utterance, norms.node});
    for (const auto* parameters :
         {&layers.hypergraph_biases, &layers.gate_weights, &layers.gate_biases}) {
      result.insert(result.end(), parameters->begin(), parameters->end());
    }
    return result;
  }

  const std::vector<int64_t> lengths;
  const int64_t longest;
  const Packing packing;
  Tensor context;
  std::vector<Tensor> nodes;
  HypergraphNorms norms;
  GraphLayers layers;
};

// The result, then the gradients of sum(result * factor).
variable_list WithGradients(const Tensor& result, const Tensor& factor,
                            const variable_list& leaves) {
  variable_list all = torch::autograd::grad({(result * factor).sum()}, leaves);
  all.insert(all.begin(), result.detach());
  return all;
}

Tensor RandomFactor(const Inputs& inputs) {
  return torch::randn({inputs.num_rows(), kModalities * 2 * kWidth});
}

variable_list RunGraphs(const Inputs& inputs, const Tensor& factor) {
  return WithGradients(
      GraphFeatures(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers, inputs.packing),
      factor, inputs.leaves());
}

// The kernels that do it on a GPU, here their twins. Sums are added up in another order; those of
// gradients of norms and of a gate's bias have up to 468 * 37 terms, which may cancel.
TEST(DeviceGraphFeaturesTest, AreTheSame) {
  const Inputs inputs(kLengths);
  const Tensor factor = RandomFactor(inputs);
  const variable_list expected = RunGraphs(inputs, factor);
  const variable_list got =
      WithGradients(DeviceGraphFeatures(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers,
                                        inputs.packing),
                    factor, inputs.leaves());
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const double scale = std::max(1.0, expected[i].abs().max().item<double>());
    EXPECT_LE((got[i] - expected[i]).abs().max().item<double>(), 2e-5 * scale) << i;
  }
}

TEST(DeviceGraphFeaturesTest, WithoutLayersAreTheNodes) {
  Inputs inputs({2, 1});
  inputs.layers = {};
  const auto features = [&](const auto& function) {
    return function(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers, inputs.packing);
  };
  EXPECT_TRUE(torch::equal(features(DeviceGraphFeatures), features(GraphFeatures)));
}

// All high-frequency layers of one conversation in float64, densely. nodes [M, n, H], context
// [n, n].
Tensor HighFrequencyByDefinition(Tensor nodes, const Tensor& context, const GraphLayers& layers) {
  const int64_t n = nodes.size(1);
  const Tensor neighbors =
      context.logical_and(torch::eye(n, torch::kBool).logical_not()).to(torch::kFloat64);
  const Tensor degree = (neighbors.sum(1) + (kModalities - 1)).clamp_min(1);
  const Tensor within = neighbors * degree.rsqrt().unsqueeze(1) * degree.rsqrt();
  for (int64_t l = 0; l < kLayers; ++l) {
    const Tensor& weight = layers.gate_weights[l][0];
    const Tensor receive =
        nodes.matmul(weight.narrow(0, 0, kWidth)) + layers.gate_biases[l];  // [M, n]
    const Tensor send = nodes.matmul(weight.narrow(0, kWidth, kWidth));
    const Tensor gates = torch::tanh(receive.unsqueeze(2) + send.unsqueeze(1));  // [M, n, n]
    const Tensor across =                                                        // [M, M, n]
        torch::tanh(receive.unsqueeze(1) + send.unsqueeze(0)) / degree *
        torch::eye(kModalities, torch::kBool).logical_not().unsqueeze(2);
    nodes = nodes + (gates * within).bmm(nodes) + torch::einsum("kmn,mnh->knh", {across, nodes});
  }
  return nodes;
}

// All layers of the hypergraph for one conversation in float64. nodes [M, n, H]; norms [M], [n] and
// [M, n].
Tensor HypergraphByDefinition(Tensor nodes, const HypergraphNorms& norms,
                              const GraphLayers& layers) {
  for (int64_t l = 0; l < kLayers; ++l) {
    const Tensor means = nodes.sum(1, /*keepdim=*/true) * norms.modality.view({-1, 1, 1});
    const Tensor sums = nodes.sum(0, /*keepdim=*/true) * norms.utterance.view({1, -1, 1});
    nodes = torch::leaky_relu(
        (means + sums) * norms.node.unsqueeze(2) + layers.hypergraph_biases[l], 0.01);
  }
  return nodes;
}

TEST(GraphFeaturesTest, AreTheirDefinitionInFloat64) {
  const Inputs inputs(kLengths);
  const Tensor factor = RandomFactor(inputs);
  const variable_list got = RunGraphs(inputs, factor);
  Inputs exact(kLengths);
  const auto widen = [](Tensor& leaf) {
    leaf = leaf.detach().to(torch::kFloat64).requires_grad_();
  };
  for (Tensor& leaf : exact.nodes) widen(leaf);
  for (Tensor* leaf : {&exact.norms.modality, &exact.norms.utterance, &exact.norms.node}) {
    widen(*leaf);
  }
  for (auto* parameters :
       {&exact.layers.hypergraph_biases, &exact.layers.gate_weights, &exact.layers.gate_biases}) {
    for (Tensor& leaf : *parameters) widen(leaf);
  }
  const Tensor all_nodes = torch::stack(exact.nodes);
  std::vector<Tensor> results;  // [n, M, 2, H] each
  int64_t first = 0;
  for (size_t c = 0; c < kLengths.size(); ++c) {
    const int64_t n = kLengths[c];
    const auto b = static_cast<int64_t>(c);
    const Tensor nodes = all_nodes.narrow(1, first, n);
    const Tensor low = HypergraphByDefinition(
        nodes,
        {exact.norms.modality.select(1, b), exact.norms.utterance.narrow(0, first, n),
         exact.norms.node.narrow(1, first, n)},
        exact.layers);
    const Tensor high = HighFrequencyByDefinition(
        nodes, exact.context[b].narrow(0, 0, n).narrow(1, 0, n), exact.layers);
    results.push_back(torch::stack({low, high}, 2).transpose(0, 1));
    first += n;
  }
  const variable_list want =
      WithGradients(torch::cat(results).flatten(1), factor.to(torch::kFloat64), exact.leaves());
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    // Rounding, 6e-8 of what is added up: some hundreds of numbers per layer and, for the weights,
    // over all nodes.
    const double scale = want[i].abs().max().item<double>();
    EXPECT_LE((got[i] - want[i]).abs().max().item<double>(), 1e-5 * scale) << i;
  }
}

TEST(GraphFeaturesTest, LayersTogetherAreTheSameBitsAsOneByOne) {
  const Inputs inputs(kLengths);
  const torch::NoGradGuard no_grad;
  const Tensor together =
      GraphFeatures(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers, inputs.packing);
  std::vector<Tensor> low = inputs.nodes, high = inputs.nodes;
  const auto columns = [](const Tensor& features, int64_t graph) {
    std::vector<Tensor> nodes;
    for (int64_t k = 0; k < kModalities; ++k) {
      nodes.push_back(features.narrow(1, (2 * k + graph) * kWidth, kWidth).contiguous());
    }
    return nodes;
  };
  for (int64_t l = 0; l < kLayers; ++l) {
    low = columns(GraphFeatures(low, inputs.norms, inputs.Graph(),
                                {{inputs.layers.hypergraph_biases[l]}, {}, {}}, inputs.packing),
                  0);
    high =
        columns(GraphFeatures(high, inputs.norms, inputs.Graph(),
                              {{}, {inputs.layers.gate_weights[l]}, {inputs.layers.gate_biases[l]}},
                              inputs.packing),
                1);
  }
  for (int64_t k = 0; k < kModalities; ++k) {
    EXPECT_TRUE(torch::equal(columns(together, 0)[k], low[k])) << k;
    EXPECT_TRUE(torch::equal(columns(together, 1)[k], high[k])) << k;
  }
}

TEST(GraphFeaturesTest, WithAndWithoutGradientsTheSameBits) {
  const Inputs inputs(kLengths);
  const auto run = [&] {
    return GraphFeatures(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers, inputs.packing);
  };
  const Tensor with = run();
  EXPECT_TRUE(with.requires_grad());
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(run(), with));
}

TEST(GraphFeaturesTest, TheSameBitsForAnyNumberOfThreads) {
  const Inputs inputs(kLengths);
  const Tensor factor = RandomFactor(inputs);
  const int before = torch::get_num_threads();
  std::vector<variable_list> results;
  for (const int threads : {1, 2, 7}) {
    torch::set_num_threads(threads);
    results.push_back(RunGraphs(inputs, factor));
  }
  torch::set_num_threads(before);
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(torch::equal(results[1][i], results[0][i])) << i;
    EXPECT_TRUE(torch::equal(results[2][i], results[0][i])) << i;
  }
}

TEST(GraphFeaturesTest, AConversationAloneHasTheSameBits) {
  const Inputs inputs(kLengths);
  const torch::NoGradGuard no_grad;
  const Tensor all =
      GraphFeatures(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers, inputs.packing);
  int64_t first = 0;
  for (size_t c = 0; c < kLengths.size(); ++c) {
    const int64_t n = kLengths[c];
    const auto b = static_cast<int64_t>(c);
    const Packing packing(torch::tensor({n}), n, torch::kCPU);
    std::vector<Tensor> nodes;
    for (const Tensor& of_modality : inputs.nodes) nodes.push_back(of_modality.narrow(0, first, n));
    const HighFrequencyGraph graph = MakeHighFrequencyGraph(
        inputs.context[b].narrow(0, 0, n).narrow(1, 0, n).unsqueeze(0), kModalities, packing);
    const HypergraphNorms norms{inputs.norms.modality.narrow(1, b, 1),
                                inputs.norms.utterance.narrow(0, first, n),
                                inputs.norms.node.narrow(1, first, n)};
    const Tensor alone = GraphFeatures(nodes, norms, graph, inputs.layers, packing);
    EXPECT_TRUE(torch::equal(alone, all.narrow(0, first, n))) << n << " utterances";
    first += n;
  }
}

TEST(GraphFeaturesTest, WithoutLayersTheNodesAndTheirGradients) {
  const Inputs inputs({2, 3});
  const Tensor factor = RandomFactor(inputs);
  const Tensor got = GraphFeatures(inputs.nodes, {}, {}, {}, inputs.packing);
  std::vector<Tensor> columns;
  for (const Tensor& nodes : inputs.nodes) columns.insert(columns.end(), {nodes, nodes});
  const Tensor want = torch::cat(columns, 1);
  const variable_list got_gradients = WithGradients(got, factor, inputs.nodes);
  const variable_list want_gradients = WithGradients(want, factor, inputs.nodes);
  for (size_t i = 0; i < got_gradients.size(); ++i) {
    EXPECT_TRUE(torch::equal(got_gradients[i], want_gradients[i])) << i;
  }
}

TEST(GraphFeaturesTest, SecondDerivativesAreRefused) {
  const Inputs inputs({2, 3});
  const Tensor loss =
      GraphFeatures(inputs.nodes, inputs.norms, inputs.Graph(), inputs.layers, inputs.packing)
          .sum();
  EXPECT_THROW(torch::autograd::grad({loss}, {inputs.nodes[0]}, {}, true, /*create_graph=*/true),
               c10::Error);
}

}  // namespace
}  // namespace cmerc
