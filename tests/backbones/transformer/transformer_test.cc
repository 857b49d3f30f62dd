// The laws of the Transformer that only it has, and its numbers against LibTorch's own attention;
// //tests/conformance has the laws of all backbones.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/functional/activation.h>
#include <torch/nn/modules/rnn.h>
#include <torch/nn/modules/transformer.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "backbones/transformer/transformer.pb.h"
#include "core/backbone.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Float32 sums of some tens of the same numbers in another order, through two layers.
constexpr double kReordered = 2e-6;
// The same for gradients, which are below 1 here: the largest difference is 6e-8.
constexpr double kReorderedGradient = 2e-7;

// Small unless `text` says otherwise.
TransformerOptions Options(const std::string& text) {
  TransformerOptions options;
  options.set_hidden_width(12);
  options.set_num_heads(3);
  options.set_feed_forward_width(10);
  TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(text, &options), text);
  return options;
}

absl::StatusOr<std::unique_ptr<Backbone>> Create(const std::string& text,
                                                 const DatasetInfo& info = SmallInfo()) {
  return CreateBackbone(Options(text), info);
}

// In evaluation mode, with biases and norms that are not their initial 0 and 1.
std::unique_ptr<Backbone> Model(const std::string& text) {
  auto model = Create(text);
  TORCH_CHECK(model.ok(), model.status().ToString());
  (*model)->eval();
  const torch::NoGradGuard no_grad;
  for (auto& parameter : (*model)->named_parameters()) {
    if (parameter.value().dim() == 1)
      parameter.value() += 0.3 * torch::randn_like(parameter.value());
  }
  return *std::move(model);
}

Batch RandomBatch(const std::vector<int64_t>& lengths) {
  std::vector<Conversation> conversations = SmallConversations(lengths, SmallInfo());
  for (Conversation& conversation : conversations) {
    conversation.speakers = torch::randint(2, {conversation.length()}, torch::kInt64);
  }
  return MakeBatch(conversations, SmallInfo());
}

// Each utterance may draw on some others of its conversation and on itself.
Batch WithRandomContext(const Batch& batch) {
  torch::manual_seed(3);
  Batch restricted = batch;
  const Tensor self = torch::eye(batch.max_length(), torch::kBool);
  restricted.context =
      batch.context.logical_and((torch::rand(batch.context.sizes()) < 0.5).logical_or(self));
  return restricted;
}

Tensor& Audio(Batch& batch) { return batch.modalities[1].streams[0]; }

// Conversation b of the batch by LibTorch's own functions, with the weights of `model`, as
// PyTorch's TransformerEncoderLayer(norm_first=True) has them in sequence.
Prediction Reference(Backbone& model, const TransformerOptions& options, const Batch& batch,
                     int64_t b) {
  const auto parameters = model.named_parameters();
  const int64_t n = batch.lengths[b].item<int64_t>();
  const int64_t width = options.hidden_width();
  const auto linear = [&](const std::string& name, const Tensor& rows) {
    return torch::linear(rows, parameters[name + ".weight"], parameters[name + ".bias"]);
  };
  const auto norm = [&](const std::string& name, const Tensor& rows) {
    return torch::layer_norm(rows, {width}, parameters[name + ".weight"],
                             parameters[name + ".bias"], 1e-5);
  };
  const auto rows_of = [&](const Tensor& padded) { return padded[b].narrow(0, 0, n); };
  const std::vector<Tensor>& text = batch.modalities[0].streams;
  Tensor x = linear("projections.0", (rows_of(text[0]) + rows_of(text[1])) / 2) +
             linear("projections.1", rows_of(batch.modalities[1].streams[0]));
  if (options.speaker_embedding()) {
    x = x + parameters["speakers.weight"].index_select(0, rows_of(batch.speakers));
  }
  if (options.positions()) {
    const Tensor table = torch::empty({n, width});
    for (int64_t t = 0; t < n; ++t) {
      for (int64_t i = 0; i < width; ++i) {
        const double angle = t / std::pow(10000.0, static_cast<double>(i - i % 2) / width);
        table[t][i] = i % 2 == 0 ? std::sin(angle) : std::cos(angle);
      }
    }
    x = x + table;
  }
  const Tensor mask =
      torch::zeros({n, n}).masked_fill(rows_of(batch.context).narrow(1, 0, n).logical_not(),
                                       -std::numeric_limits<double>::infinity());
  for (int l = 0; l < options.num_layers(); ++l) {
    const std::string layer = absl::StrCat("layers.", l, ".");
    const std::string attention = layer + "self_attn.";
    const Tensor query = norm(layer + "norm1", x).unsqueeze(1);
    namespace F = torch::nn::functional;
    const Tensor gathered = std::get<0>(F::multi_head_attention_forward(
        query, query, query,
        F::MultiheadAttentionForwardFuncOptions(
            width, options.num_heads(), parameters[attention + "in_proj_weight"],
            parameters[attention + "in_proj_bias"], /*bias_k=*/{}, /*bias_v=*/{},
            /*add_zero_attn=*/false, /*dropout_p=*/0, parameters[attention + "out_proj.weight"],
            parameters[attention + "out_proj.bias"])
            .training(false)
            .need_weights(false)
            .attn_mask(mask)));
    x = x + gathered.squeeze(1);
    const Tensor wide = linear(layer + "linear1", norm(layer + "norm2", x));
    const Tensor active =
        options.activation() == TransformerOptions::GELU ? torch::gelu(wide) : torch::relu(wide);
    x = x + linear(layer + "linear2", active);
  }
  const Tensor features = norm("norm", x);
  return {torch::log_softmax(linear("head", features), 1), features};
}

Tensor LossOf(const Prediction& prediction, const Batch& batch) {
  return torch::nll_loss(prediction.log_probs, batch.labels) +
         (prediction.features.cos() * prediction.features).mean();
}

// Which utterances of the only conversation of `batch` the features of each utterance depend on.
std::vector<std::set<int64_t>> Influences(Backbone& model, Batch batch) {
  Audio(batch) = Audio(batch).clone().requires_grad_();
  const Tensor features = Predict(model, batch).features;
  std::vector<std::set<int64_t>> influences(features.size(0));
  for (int64_t i = 0; i < features.size(0); ++i) {
    // Not their sum, which normalisation makes nearly constant.
    const Tensor gradient = torch::autograd::grad({features[i][0]}, {Audio(batch)}, {},
                                                  /*retain_graph=*/true)[0];
    for (int64_t j = 0; j < features.size(0); ++j) {
      if (gradient[0][j].abs().max().item<float>() > 0) influences[i].insert(j);
    }
  }
  return influences;
}

class TransformerGoldenTest : public testing::TestWithParam<const char*> {};

TEST_P(TransformerGoldenTest, PredictionsAreThoseOfMultiHeadAttentionForward) {
  const torch::NoGradGuard no_grad;
  const auto model = Model(GetParam());
  const Batch batch = WithRandomContext(RandomBatch({5, 1, 9}));
  const Prediction prediction = Predict(*model, batch);
  int64_t start = 0;
  for (int64_t b = 0; b < 3; ++b) {
    const int64_t n = batch.lengths[b].item<int64_t>();
    const Prediction want = Reference(*model, Options(GetParam()), batch, b);
    EXPECT_LE(MaxDifference(prediction.log_probs.narrow(0, start, n), want.log_probs), kReordered)
        << "conversation " << b;
    EXPECT_LE(MaxDifference(prediction.features.narrow(0, start, n), want.features), kReordered)
        << "conversation " << b;
    start += n;
  }
}

TEST_P(TransformerGoldenTest, GradientsAreThoseOfMultiHeadAttentionForward) {
  const auto model = Model(GetParam());
  Batch batch = WithRandomContext(RandomBatch({5, 1, 9}));
  Audio(batch).requires_grad_();
  std::vector<Tensor> inputs = model->parameters();
  inputs.push_back(Audio(batch));
  const std::vector<Tensor> gradients =
      torch::autograd::grad({LossOf(Predict(*model, batch), batch)}, inputs);
  std::vector<Tensor> log_probs;
  std::vector<Tensor> features;
  for (int64_t b = 0; b < 3; ++b) {
    const Prediction part = Reference(*model, Options(GetParam()), batch, b);
    log_probs.push_back(part.log_probs);
    features.push_back(part.features);
  }
  const Prediction together = {torch::cat(log_probs), torch::cat(features)};
  const std::vector<Tensor> want = torch::autograd::grad({LossOf(together, batch)}, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const double scale = std::max(1.0, want[i].abs().max().item<double>());
    EXPECT_LE(MaxDifference(gradients[i], want[i]), kReorderedGradient * scale)
        << (i < inputs.size() - 1 ? model->named_parameters().keys()[i] : "audio");
  }
}

INSTANTIATE_TEST_SUITE_P(Options, TransformerGoldenTest,
                         testing::Values("", "num_layers: 1 activation: RELU",
                                         "hidden_width: 7 num_heads: 1",
                                         "positions: false speaker_embedding: false"),
                         [](const auto& info) { return absl::StrCat("Case", info.index); });

TEST(TransformerTest, TheGradientIsTheSlope) {
  const auto model = Model("");
  const Batch batch = WithRandomContext(RandomBatch({4, 2}));
  const std::vector<Tensor> parameters = model->parameters();
  const std::vector<Tensor> gradients =
      torch::autograd::grad({LossOf(Predict(*model, batch), batch)}, parameters);
  double squares = 0;
  for (const Tensor& gradient : gradients) squares += gradient.square().sum().item<double>();
  const double length = std::sqrt(squares);
  const torch::NoGradGuard no_grad;
  const auto loss_at = [&](double step) {
    const auto move = [&](double by) {
      for (size_t i = 0; i < parameters.size(); ++i) parameters[i].add_(gradients[i], by);
    };
    move(step / length);
    const double loss = LossOf(Predict(*model, batch), batch).item<double>();
    move(-step / length);
    return loss;
  };
  // Rounding of the loss is 1e-7 / step; the next term of the series is some step^2.
  constexpr double kStep = 5e-3;
  EXPECT_NEAR((loss_at(kStep) - loss_at(-kStep)) / (2 * kStep), length, 1e-3 * length);
}

TEST(TransformerTest, ParametersHavePyTorchsNamesAndShapes) {
  const auto parameters = Model("")->named_parameters();
  EXPECT_EQ(parameters.size(), 2 * 2 + 1 + 2 * 12 + 2 + 2);
  EXPECT_EQ(parameters["projections.1.weight"].sizes(), torch::IntArrayRef({12, 3}));
  EXPECT_EQ(parameters["speakers.weight"].sizes(), torch::IntArrayRef({2, 12}));
  EXPECT_EQ(parameters["layers.0.self_attn.in_proj_weight"].sizes(), torch::IntArrayRef({36, 12}));
  EXPECT_EQ(parameters["layers.1.self_attn.out_proj.bias"].sizes(), torch::IntArrayRef({12}));
  EXPECT_EQ(parameters["layers.1.linear1.weight"].sizes(), torch::IntArrayRef({10, 12}));
  EXPECT_EQ(parameters["layers.1.linear2.weight"].sizes(), torch::IntArrayRef({12, 10}));
  EXPECT_EQ(parameters["layers.1.norm2.bias"].sizes(), torch::IntArrayRef({12}));
  EXPECT_EQ(parameters["norm.weight"].sizes(), torch::IntArrayRef({12}));
  EXPECT_EQ(parameters["head.weight"].sizes(), torch::IntArrayRef({3, 12}));
  EXPECT_FALSE(Model("speaker_embedding: false")->named_parameters().contains("speakers.weight"));
}

// 0 draws on 0 and 1, 1 on 1 and 2, and so on: each layer reaches one utterance further.
TEST(TransformerTest, ContextIsTheMaskOfEveryLayer) {
  Batch batch = RandomBatch({4});
  const Tensor ahead = torch::arange(4).unsqueeze(0) - torch::arange(4).unsqueeze(1);
  batch.context = ((ahead == 0).logical_or(ahead == 1)).unsqueeze(0);
  const auto one = Influences(*Model("num_layers: 1"), batch);
  EXPECT_EQ(one[0], std::set<int64_t>({0, 1}));
  EXPECT_EQ(one[2], std::set<int64_t>({2, 3}));
  EXPECT_EQ(one[3], std::set<int64_t>({3}));
  const auto two = Influences(*Model("num_layers: 2"), batch);
  EXPECT_EQ(two[0], std::set<int64_t>({0, 1, 2}));
  EXPECT_EQ(two[1], std::set<int64_t>({1, 2, 3}));
  EXPECT_EQ(two[3], std::set<int64_t>({3}));
}

TEST(TransformerTest, AnUtteranceWithoutContextIsAlone) {
  const torch::NoGradGuard no_grad;
  const auto model = Model("positions: false");
  Batch batch = RandomBatch({3, 5});
  const Tensor self = torch::eye(5, torch::kBool);
  batch.context = batch.context.logical_and(self);
  const Prediction cut = Predict(*model, batch);
  const auto alone = [&](int64_t b, int64_t t) {
    Batch one = RandomBatch({1});
    for (size_t m = 0; m < one.modalities.size(); ++m) {
      for (size_t s = 0; s < one.modalities[m].streams.size(); ++s) {
        one.modalities[m].streams[s] =
            batch.modalities[m].streams[s].narrow(0, b, 1).narrow(1, t, 1);
      }
    }
    one.speakers = batch.speakers.narrow(0, b, 1).narrow(1, t, 1);
    return Predict(*model, one).features[0];
  };
  EXPECT_LE(MaxDifference(cut.features[1], alone(0, 1)), kReordered);
  EXPECT_LE(MaxDifference(cut.features[3 + 4], alone(1, 4)), kReordered);
  // An utterance sees itself even if the context forgets to say so.
  batch.context = torch::zeros_like(batch.context);
  EXPECT_TRUE(torch::equal(Predict(*model, batch).features, cut.features));
}

TEST(TransformerTest, WithoutPositionsAConversationIsASet) {
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({6});
  Batch reversed = batch;
  for (Modality& modality : reversed.modalities) {
    for (Tensor& stream : modality.streams) stream = stream.flip(1);
  }
  reversed.speakers = batch.speakers.flip(1);
  const auto difference = [&](const std::string& text) {
    const auto model = Model(text);
    return MaxDifference(Predict(*model, reversed).features.flip(0),
                         Predict(*model, batch).features);
  };
  EXPECT_LE(difference("positions: false"), kReordered);
  EXPECT_GT(difference(""), 1e-2);
}

TEST(TransformerTest, SpeakersMatterThroughTheirEmbeddingOnly) {
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({4, 2});
  Batch swapped = batch;
  swapped.speakers = 1 - batch.speakers;
  const auto with = Model("");
  EXPECT_GT(MaxDifference(Predict(*with, swapped).features, Predict(*with, batch).features), 1e-2);
  const auto without = Model("speaker_embedding: false");
  EXPECT_TRUE(torch::equal(Predict(*without, swapped).features, Predict(*without, batch).features));
}

TEST(TransformerTest, StreamsOfAModalityAreAveraged) {
  const torch::NoGradGuard no_grad;
  const auto model = Model("");
  const Batch batch = RandomBatch({4, 2});
  Batch averaged = batch;
  const std::vector<Tensor>& text = batch.modalities[0].streams;
  averaged.modalities[0].streams = {(text[0] + text[1]) / 2, (text[0] + text[1]) / 2};
  // The mean of two equal numbers is that number.
  EXPECT_TRUE(torch::equal(Predict(*model, averaged).log_probs, Predict(*model, batch).log_probs));
}

TEST(TransformerTest, DropoutActsInTrainingOnly) {
  const torch::NoGradGuard no_grad;
  const auto model = Model("dropout: 0.4");
  const Batch batch = RandomBatch({4, 2});
  const Tensor evaluated = Predict(*model, batch).log_probs;
  EXPECT_TRUE(torch::equal(Predict(*model, batch).log_probs, evaluated));
  model->train();
  EXPECT_GT(MaxDifference(Predict(*model, batch).log_probs, evaluated), 1e-2);
  const auto certain = Model("dropout: 0");
  const Tensor without = Predict(*certain, batch).log_probs;
  certain->train();
  EXPECT_TRUE(torch::equal(Predict(*certain, batch).log_probs, without));
}

TEST(TransformerTest, InvalidOptionsAreQuotedAllAtOnce) {
  const absl::Status status =
      Create("hidden_width: 0 num_layers: 0 num_heads: -1 feed_forward_width: 0 dropout: 1")
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "cmerc.TransformerOptions: hidden_width = 0, must be >= 1; "
            "cmerc.TransformerOptions: num_layers = 0, must be >= 1; "
            "cmerc.TransformerOptions: num_heads = -1, must be >= 1; "
            "cmerc.TransformerOptions: feed_forward_width = 0, must be >= 1; "
            "cmerc.TransformerOptions: dropout = 1, must be in [0, 1)");
  EXPECT_EQ(Create("", SmallInfo({})).status().message(),
            "cmerc.TransformerOptions: the data has no modality");
  EXPECT_EQ(Create("hidden_width: 10 num_heads: 4").status().message(),
            "cmerc.TransformerOptions: hidden_width = 10, must be a multiple of num_heads = 4");
  EXPECT_FALSE(Create("dropout: nan").ok());
}

}  // namespace
}  // namespace cmerc
