// Packing, encoders and both graphs against their definitions, edge by edge and one conversation at
// a time.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "backbones/layers/packing.h"
#include "backbones/layers/recurrent.h"
#include "backbones/layers/sequence_encoder.h"
#include "backbones/m3net/graph_features.h"

namespace cmerc {
namespace {

using torch::Tensor;

// A layer adds a few tens of float32 products of order 1: each rounds by 6e-8.
constexpr double kTolerance = 2e-6;

// Three conversations, the longest one not first, one of one utterance, and a row of padding that
// none needs.
const std::vector<int64_t> kLengths = {2, 4, 1};
constexpr int64_t kMaxLength = 5;
constexpr int64_t kWidth = 3;

Packing MakePacking() { return {torch::tensor(kLengths), kMaxLength, torch::kCPU}; }

// One layer of each graph alone; nodes [M, N, H].
Tensor HypergraphLayer(const Tensor& nodes, const HypergraphNorms& norms, const Tensor& bias,
                       const Packing& packing) {
  return GraphFeatures(nodes.unbind(0), norms, {}, {{bias}, {}, {}}, packing)
      .view({nodes.size(1), nodes.size(0), 2, kWidth})
      .select(2, 0)
      .transpose(0, 1);
}

Tensor HighFrequencyLayer(const Tensor& nodes, const HighFrequencyGraph& graph, const Tensor& gate,
                          const Tensor& bias, const Packing& packing) {
  return GraphFeatures(nodes.unbind(0), {}, graph, {{}, {gate}, {bias}}, packing)
      .view({nodes.size(1), nodes.size(0), 2, kWidth})
      .select(2, 1)
      .transpose(0, 1);
}

double MaxDifference(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

Tensor RandomNodes(int64_t num_modalities, const Packing& packing) {
  return torch::randn({num_modalities, packing.num_utterances(), kWidth});
}

// Every tensor's gradient against its slope along a random direction, of a random linear function
// of f().
template <typename F>
void ExpectGradientsAreSlopes(const std::vector<Tensor>& leaves, const F& f) {
  const Tensor output = f();
  const Tensor factor = torch::randn_like(output);
  const auto gradients = torch::autograd::grad({(output * factor).sum()}, leaves);
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < leaves.size(); ++i) {
    // Float32 layers: the step balances their rounding, some 1e-6 / step, and step^2.
    constexpr double kStep = 5e-3;
    const Tensor direction = torch::randn_like(leaves[i]);
    const auto moved = [&](double step) {
      leaves[i].add_(direction, step);
      const double value = (f() * factor).to(torch::kFloat64).sum().template item<double>();
      leaves[i].sub_(direction, step);
      return value;
    };
    const double slope = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    const double got = (gradients[i] * direction).sum().template item<double>();
    EXPECT_NEAR(got, slope, 5e-3 * std::max(1.0, std::abs(slope))) << "leaf " << i;
  }
}

TEST(PackingTest, PacksInConversationAndTimeOrder) {
  const Packing packing = MakePacking();
  const Tensor padded = torch::arange(3 * kMaxLength).view({3, kMaxLength, 1});
  const Tensor packed = packing.Pack(padded);
  EXPECT_TRUE(torch::equal(packed.flatten(), torch::tensor({0, 1, 5, 6, 7, 8, 10})));
  const Tensor again = packing.Pad(packed);
  EXPECT_TRUE(torch::equal(again, padded * packing.valid().unsqueeze(2)));
}

TEST(PackingTest, GradientsGoWhereTheRowsCameFrom) {
  const Packing packing = MakePacking();
  const Tensor padded = torch::randn({3, kMaxLength, kWidth}).requires_grad_();
  const Tensor factor = torch::randn({packing.num_utterances(), kWidth});
  (packing.Pack(padded) * factor).sum().backward();
  EXPECT_TRUE(torch::equal(padded.grad(), packing.Pad(factor)));

  const Tensor packed = torch::randn({packing.num_utterances(), kWidth}).requires_grad_();
  const Tensor padded_factor = torch::randn({3, kMaxLength, kWidth});
  (packing.Pad(packed) * padded_factor).sum().backward();
  EXPECT_TRUE(torch::equal(packed.grad(), packing.Pack(padded_factor)));
}

TEST(PackingTest, WithoutPaddingNothingIsCopied) {
  const Packing packing(torch::tensor({3L, 3L}), 3, torch::kCPU);
  const Tensor padded = torch::randn({2, 3, kWidth});
  EXPECT_TRUE(packing.Pack(padded).is_alias_of(padded));
  EXPECT_TRUE(torch::equal(packing.Pad(packing.Pack(padded)), padded));
}

TEST(PackingTest, TimeMajorOrderIsLongestFirstAndStable) {
  const Packing::TimeMajor got = MakePacking().MakeTimeMajor();
  // Conversation 1 (rows 2 to 5), then 0 (rows 0, 1), then 2 (row 6).
  EXPECT_TRUE(torch::equal(got.order, torch::tensor({2L, 0L, 6L, 3L, 1L, 4L, 5L})));
  EXPECT_TRUE(torch::equal(got.batch_sizes, torch::tensor({3L, 2L, 1L, 1L})));
}

TEST(SequenceEncoderTest, PackedConversationsAreEncodedAsIfAlone) {
  const Packing packing = MakePacking();
  for (const auto kind : {SequenceEncoder::Kind::kGru, SequenceEncoder::Kind::kLstm,
                          SequenceEncoder::Kind::kTransformer}) {
    torch::nn::Module parent;
    SequenceEncoder encoder(parent, kind, "l", /*width=*/8, /*dropout=*/0.5, /*past=*/false);
    parent.eval();
    const torch::NoGradGuard no_grad;
    const Tensor packed = torch::randn({packing.num_utterances(), 8});
    const Tensor encoded = encoder.Encode({packed, packing.lengths()});
    ASSERT_EQ(encoded.sizes(), packed.sizes());
    int64_t start = 0;
    for (const int64_t length : kLengths) {
      const Tensor alone =
          encoder.Encode({packed.narrow(0, start, length), torch::tensor({length}), length});
      EXPECT_LE(MaxDifference(encoded.narrow(0, start, length), alone), kTolerance)
          << SequenceEncoder::Name(kind, "l") << ", length " << length;
      start += length;
    }
  }
}

// One layer by its definition, hyperedge by hyperedge, with weights by position in the batch.
Tensor HypergraphByEdges(const Tensor& nodes, const Tensor& w, const Tensor& ew,
                         const Tensor& bias) {
  Tensor result = torch::zeros_like(nodes);
  const int64_t num_modalities = nodes.size(0);
  int64_t first_row = 0;
  int64_t first_node = 0;
  int64_t first_edge = 0;
  for (size_t b = 0; b < kLengths.size(); ++b) {
    const int64_t n = kLengths[b];
    for (int64_t k = 0; k < num_modalities; ++k) {
      for (int64_t i = 0; i < n; ++i) {
        Tensor modality = torch::zeros({kWidth});
        Tensor utterance = torch::zeros({kWidth});
        double modality_weight = 0;
        double utterance_weight = 0;
        for (int64_t j = 0; j < n; ++j) {
          modality += nodes[k][first_row + j];
          modality_weight += ew[first_node + k * n + j].item<double>();
        }
        for (int64_t other = 0; other < num_modalities; ++other) {
          utterance += nodes[other][first_row + i];
          utterance_weight += ew[first_node + other * n + i].item<double>();
        }
        const Tensor sum = modality / modality_weight + utterance / utterance_weight;
        const double degree =
            (w[first_edge + k] + w[first_edge + num_modalities + i]).item<double>();
        result[k][first_row + i] = torch::leaky_relu(sum / degree + bias, 0.01);
      }
    }
    first_row += n;
    first_node += num_modalities * n;
    first_edge += num_modalities + n;
  }
  return result;
}

TEST(HypergraphTest, LayerIsItsDefinition) {
  torch::manual_seed(3);
  const Packing packing = MakePacking();
  for (const int64_t num_modalities : {1, 2, 3, 5}) {
    const Tensor nodes = RandomNodes(num_modalities, packing);
    const Tensor w = torch::rand({40}) + 0.5;
    const Tensor ew = torch::rand({60}) + 0.5;
    const Tensor bias = torch::randn({kWidth});
    const Tensor got =
        HypergraphLayer(nodes, NormsByPosition(w, ew, num_modalities, packing), bias, packing);
    EXPECT_LE(MaxDifference(got, HypergraphByEdges(nodes, w, ew, bias)), kTolerance)
        << num_modalities << " modalities";
  }
}

TEST(HypergraphTest, GradientsAreSlopes) {
  torch::manual_seed(5);
  const Packing packing = MakePacking();
  for (const int64_t num_modalities : {1, 3}) {
    const Tensor nodes = RandomNodes(num_modalities, packing).requires_grad_();
    // Far from the kink of the LeakyReLU on either side.
    const Tensor bias = torch::tensor({8.0f, -8.0f, 9.0f}).requires_grad_();
    const Tensor by_modality = (torch::rand({num_modalities + 1}) + 0.5).requires_grad_();
    const Tensor of_nodes = (torch::rand({num_modalities}) + 0.5).requires_grad_();
    ExpectGradientsAreSlopes({nodes, bias, by_modality, of_nodes}, [&] {
      return HypergraphLayer(nodes, NormsByModality(by_modality, of_nodes, packing), bias, packing);
    });
    const Tensor w = (torch::rand({40}) + 0.5).requires_grad_();
    const Tensor ew = (torch::rand({60}) + 0.5).requires_grad_();
    ExpectGradientsAreSlopes({nodes, bias, w, ew}, [&] {
      return HypergraphLayer(nodes, NormsByPosition(w, ew, num_modalities, packing), bias, packing);
    });
  }
}

TEST(HypergraphTest, WeightsByModalityAreWeightsByPositionThatRepeat) {
  const Packing packing = MakePacking();
  const Tensor nodes = RandomNodes(2, packing);
  const Tensor w = torch::tensor({0.5f, 1.5f, 2.0f});
  const Tensor ew = torch::tensor({0.7f, 1.3f});
  std::vector<Tensor> w_by_position, ew_by_position;
  for (const int64_t n : kLengths) {
    w_by_position.push_back(w.narrow(0, 0, 2));
    w_by_position.push_back(w.narrow(0, 2, 1).expand({n}));
    ew_by_position.push_back(ew.repeat_interleave(n));
  }
  const Tensor bias = torch::randn({kWidth});
  const Tensor want = HypergraphLayer(
      nodes, NormsByPosition(torch::cat(w_by_position), torch::cat(ew_by_position), 2, packing),
      bias, packing);
  const Tensor got = HypergraphLayer(nodes, NormsByModality(w, ew, packing), bias, packing);
  EXPECT_LE(MaxDifference(got, want), kTolerance);
}

// The official code turns an infinite reciprocal into 0; so do we, and its gradient is finite too.
TEST(HypergraphTest, WeightsThatCancelGiveNoNaN) {
  const Packing packing = MakePacking();
  const Tensor w = torch::tensor({1.0f, 1.0f, -1.0f}).requires_grad_();
  const Tensor ew = torch::tensor({0.5f, -0.5f}).requires_grad_();
  const Tensor got = HypergraphLayer(RandomNodes(2, packing), NormsByModality(w, ew, packing),
                                     torch::ones({kWidth}), packing);
  got.sum().backward();
  EXPECT_TRUE(torch::equal(got[0], torch::ones({7, kWidth})));
  EXPECT_TRUE(w.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(ew.grad().isfinite().all().item<bool>());
}

TEST(HypergraphTest, TooFewOfficialWeightsNameTheRemedy) {
  const Packing packing = MakePacking();  // 7 utterances, 3 conversations: 13 hyperedges, 14 nodes
  EXPECT_NO_THROW(NormsByPosition(torch::ones({13}), torch::ones({14}), 2, packing));
  for (const auto& [num_hyperedges, num_nodes] : {std::pair<int, int>{12, 14}, {13, 13}}) {
    try {
      NormsByPosition(torch::ones({num_hyperedges}), torch::ones({num_nodes}), 2, packing);
      FAIL() << num_hyperedges << " hyperedges and " << num_nodes << " nodes should not do";
    } catch (const c10::ValueError& error) {
      const std::string message = error.what_without_backtrace();
      EXPECT_NE(message.find("needs 13 and 14"), std::string::npos) << message;
      EXPECT_NE(message.find("semantics: CORRECTED"), std::string::npos) << message;
    }
  }
}

TEST(HighFrequencyTest, LayerIsItsDefinition) {
  torch::manual_seed(4);
  const Packing packing = MakePacking();
  // A context that is neither symmetric nor whole, and true on padding too, where it must not
  // count.
  const Tensor context = torch::rand({3, kMaxLength, kMaxLength}) < 0.6;
  for (const int64_t num_modalities : {1, 2, 3}) {
    const Tensor nodes = RandomNodes(num_modalities, packing);
    const Tensor gate = torch::randn({1, 2 * kWidth});
    const Tensor bias = torch::randn({1});
    const Tensor got = HighFrequencyLayer(
        nodes, MakeHighFrequencyGraph(context, num_modalities, packing), gate, bias, packing);
    int64_t first = 0;
    for (size_t b = 0; b < kLengths.size(); ++b) {
      const int64_t n = kLengths[b];
      const auto neighbor = [&](int64_t i, int64_t j) {
        return i != j && context[b][i][j].item<bool>();
      };
      const auto degree = [&](int64_t i) {
        double count = num_modalities - 1;
        for (int64_t j = 0; j < n; ++j) count += neighbor(i, j) ? 1 : 0;
        return std::max(count, 1.0);
      };
      for (int64_t k = 0; k < num_modalities; ++k) {
        for (int64_t i = 0; i < n; ++i) {
          const Tensor target = nodes[k][first + i];
          Tensor want = target.clone();
          const auto receive = [&](const Tensor& source, double norm) {
            const Tensor both = torch::cat({target, source}).unsqueeze(0);
            want += norm * torch::tanh(torch::linear(both, gate, bias))[0] * source;
          };
          for (int64_t j = 0; j < n; ++j) {
            if (neighbor(i, j)) {
              receive(nodes[k][first + j], 1 / std::sqrt(degree(i) * degree(j)));
            }
          }
          for (int64_t other = 0; other < num_modalities; ++other) {
            if (other != k) receive(nodes[other][first + i], 1 / degree(i));
          }
          EXPECT_LE(MaxDifference(got[k][first + i], want), kTolerance)
              << num_modalities << " modalities: " << k << ", " << b << ", " << i;
        }
      }
      first += n;
    }
  }
}

TEST(HighFrequencyTest, GradientsAreSlopes) {
  torch::manual_seed(6);
  const Packing packing = MakePacking();
  const Tensor context = torch::rand({3, kMaxLength, kMaxLength}) < 0.6;
  for (const int64_t num_modalities : {1, 2, 3}) {
    const HighFrequencyGraph graph = MakeHighFrequencyGraph(context, num_modalities, packing);
    const Tensor nodes = RandomNodes(num_modalities, packing).requires_grad_();
    const Tensor gate = (torch::randn({1, 2 * kWidth}) * 0.5).requires_grad_();
    const Tensor bias = torch::randn({1}).requires_grad_();
    ExpectGradientsAreSlopes({nodes, gate, bias},
                             [&] { return HighFrequencyLayer(nodes, graph, gate, bias, packing); });
  }
}

TEST(HighFrequencyTest, ANodeWithoutNeighborsKeepsItsValue) {
  const Packing packing = MakePacking();
  const Tensor nodes = RandomNodes(1, packing).requires_grad_();
  const Tensor gate = torch::randn({1, 2 * kWidth}).requires_grad_();
  const Tensor nothing = torch::zeros({3, kMaxLength, kMaxLength}, torch::kBool);
  const Tensor got = HighFrequencyLayer(nodes, MakeHighFrequencyGraph(nothing, 1, packing), gate,
                                        torch::zeros({1}), packing);
  EXPECT_TRUE(torch::equal(got, nodes));
  got.sum().backward();
  EXPECT_TRUE(torch::equal(gate.grad(), torch::zeros_like(gate)));
  EXPECT_TRUE(torch::equal(nodes.grad(), torch::ones_like(nodes)));
}

}  // namespace
}  // namespace cmerc
