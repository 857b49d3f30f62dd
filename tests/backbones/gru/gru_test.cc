// The laws of GRU and LSTM that only they have; //tests/conformance has those of all backbones and
// //tests/golden/gru their numbers.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "backbones/gru/gru.pb.h"
#include "backbones/layers/matching_attention.h"
#include "core/backbone.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

absl::StatusOr<std::unique_ptr<Backbone>> Create(const std::string& text,
                                                 const DatasetInfo& info = SmallInfo()) {
  GruOptions options;
  options.set_hidden_width(5);
  options.set_linear_width(6);
  TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(text, &options), text);
  return CreateBackbone(options, info);
}

std::unique_ptr<Backbone> Model(const std::string& text, const DatasetInfo& info = SmallInfo()) {
  auto model = Create(text, info);
  TORCH_CHECK(model.ok(), model.status().ToString());
  (*model)->eval();
  return *std::move(model);
}

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info = SmallInfo()) {
  return SmallBatch(lengths, info);
}

TEST(GruTest, ParametersHaveTheOfficialNamesAndShapes) {
  const auto model = Model("cell: LSTM");
  const auto parameters = model->named_parameters();
  EXPECT_EQ(parameters.size(), 16 + 2 + 2 + 2);
  EXPECT_EQ(parameters["lstm.weight_ih_l0"].sizes(), torch::IntArrayRef({20, 7}));
  EXPECT_EQ(parameters["lstm.weight_hh_l1_reverse"].sizes(), torch::IntArrayRef({20, 5}));
  EXPECT_EQ(parameters["matchatt.transform.weight"].sizes(), torch::IntArrayRef({10, 10}));
  EXPECT_EQ(parameters["linear.weight"].sizes(), torch::IntArrayRef({6, 10}));
  EXPECT_EQ(parameters["smax_fc.weight"].sizes(), torch::IntArrayRef({3, 6}));
  const auto plain = Model("attention: false")->named_parameters();
  EXPECT_TRUE(plain.contains("gru.bias_hh_l0"));
  EXPECT_FALSE(plain.contains("matchatt.transform.weight"));
}

// x + P is 2 x where an utterance attends to nothing but itself.
TEST(GruTest, ResidualAddsTheUtterancesOwnState) {
  const auto residual = Model("");
  const auto official = Model("residual: false");
  Batch batch = RandomBatch({4, 2});
  batch.context = torch::eye(4, torch::kBool).unsqueeze(0).logical_and(batch.context);
  const torch::NoGradGuard no_grad;
  // Doubling is exact.
  official->named_parameters()["linear.weight"].mul_(2);
  EXPECT_TRUE(torch::equal(Predict(*official, batch).features, Predict(*residual, batch).features));
}

// Batch mates share one step of the recurrent layers, sorted by length.
TEST(GruTest, UtterancesStayInTheirPlaces) {
  const DatasetInfo info = SmallInfo();
  const auto model = Model("attention: false");
  Batch batch = RandomBatch({2, 5, 3});
  const Tensor before = Predict(*model, batch).log_probs;
  batch.modalities[0].streams[0][1] += 1;
  const Tensor change = (Predict(*model, batch).log_probs - before).abs().sum(1);
  // Rows 2 to 6 are conversation 1.
  EXPECT_EQ(change.narrow(0, 0, 2).max().item<float>(), 0);
  EXPECT_GT(change.narrow(0, 2, 5).min().item<float>(), 1e-4);
  EXPECT_EQ(change.narrow(0, 7, 3).max().item<float>(), 0);
}

TEST(GruTest, StreamsOfAModalityAreAveraged) {
  const auto model = Model("");
  const Batch batch = RandomBatch({4, 2});
  Batch averaged = batch;
  const std::vector<Tensor>& text = batch.modalities[0].streams;
  averaged.modalities[0].streams = {(text[0] + text[1]) / 2, (text[0] + text[1]) / 2};
  // The mean of two equal numbers is that number.
  EXPECT_TRUE(torch::equal(Predict(*model, averaged).log_probs, Predict(*model, batch).log_probs));
}

// "partial": the recurrent layers see all, the attention only the context.
TEST(GruTest, ContextRestrictsTheAttention) {
  const auto model = Model("residual: false");
  Batch batch = RandomBatch({4, 2});
  const Tensor full = Predict(*model, batch).features;
  Batch cut = batch;
  cut.context = batch.context.clone();
  cut.context[0][1][2] = false;
  const Tensor features = Predict(*model, cut).features;
  EXPECT_GT(MaxDifference(features[1], full[1]), 1e-6);
  for (const int64_t i : {0, 2, 3, 4, 5}) EXPECT_TRUE(torch::equal(features[i], full[i])) << i;
  // Alone with itself, an utterance attends to itself.
  cut.context = torch::eye(4, torch::kBool).unsqueeze(0).logical_and(batch.context);
  const auto plain = Model("attention: false");
  const torch::NoGradGuard no_grad;
  for (auto& parameter : plain->named_parameters()) {
    parameter.value().copy_(model->named_parameters()[parameter.key()]);
  }
  // A mass divided by itself is 1, and the other rows are multiplied by 0.
  EXPECT_TRUE(torch::equal(Predict(*model, cut).features, Predict(*plain, batch).features));
}

TEST(GruTest, OfficialModeSeesPadding) {
  const Batch together = RandomBatch({3, 6});
  Batch alone = RandomBatch({3});
  alone.modalities[0].streams = {together.modalities[0].streams[0].narrow(0, 0, 1).narrow(1, 0, 3),
                                 together.modalities[0].streams[1].narrow(0, 0, 1).narrow(1, 0, 3)};
  alone.modalities[1].streams = {together.modalities[1].streams[0].narrow(0, 0, 1).narrow(1, 0, 3)};
  const auto difference = [&](const std::string& text) {
    const auto model = Model(text);
    return MaxDifference(Predict(*model, together).log_probs.narrow(0, 0, 3),
                         Predict(*model, alone).log_probs);
  };
  EXPECT_GT(difference("semantics: OFFICIAL"), 1e-4);
  // Sums of some tens of float32 terms in another order.
  EXPECT_LT(difference("semantics: CORRECTED"), 1e-6);
}

TEST(GruTest, InvalidOptionsAreQuotedAllAtOnce) {
  const absl::Status status = Create("hidden_width: 0 linear_width: -2 dropout: 1").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "cmerc.GruOptions: hidden_width = 0, must be >= 1; "
            "cmerc.GruOptions: linear_width = -2, must be >= 1; "
            "cmerc.GruOptions: dropout = 1, must be in [0, 1)");
  EXPECT_EQ(Create("", SmallInfo({})).status().message(),
            "cmerc.GruOptions: the data has no modality");
  EXPECT_FALSE(Create("dropout: nan").ok());
}

// Row by row, as the formula says.
TEST(MatchingAttentionTest, IsASoftmaxOverTheContext) {
  torch::manual_seed(3);
  const auto wide = torch::TensorOptions().dtype(torch::kFloat64);
  const Tensor x = torch::randn({2, 4, 3}, wide);
  const Tensor weight = torch::randn({3, 3}, wide);
  const Tensor bias = torch::randn({3}, wide);
  const Tensor context = torch::rand({2, 4, 4}) < 0.6;
  const Tensor alpha = MatchingAttention(torch::linear(x, weight, bias), x, context);
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t i = 0; i < 4; ++i) {
      double sum = 0;
      std::vector<double> mass(4, 0);
      for (int64_t j = 0; j < 4; ++j) {
        if (!context[b][i][j].item<bool>()) continue;
        const Tensor query = weight.mv(x[b][i]) + bias;
        mass[j] = std::exp(std::tanh(query.dot(x[b][j]).item<double>()));
        sum += mass[j];
      }
      for (int64_t j = 0; j < 4; ++j) {
        EXPECT_NEAR(alpha[b][i][j].item<double>(), sum == 0 ? 0 : mass[j] / sum, 1e-14);
      }
    }
  }
}

TEST(MatchingAttentionTest, ARowWithoutContextIsZeroAndHasAFiniteGradient) {
  const Tensor x = torch::ones({1, 2, 3}).set_requires_grad(true);
  Tensor context = torch::zeros({1, 2, 2}, torch::kBool);
  context[0][0][0] = true;
  const Tensor alpha = MatchingAttention(x, x, context);
  EXPECT_TRUE(torch::equal(alpha, torch::tensor({{{1.0F, 0.0F}, {0.0F, 0.0F}}})));
  alpha.square().sum().backward();
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace cmerc
