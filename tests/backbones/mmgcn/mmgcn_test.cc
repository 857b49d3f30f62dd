// The laws of MMGCN and of its graph that only they have; //tests/conformance has those of all
// backbones and //tests/golden/mmgcn the official numbers.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backbones/layers/modality_names.h"
#include "backbones/layers/packing.h"
#include "backbones/mmgcn/mmgcn.pb.h"
#include "backbones/mmgcn/similarity_graph.h"
#include "core/backbone.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Float32 sums of the same numbers in another order differ by some 1e-7 of a number around 1.
constexpr double kRounding = 2e-6;

DatasetInfo Info() { return SmallInfo({{"text", 6, 2}, {"audio", 3, 1}}); }

absl::StatusOr<std::unique_ptr<Backbone>> Create(const std::string& text,
                                                 const DatasetInfo& info = Info()) {
  MmgcnOptions options;
  options.set_input_width(8);
  options.set_graph_width(5);
  options.set_dropout(0);
  TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(text, &options), text);
  return CreateBackbone(options, info);
}

std::unique_ptr<Backbone> Model(const std::string& text, const DatasetInfo& info = Info()) {
  auto model = Create(text, info);
  TORCH_CHECK(model.ok(), model.status().ToString());
  return *std::move(model);
}

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info = Info()) {
  return SmallBatch(lengths, info);
}

// The similarity of parallel vectors.
const double kParallel = 1 - std::acos(0.99999) / M_PI;

// M modalities' vectors for conversations of these lengths, in a random context.
struct RandomNodes {
  RandomNodes(int64_t num_modalities, const std::vector<int64_t>& lengths)
      : packing(torch::tensor(lengths), *std::max_element(lengths.begin(), lengths.end()),
                torch::kCPU) {
    torch::manual_seed(4);
    const int64_t longest = packing.max_length();
    const Tensor self = torch::eye(longest, torch::kBool).unsqueeze(0);
    context = torch::rand({packing.num_conversations(), longest, longest})
                  .lt(0.6)
                  .logical_or(self)
                  .logical_and(packing.valid().unsqueeze(2))
                  .logical_and(packing.valid().unsqueeze(1));
    for (int64_t m = 0; m < num_modalities; ++m) {
      x.push_back(torch::randn({packing.num_utterances(), 4}).requires_grad_());
    }
  }

  SimilarityGraph Graph() const {
    std::vector<ModalitySimilarities> similarities;
    for (const Tensor& nodes : x) similarities.push_back(MakeSimilarities(nodes, packing));
    return MakeSimilarityGraph(similarities, context, packing);
  }

  // [M N, M N] float64: the definition, edge by edge.
  Tensor Adjacency() const {
    const auto num_modalities = static_cast<int64_t>(x.size());
    const int64_t num = packing.num_utterances();
    const auto similarity = [&](int64_t m, int64_t i, int64_t other, int64_t j) {
      if (m == other && i == j) {
        return torch::tensor(kParallel, torch::kFloat64);
      }
      const Tensor a = x[m][i].to(torch::kFloat64);
      const Tensor b = x[other][j].to(torch::kFloat64);
      return 1 - torch::acos(0.99999 * a.dot(b) / (a.norm() * b.norm())) / M_PI;
    };
    std::vector<Tensor> entries(num_modalities * num * num_modalities * num,
                                torch::tensor(0.0, torch::kFloat64));
    const auto entry = [&](int64_t m, int64_t i, int64_t other, int64_t j) -> Tensor& {
      return entries[(m * num + i) * num_modalities * num + other * num + j];
    };
    int64_t start = 0;
    for (int64_t b = 0; b < packing.num_conversations(); ++b) {
      const int64_t length = packing.lengths()[b].item<int64_t>();
      for (int64_t i = 0; i < length; ++i) {
        for (int64_t m = 0; m < num_modalities; ++m) {
          for (int64_t j = 0; j < length; ++j) {
            if (context[b][i][j].item<bool>()) {
              entry(m, start + i, m, start + j) = similarity(m, start + i, m, start + j);
            }
          }
          for (int64_t other = 0; other < num_modalities; ++other) {
            if (other != m)
              entry(m, start + i, other, start + i) = similarity(m, start + i, other, start + i);
          }
        }
      }
      start += length;
    }
    const Tensor adjacency =
        torch::stack(entries).view({num_modalities * num, num_modalities * num});
    const Tensor scale = adjacency.sum(1).rsqrt();
    return adjacency * scale.unsqueeze(1) * scale.unsqueeze(0);
  }

  Packing packing;
  Tensor context;
  std::vector<Tensor> x;  // M of [N, 4]
};

TEST(SimilarityGraphTest, PropagationAndItsGradientsAreThoseOfTheDefinition) {
  for (const int64_t num_modalities : {1, 2, 4}) {
    SCOPED_TRACE(num_modalities);
    const RandomNodes nodes(num_modalities, {3, 1, 5});
    const Tensor h = torch::randn({num_modalities, 9, 2}).requires_grad_();
    std::vector<Tensor> inputs = nodes.x;
    inputs.push_back(h);
    const Tensor weights = torch::linspace(-1, 1, h.numel()).view(h.sizes());
    const Tensor got = Propagate(h, nodes.Graph());
    const Tensor want = nodes.Adjacency().to(torch::kFloat32).mm(h.flatten(0, 1)).view(h.sizes());
    EXPECT_LE(MaxDifference(got, want), kRounding);
    const auto got_gradients = torch::autograd::grad({(got * weights).sum()}, inputs);
    const auto want_gradients = torch::autograd::grad({(want * weights).sum()}, inputs);
    for (size_t k = 0; k < inputs.size(); ++k) {
      EXPECT_LE(MaxDifference(got_gradients[k], want_gradients[k]), kRounding) << "input " << k;
    }
  }
}

TEST(SimilarityGraphTest, ParallelOppositeAndZeroVectors) {
  const Tensor x =
      torch::tensor(
          {{1.0F, 2.0F, 3.0F}, {0.1F, 0.2F, 0.3F}, {-5.0F, -10.0F, -15.0F}, {0.0F, 0.0F, 0.0F}})
          .requires_grad_();
  const Packing packing(torch::tensor({int64_t{4}}), 4, torch::kCPU);
  const Tensor within = MakeSimilarities(x, packing).within;
  const double opposite = 1 - kParallel;
  const Tensor want = torch::tensor({kParallel, kParallel, opposite, 0.5,  //
                                     kParallel, kParallel, opposite, 0.5,  //
                                     opposite, opposite, kParallel, 0.5,   //
                                     0.5, 0.5, 0.5, kParallel},
                                    torch::kFloat32)
                          .view({1, 4, 4});
  // The three vectors are parallel but for the rounding of 0.1, 0.2 and 0.3 in float32.
  EXPECT_LE(MaxDifference(within, want), 1e-7);
  const Tensor gradient = torch::autograd::grad({within.sum()}, {x})[0];
  EXPECT_TRUE(gradient.isfinite().all().item<bool>());
  // What has no direction gets no gradient. The others cannot be more parallel or opposite but by
  // that rounding, 1e-8, which the arc cosine and the length of the shortest vector magnify by 200.
  EXPECT_EQ(gradient[3].abs().max().item<float>(), 0);
  EXPECT_LE(gradient.abs().max().item<float>(), 1e-4);
}

TEST(SimilarityGraphTest, DegreesAreThoseOfTheEdgesThatContextLeaves) {
  RandomNodes nodes(1, {3});
  nodes.context = torch::eye(3, torch::kBool).unsqueeze(0);
  // Alone with itself, a node keeps what it has.
  EXPECT_LE(MaxDifference(nodes.Graph().within.All(), torch::eye(3).unsqueeze(0)), 1e-7);
  EXPECT_EQ(nodes.Graph().across.abs().max().item<float>(), 0);
}

TEST(ModalityNamesTest, NamesAreTheOfficialOnesAndMustDiffer) {
  EXPECT_EQ(ShortModalityName("text"), "l");
  EXPECT_EQ(ShortModalityName("visual"), "v");
  EXPECT_EQ(ShortModalityName("gaze"), "gaze");
  const DatasetInfo info = SmallInfo({{"audio", 2, 1}, {"text", 2, 1}});
  EXPECT_EQ(FindModality(info, ""), 1);
  EXPECT_EQ(FindModality(info, "audio"), 0);
  EXPECT_EQ(FindModality(info, "l"), -1);
  EXPECT_EQ(FindModality(SmallInfo({{"gaze", 2, 1}, {"eeg", 2, 1}}), ""), 0);
  EXPECT_TRUE(ModalityNameErrors(info).empty());
  EXPECT_EQ(ModalityNameErrors(SmallInfo({{"text", 2, 1}, {"l", 2, 1}, {"a.b", 2, 1}})).size(), 2);
}

TEST(MmgcnTest, ParametersHaveTheOfficialNamesAndShapes) {
  const DatasetInfo info = SmallInfo({{"text", 6, 2}, {"audio", 3, 1}, {"visual", 2, 1}});
  const auto model = Model("graph_layers: 2 use_modality_embedding: true", info);
  const auto parameters = model->named_parameters();
  EXPECT_EQ(parameters.size(), 3 * 2 + 16 + 2 + 2 + 2 + 2);
  EXPECT_EQ(parameters["linear_v.weight"].sizes(), torch::IntArrayRef({8, 2}));
  EXPECT_EQ(parameters["lstm_l.weight_ih_l0"].sizes(), torch::IntArrayRef({16, 8}));
  EXPECT_EQ(parameters["graph_model.graph_net.convs.1.weight"].sizes(),
            torch::IntArrayRef({10, 5}));
  EXPECT_EQ(parameters["graph_model.graph_net.fcs.0.weight"].sizes(), torch::IntArrayRef({5, 8}));
  EXPECT_EQ(parameters["graph_model.modal_embeddings.weight"].sizes(), torch::IntArrayRef({3, 8}));
  EXPECT_EQ(parameters["graph_model.speaker_embeddings.weight"].sizes(),
            torch::IntArrayRef({2, 8}));
  EXPECT_EQ(parameters["smax_fc.weight"].sizes(), torch::IntArrayRef({3, 39}));
  const auto plain =
      Model(
          "encoder: GRU encode_other_modalities: true variant: false use_speaker: false "
          "use_residue: false")
          ->named_parameters();
  EXPECT_TRUE(plain.contains("gru_a.weight_hh_l1_reverse"));
  EXPECT_FALSE(plain.contains("graph_model.speaker_embeddings.weight"));
  EXPECT_EQ(plain["graph_model.graph_net.convs.3.weight"].sizes(), torch::IntArrayRef({5, 5}));
  EXPECT_EQ(plain["smax_fc.weight"].sizes(), torch::IntArrayRef({3, 10}));
}

// Finite, every row a distribution, and a finite gradient that is not zero for every parameter.
TEST(MmgcnTest, EveryCombinationTrains) {
  const Batch batch = RandomBatch({3, 1, 6});
  for (const char* encoder : {"LSTM", "GRU", "TRANSFORMER", "NO_ENCODER"}) {
    for (const char* graph : {"", "variant: false use_residue: false", "graph_layers: 64",
                              "use_speaker: false use_modality_embedding: true"}) {
      for (const char* others : {"true", "false"}) {
        for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
          const std::string text =
              absl::StrCat("encoder: ", encoder, " ", graph, " encode_other_modalities: ", others,
                           " semantics: ", semantics, " dropout: 0.1 graph_width: 20");
          SCOPED_TRACE(text);
          const auto model = Model(text);
          const Prediction prediction = Predict(*model, batch);
          // Three float32 probabilities add up to 1 within a few roundings of 6e-8.
          EXPECT_LE(MaxDifference(prediction.log_probs.exp().sum(1), torch::ones({10})), 1e-6);
          torch::nll_loss(prediction.log_probs, batch.labels).backward();
          for (const auto& parameter : model->named_parameters()) {
            const Tensor& gradient = parameter.value().grad();
            ASSERT_TRUE(gradient.defined()) << parameter.key();
            EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << parameter.key();
            EXPECT_GT(gradient.abs().sum().item<float>(), 0) << parameter.key();
          }
        }
      }
    }
  }
}

TEST(MmgcnTest, DropoutActsInTrainingOnly) {
  const auto model = Model("dropout: 0.5");
  const Batch batch = RandomBatch({3, 5});
  EXPECT_GT(MaxDifference(Predict(*model, batch).log_probs, Predict(*model, batch).log_probs),
            1e-3);
  model->eval();
  EXPECT_TRUE(torch::equal(Predict(*model, batch).log_probs, Predict(*model, batch).log_probs));
}

// With two utterances there is no indirect path.
TEST(MmgcnTest, AnUtteranceOutsideTheContextHasNoDirectPath) {
  const auto model = Model("encoder: NO_ENCODER graph_width: 40");
  Batch batch = RandomBatch({2});
  batch.context = batch.context.clone();
  batch.context[0][0][1] = false;
  Tensor& audio = batch.modalities[1].streams[0];
  audio = audio.clone().requires_grad_();
  const Tensor features = Predict(*model, batch).features;
  const auto influence = [&](int64_t on) {
    const Tensor gradient = torch::autograd::grad({features[on].square().sum()}, {audio}, {},
                                                  /*retain_graph=*/true)[0];
    return gradient[0].abs().sum(1);
  };
  EXPECT_EQ(influence(0)[1].item<float>(), 0);
  EXPECT_GT(influence(0)[0].item<float>(), 0);
  EXPECT_GT(influence(1)[0].item<float>(), 0);
}

TEST(MmgcnTest, ModalitiesOfAnUtteranceMeetInTheGraph) {
  const auto model = Model("encoder: NO_ENCODER use_residue: false graph_width: 40");
  const torch::NoGradGuard no_grad;
  Batch batch = RandomBatch({1});
  const Tensor before = Predict(*model, batch).features;
  batch.modalities[1].streams[0] = -batch.modalities[1].streams[0];
  // The last 40 columns are the nodes of the text.
  EXPECT_GT(
      MaxDifference(Predict(*model, batch).features.narrow(1, 40, 40), before.narrow(1, 40, 40)),
      1e-4);
}

TEST(MmgcnTest, TheEncodedModalityComesLastAndHasTheSpeaker) {
  const DatasetInfo info = SmallInfo({{"text", 6, 1}, {"audio", 3, 1}, {"visual", 2, 1}});
  const torch::NoGradGuard no_grad;
  Batch batch = RandomBatch({4, 2}, info);
  for (const std::string encoded : {"text", "audio"}) {
    const auto model =
        Model(absl::StrCat("encoder: NO_ENCODER encoded_modality: '", encoded, "'"), info);
    model->eval();
    const auto parameters = model->named_parameters();
    const Tensor features = Predict(*model, batch).features;
    const std::vector<std::string> order =
        encoded == "text" ? std::vector<std::string>{"audio", "visual", "text"}
                          : std::vector<std::string>{"text", "visual", "audio"};
    const Packing packing(batch.lengths, batch.max_length(), torch::kCPU);
    for (int64_t k = 0; k < 3; ++k) {
      const std::string name = "linear_" + ShortModalityName(order[k]);
      Tensor want =
          torch::linear(packing.Pack(batch.modalities[FindModality(info, order[k])].streams[0]),
                        parameters[name + ".weight"], parameters[name + ".bias"]);
      if (k == 2) {
        want = want + parameters["graph_model.speaker_embeddings.weight"].index_select(
                          0, packing.Pack(batch.speakers));
      }
      // Each modality has 8 columns before the graph and 5 after it.
      EXPECT_LE(MaxDifference(features.narrow(1, 13 * k, 8), want), kRounding) << order[k];
    }
  }
  const auto silent = Model("use_speaker: false", info);
  const Tensor before = Predict(*silent, batch).log_probs;
  batch.speakers = 1 - batch.speakers;
  EXPECT_TRUE(torch::equal(Predict(*silent, batch).log_probs, before));
}

// theta = log(1) = 0 leaves the identity, and alpha = 1 nothing but h_0.
TEST(MmgcnTest, AlphaAndLambdaLeadBackToTheFirstLayersInput) {
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({4, 2});
  for (const char* variant : {"true", "false"}) {
    const std::string text = absl::StrCat("encoder: NO_ENCODER variant: ", variant, " ");
    const auto model = Model(text + "lambda: 1e-30 alpha: 1");
    const auto parameters = model->named_parameters();
    const Tensor features = Predict(*model, batch).features;
    for (int64_t k = 0; k < 2; ++k) {
      const Tensor want = torch::relu(torch::linear(
          features.narrow(1, 13 * k, 8), parameters["graph_model.graph_net.fcs.0.weight"],
          parameters["graph_model.graph_net.fcs.0.bias"]));
      EXPECT_LE(MaxDifference(features.narrow(1, 13 * k + 8, 5), want), kRounding);
    }
    // And neither is the default.
    EXPECT_GT(MaxDifference(Predict(*Model(text + "alpha: 1"), batch).features, features), 1e-3);
    EXPECT_GT(MaxDifference(Predict(*Model(text + "lambda: 1e-30"), batch).features, features),
              1e-3);
  }
}

TEST(MmgcnTest, StreamsOfAModalityAreAveraged) {
  const auto model = Model("");
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({4, 2});
  Batch averaged = batch;
  const std::vector<Tensor>& text = batch.modalities[0].streams;
  averaged.modalities[0].streams = {(text[0] + text[1]) / 2, (text[0] + text[1]) / 2};
  // The mean of two equal numbers is that number.
  EXPECT_TRUE(torch::equal(Predict(*model, averaged).log_probs, Predict(*model, batch).log_probs));
}

TEST(MmgcnTest, OfficialModeSeesPadding) {
  const torch::NoGradGuard no_grad;
  const Batch together = RandomBatch({3, 6});
  Batch alone = RandomBatch({3});
  for (size_t m = 0; m < 2; ++m) {
    for (size_t s = 0; s < alone.modalities[m].streams.size(); ++s) {
      alone.modalities[m].streams[s] =
          together.modalities[m].streams[s].narrow(0, 0, 1).narrow(1, 0, 3);
    }
  }
  const auto difference = [&](const std::string& text) {
    const auto model = Model(text);
    return MaxDifference(Predict(*model, together).features.narrow(0, 0, 3),
                         Predict(*model, alone).features);
  };
  EXPECT_GT(difference("semantics: OFFICIAL"), 1e-4);
  EXPECT_LT(difference("semantics: CORRECTED"), kRounding);
  EXPECT_LT(difference("semantics: OFFICIAL encoder: NO_ENCODER"), kRounding);
}

// Nodes that are exactly 0 have no direction (the official code divides 0 by 0).
TEST(MmgcnTest, NodesThatAreZeroAreFinite) {
  const auto model = Model("encoder: NO_ENCODER use_speaker: false");
  Batch batch = RandomBatch({3, 2});
  for (auto& parameter : model->named_parameters()) {
    const torch::NoGradGuard no_grad;
    if (absl::StartsWith(parameter.key(), "linear_")) parameter.value().zero_();
  }
  const Prediction prediction = Predict(*model, batch);
  EXPECT_TRUE(prediction.features.isfinite().all().item<bool>());
  torch::nll_loss(prediction.log_probs, batch.labels).backward();
  for (const auto& parameter : model->named_parameters()) {
    EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
  }
}

TEST(MmgcnTest, InvalidOptionsAreQuotedAllAtOnce) {
  const absl::Status status = Create(
                                  "graph_width: 0 graph_layers: 0 alpha: 1.5 lambda: 0 "
                                  "dropout: 1")
                                  .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "cmerc.MmgcnOptions: graph_width = 0, must be >= 1; "
            "cmerc.MmgcnOptions: graph_layers = 0, must be >= 1; "
            "cmerc.MmgcnOptions: alpha = 1.5, must be in [0, 1]; "
            "cmerc.MmgcnOptions: lambda = 0, must be > 0; "
            "cmerc.MmgcnOptions: dropout = 1, must be in [0, 1)");
  EXPECT_EQ(Create("input_width: 7 encoded_modality: 'voice'").status().message(),
            "cmerc.MmgcnOptions: input_width = 7, must be even (half of it for each direction of "
            "the encoder); "
            "cmerc.MmgcnOptions: encoded_modality = \"voice\", must be a modality of the data: "
            "text, audio");
  for (const char* text : {"alpha: nan", "lambda: nan", "lambda: inf", "dropout: nan",
                           "input_width: 0", "input_width: 6 encoder: TRANSFORMER"}) {
    EXPECT_FALSE(Create(text).ok()) << text;
  }
  EXPECT_TRUE(absl::StrContains(Create("", SmallInfo({})).status().message(), "no modality"));
  EXPECT_TRUE(absl::StrContains(
      Create("", SmallInfo({{"text", 2, 1}, {"l", 2, 1}})).status().message(), "modality \"l\""));
}

}  // namespace
}  // namespace cmerc
