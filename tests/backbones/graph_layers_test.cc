// Packing, encoders and both graphs against their definitions, edge by edge and one conversation at
// a time.
#include <gtest/gtest.h>

#include <cmath>

#include "backbones/high_frequency.h"
#include "backbones/hypergraph.h"
#include "backbones/packing.h"
#include "backbones/sequence_encoder.h"

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

double MaxDifference(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

// M tensors [B, T, kWidth], zero on padding.
std::vector<Tensor> RandomNodes(int64_t num_modalities, const Packing& packing) {
  std::vector<Tensor> nodes;
  for (int64_t k = 0; k < num_modalities; ++k) {
    nodes.push_back(packing.Pad(torch::randn({packing.num_utterances(), kWidth})));
  }
  return nodes;
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
    SequenceEncoder encoder(parent, kind, "l", /*width=*/8, /*dropout=*/0.5);
    parent.eval();
    const torch::NoGradGuard no_grad;
    const Tensor packed = torch::randn({packing.num_utterances(), 8});
    const Tensor encoded = encoder.EncodePacked(packed, packing);
    ASSERT_EQ(encoded.sizes(), packed.sizes());
    int64_t start = 0;
    for (const int64_t length : kLengths) {
      const Tensor alone = encoder.EncodePadded(packed.narrow(0, start, length).unsqueeze(0))[0];
      EXPECT_LE(MaxDifference(encoded.narrow(0, start, length), alone), kTolerance)
          << SequenceEncoder::Name(kind, "l") << ", length " << length;
      start += length;
    }
  }
}

// One layer by its definition, hyperedge by hyperedge, with weights by position in the batch.
std::vector<Tensor> HypergraphByEdges(const std::vector<Tensor>& nodes, const Tensor& w,
                                      const Tensor& ew, const Tensor& bias) {
  std::vector<Tensor> result;
  for (const Tensor& node : nodes) result.push_back(torch::zeros_like(node));
  const int64_t num_modalities = static_cast<int64_t>(nodes.size());
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
          modality += nodes[k][b][j];
          modality_weight += ew[first_node + k * n + j].item<double>();
        }
        for (int64_t other = 0; other < num_modalities; ++other) {
          utterance += nodes[other][b][i];
          utterance_weight += ew[first_node + other * n + i].item<double>();
        }
        const Tensor sum = modality / modality_weight + utterance / utterance_weight;
        const double degree =
            (w[first_edge + k] + w[first_edge + num_modalities + i]).item<double>();
        result[k][b][i] = torch::leaky_relu(sum / degree + bias, 0.01);
      }
    }
    first_node += num_modalities * n;
    first_edge += num_modalities + n;
  }
  return result;
}

TEST(HypergraphTest, LayerIsItsDefinition) {
  torch::manual_seed(3);
  const Packing packing = MakePacking();
  for (const int64_t num_modalities : {1, 2, 3, 5}) {
    const std::vector<Tensor> nodes = RandomNodes(num_modalities, packing);
    const Tensor w = torch::rand({40}) + 0.5;
    const Tensor ew = torch::rand({60}) + 0.5;
    const Tensor bias = torch::randn({kWidth});
    const std::vector<Tensor> got =
        HypergraphLayer(nodes, NormsByPosition(w, ew, num_modalities, packing), bias, packing);
    const std::vector<Tensor> want = HypergraphByEdges(nodes, w, ew, bias);
    for (int64_t k = 0; k < num_modalities; ++k) {
      EXPECT_LE(MaxDifference(packing.Pack(got[k]), packing.Pack(want[k])), kTolerance)
          << num_modalities << " modalities, modality " << k;
    }
  }
}

TEST(HypergraphTest, WeightsByModalityAreWeightsByPositionThatRepeat) {
  const Packing packing = MakePacking();
  const std::vector<Tensor> nodes = RandomNodes(2, packing);
  const Tensor w = torch::tensor({0.5f, 1.5f, 2.0f});
  const Tensor ew = torch::tensor({0.7f, 1.3f});
  std::vector<Tensor> w_by_position, ew_by_position;
  for (const int64_t n : kLengths) {
    w_by_position.push_back(w.narrow(0, 0, 2));
    w_by_position.push_back(w.narrow(0, 2, 1).expand({n}));
    ew_by_position.push_back(ew.repeat_interleave(n));
  }
  const Tensor bias = torch::randn({kWidth});
  const auto want = HypergraphLayer(
      nodes, NormsByPosition(torch::cat(w_by_position), torch::cat(ew_by_position), 2, packing),
      bias, packing);
  const auto got = HypergraphLayer(nodes, NormsByModality(w, ew, packing), bias, packing);
  for (int64_t k = 0; k < 2; ++k) {
    EXPECT_LE(MaxDifference(packing.Pack(got[k]), packing.Pack(want[k])), kTolerance);
  }
}

TEST(HypergraphTest, PaddingRowsNeverCount) {
  const Packing packing = MakePacking();
  const std::vector<Tensor> nodes = RandomNodes(2, packing);
  std::vector<Tensor> garbage;
  for (const Tensor& node : nodes) {
    garbage.push_back(node + 1000 * (1 - packing.weights()).unsqueeze(2));
  }
  const HypergraphNorms norms = NormsByModality(torch::ones({3}), torch::ones({2}), packing);
  const Tensor bias = torch::zeros({kWidth});
  const auto want = HypergraphLayer(nodes, norms, bias, packing);
  const auto got = HypergraphLayer(garbage, norms, bias, packing);
  for (int64_t k = 0; k < 2; ++k) {
    EXPECT_TRUE(torch::equal(packing.Pack(got[k]), packing.Pack(want[k])));
  }
}

// The official code turns an infinite reciprocal into 0; so do we, and its gradient is finite too.
TEST(HypergraphTest, WeightsThatCancelGiveNoNaN) {
  const Packing packing = MakePacking();
  const Tensor w = torch::tensor({1.0f, 1.0f, -1.0f}).requires_grad_();
  const Tensor ew = torch::tensor({0.5f, -0.5f}).requires_grad_();
  const auto got = HypergraphLayer(RandomNodes(2, packing), NormsByModality(w, ew, packing),
                                   torch::ones({kWidth}), packing);
  (got[0] + got[1]).sum().backward();
  EXPECT_TRUE(torch::equal(packing.Pack(got[0]), torch::ones({7, kWidth})));
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
    const std::vector<Tensor> nodes = RandomNodes(num_modalities, packing);
    const Tensor gate = torch::randn({1, 2 * kWidth});
    const Tensor bias = torch::randn({1});
    const auto got = HighFrequencyLayer(
        nodes, MakeHighFrequencyGraph(context, num_modalities, packing), gate, bias);
    for (size_t b = 0; b < kLengths.size(); ++b) {
      const int64_t n = kLengths[b];
      const auto neighbour = [&](int64_t i, int64_t j) {
        return i != j && context[b][i][j].item<bool>();
      };
      const auto degree = [&](int64_t i) {
        double count = num_modalities - 1;
        for (int64_t j = 0; j < n; ++j) count += neighbour(i, j) ? 1 : 0;
        return std::max(count, 1.0);
      };
      for (int64_t k = 0; k < num_modalities; ++k) {
        for (int64_t i = 0; i < n; ++i) {
          const Tensor target = nodes[k][b][i];
          Tensor want = target.clone();
          const auto receive = [&](const Tensor& source, double norm) {
            const Tensor both = torch::cat({target, source}).unsqueeze(0);
            want += norm * torch::tanh(torch::linear(both, gate, bias))[0] * source;
          };
          for (int64_t j = 0; j < n; ++j) {
            if (neighbour(i, j)) {
              receive(nodes[k][b][j], 1 / std::sqrt(degree(i) * degree(j)));
            }
          }
          for (int64_t other = 0; other < num_modalities; ++other) {
            if (other != k) receive(nodes[other][b][i], 1 / degree(i));
          }
          EXPECT_LE(MaxDifference(got[k][b][i], want), kTolerance)
              << num_modalities << " modalities: " << k << ", " << b << ", " << i;
        }
      }
    }
    for (const Tensor& node : got) {
      EXPECT_EQ((node * (1 - packing.weights()).unsqueeze(2)).abs().max().item<float>(), 0);
    }
  }
}

TEST(HighFrequencyTest, ANodeWithoutNeighboursKeepsItsValue) {
  const Packing packing = MakePacking();
  const std::vector<Tensor> nodes = {RandomNodes(1, packing)[0].requires_grad_()};
  const Tensor gate = torch::randn({1, 2 * kWidth}).requires_grad_();
  const Tensor nothing = torch::zeros({3, kMaxLength, kMaxLength}, torch::kBool);
  const auto got = HighFrequencyLayer(nodes, MakeHighFrequencyGraph(nothing, 1, packing), gate,
                                      torch::zeros({1}));
  EXPECT_TRUE(torch::equal(got[0], nodes[0]));
  got[0].sum().backward();
  EXPECT_TRUE(gate.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(nodes[0].grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace cmerc
