// The laws of M3Net: what must hold whatever the weights. Several batches at once:
// m3net_forward_all_test.cc; the official numbers: //tests/golden/m3net.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/backbone.h"
#include "tests/backbones/m3net/m3net_testing.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

std::vector<Conversation> Conversations(const std::vector<int64_t>& lengths,
                                        const DatasetInfo& info = Info()) {
  return SmallConversations(lengths, info);
}

std::set<std::string> ParameterNames(const Backbone& model) {
  std::set<std::string> names;
  for (const auto& parameter : model.named_parameters()) names.insert(parameter.key());
  return names;
}

TEST(M3NetTest, DefaultsNameTheOfficialParameters) {
  const auto model =
      Model(Options("text_encoder: NO_ENCODER hypergraph_layers: 2 "
                    "high_frequency_layers: 1 use_modality_embedding: true"));
  const std::set<std::string> want = {"normBNa.weight",
                                      "normBNa.bias",
                                      "normBNb.weight",
                                      "normBNb.bias",
                                      "normBNc.weight",
                                      "normBNc.bias",
                                      "normBNd.weight",
                                      "normBNd.bias",
                                      "linear_a.weight",
                                      "linear_a.bias",
                                      "linear_v.weight",
                                      "linear_v.bias",
                                      "linear_l.weight",
                                      "linear_l.bias",
                                      "graph_model.modal_embeddings.weight",
                                      "graph_model.speaker_embeddings.weight",
                                      "graph_model.fc1.weight",
                                      "graph_model.fc1.bias",
                                      "graph_model.hyperedge_weight",
                                      "graph_model.EW_weight",
                                      "graph_model.hyperconv1.bias",
                                      "graph_model.hyperconv2.bias",
                                      "graph_model.conv1.gate.weight",
                                      "graph_model.conv1.gate.bias",
                                      "smax_fc.weight",
                                      "smax_fc.bias"};
  EXPECT_EQ(ParameterNames(*model), want);
  for (const auto& parameter : model->named_parameters()) {
    if (parameter.key() == "graph_model.hyperedge_weight") {
      EXPECT_TRUE(torch::equal(parameter.value(), torch::ones({4})));
    } else if (parameter.key() == "graph_model.EW_weight") {
      EXPECT_TRUE(torch::equal(parameter.value(), torch::ones({3})));
    } else if (absl::StrContains(parameter.key(), "hyperconv")) {
      EXPECT_TRUE(torch::equal(parameter.value(), torch::zeros({4})));
    }
  }
}

TEST(M3NetTest, OfficialStateDictIsTheSameWhateverIsTrained) {
  // The official class makes every tensor, and the options choose which it uses.
  std::set<std::string> want;
  for (const char* text :
       {"", "norm: LN", "norm: NO_NORM", "use_speaker: false", "use_modality_embedding: true"}) {
    const auto model = Model(Options(absl::StrCat("semantics: OFFICIAL ", text)));
    std::set<std::string> names = ParameterNames(*model);
    for (const auto& buffer : model->named_buffers()) names.insert(buffer.key());
    if (want.empty()) want = names;
    EXPECT_EQ(names, want) << text;
  }
  const auto model = Model(Options("semantics: OFFICIAL text_encoder: TRANSFORMER"));
  std::set<std::string> buffers;
  for (const auto& buffer : model->named_buffers()) buffers.insert(buffer.key());
  EXPECT_TRUE(buffers.count("trans_a.self_attn.in_proj_weight"));
  EXPECT_TRUE(buffers.count("trans_v.linear2.bias"));
  EXPECT_TRUE(ParameterNames(*model).count("trans_l.self_attn.out_proj.bias"));
}

TEST(M3NetTest, OtherModalitiesAreNamedAfterThemselves) {
  const DatasetInfo info = SmallInfo({{"gaze", 3, 1}, {"audio", 5, 2}});
  EXPECT_TRUE(ParameterNames(*Model(Options(), info)).count("gru_gaze.weight_ih_l0"));
  const auto names = ParameterNames(
      *Model(Options("encoded_modality: 'audio' encode_other_modalities: true"), info));
  EXPECT_TRUE(names.count("normBNb.weight"));
  EXPECT_FALSE(names.count("normBNc.weight"));
  EXPECT_TRUE(names.count("gru_a.weight_ih_l0"));
  EXPECT_TRUE(names.count("gru_gaze.weight_hh_l1_reverse"));
  EXPECT_TRUE(names.count("linear_gaze.weight"));
}

// Every combination of options, in both modes: finite, every row a distribution, a finite gradient
// for every parameter, and not zero where no parameter belongs to an unused position.
TEST(M3NetTest, EveryCombinationTrains) {
  const Batch batch = RandomBatch({3, 1, 4});
  for (const char* norm : kNorms) {
    for (const char* encoder : kEncoders) {
      for (int flags = 0; flags < 16; ++flags) {
        const std::string text =
            absl::StrCat("norm: ", norm, " text_encoder: ", encoder,
                         " use_residue: ", flags & 1 ? "true" : "false",
                         " use_modality_embedding: ", flags & 2 ? "true" : "false",
                         " encode_other_modalities: ", flags & 4 ? "true" : "false",
                         " semantics: ", flags & 8 ? "OFFICIAL" : "CORRECTED", " dropout: 0.1");
        SCOPED_TRACE(text);
        const auto model = Model(Options(text));
        const Prediction prediction = Predict(*model, batch);
        ASSERT_EQ(prediction.features.size(1), 3 * (2 * 4 + (flags & 1 ? 8 : 0)));
        // Three float32 probabilities add up to 1 within a few roundings of 6e-8.
        EXPECT_LE(MaxDifference(prediction.log_probs.exp().sum(1), torch::ones({8})), 1e-6);
        (torch::nll_loss(prediction.log_probs, batch.labels) + prediction.features.square().sum())
            .backward();
        for (const auto& parameter : model->named_parameters()) {
          const Tensor gradient = parameter.value().grad();
          ASSERT_TRUE(gradient.defined()) << parameter.key();
          EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << parameter.key();
          EXPECT_GT(gradient.abs().sum().item<float>(), 0) << parameter.key();
        }
      }
    }
  }
}

TEST(M3NetTest, EvaluationRepeatsExactly) {
  for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
    const auto model = Model(Options(absl::StrCat("dropout: 0.5 semantics: ", semantics)));
    model->eval();
    const Batch batch = RandomBatch({3, 5});
    const Prediction first = Predict(*model, batch);
    const Prediction second = Predict(*model, batch);
    EXPECT_TRUE(torch::equal(first.log_probs, second.log_probs));
    EXPECT_TRUE(torch::equal(first.features, second.features));
  }
}

// Where nothing is padded and all hypergraph weights are 1, both modes are one and the same.
TEST(M3NetTest, BothSemanticsAgreeWithoutPadding) {
  const Batch batch = RandomBatch({4, 4});
  for (const char* norm : kNorms) {
    for (const char* encoder : kEncoders) {
      const std::string text =
          absl::StrCat("encode_other_modalities: true norm: ", norm, " text_encoder: ", encoder);
      const auto corrected = Model(Options(text));
      const auto official = Model(Options(text + " semantics: OFFICIAL"));
      const torch::NoGradGuard no_grad;
      const auto source = corrected->named_parameters();
      for (auto& parameter : official->named_parameters()) {
        if (!absl::EndsWith(parameter.key(), "hyperedge_weight") &&
            !absl::EndsWith(parameter.key(), "EW_weight")) {
          parameter.value().copy_(source[parameter.key()]);
        }
      }
      // The transformer has a dropout of its own.
      const bool training = absl::string_view(encoder) != "TRANSFORMER";
      corrected->train(training);
      official->train(training);
      EXPECT_LE(
          MaxDifference(Predict(*corrected, batch).log_probs, Predict(*official, batch).log_probs),
          kTolerance)
          << text;
    }
  }
}

TEST(M3NetTest, BatchMatesAndTheirOrderDoNotMatter) {
  const std::vector<Conversation> conversations = Conversations({3, 1, 5, 2});
  for (const char* norm : kNorms) {
    for (const char* encoder : kEncoders) {
      const auto model = Model(Options(
          absl::StrCat("encode_other_modalities: true norm: ", norm, " text_encoder: ", encoder)));
      model->eval();
      const torch::NoGradGuard no_grad;
      const Tensor together = Predict(*model, MakeBatch(conversations, Info())).log_probs;
      int64_t start = 0;
      std::vector<Tensor> parts;
      for (const Conversation& conversation : conversations) {
        parts.push_back(together.narrow(0, start, conversation.length()));
        start += conversation.length();
        EXPECT_LE(MaxDifference(Predict(*model, MakeBatch({conversation}, Info())).log_probs,
                                parts.back()),
                  kTolerance)
            << norm << ", " << encoder << ", length " << conversation.length();
      }
      std::reverse(parts.begin(), parts.end());
      const std::vector<Conversation> reversed(conversations.rbegin(), conversations.rend());
      EXPECT_LE(
          MaxDifference(Predict(*model, MakeBatch(reversed, Info())).log_probs, torch::cat(parts)),
          kTolerance)
          << norm << ", " << encoder;
    }
  }
}

// Not even in training, and not even where a view has written into the padding.
TEST(M3NetTest, PaddingDoesNotMatter) {
  const Batch batch = RandomBatch({3, 1, 5});
  Batch padded = batch;
  for (Modality& modality : padded.modalities) {
    for (Tensor& stream : modality.streams) {
      stream = torch::constant_pad_nd(stream, {0, 0, 0, 2});
      stream.masked_fill_(~ValidRows(batch.lengths, 7).unsqueeze(2), 100);
    }
  }
  padded.speakers = torch::constant_pad_nd(batch.speakers, {0, 2});
  padded.context = torch::constant_pad_nd(batch.context, {0, 2, 0, 2});
  padded.evidence = torch::constant_pad_nd(batch.evidence, {0, 0, 0, 2});
  for (const char* norm : kNorms) {
    for (const char* encoder : {"GRU", "LSTM", "NO_ENCODER"}) {
      const std::string text = absl::StrCat("norm: ", norm, " text_encoder: ", encoder);
      const auto model = Model(Options(text));
      const Prediction want = Predict(*model, batch);
      const Prediction got = Predict(*model, padded);
      EXPECT_LE(MaxDifference(got.log_probs, want.log_probs), kTolerance) << text;
      EXPECT_LE(MaxDifference(got.features, want.features), kTolerance) << text;
    }
  }
}

// Context restricts the high-frequency graph and nothing else ("partial": the encoder and the
// hypergraph still see j).
TEST(M3NetTest, ContextRestrictsTheHighFrequencyGraphOnly) {
  const auto model = Model(Options());
  model->eval();
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({3, 4});
  Batch cut = batch;
  cut.context = batch.context.clone();
  cut.context[0][1][2] = false;
  const Tensor want = Predict(*model, batch).features.view({7, 3, 2, 4});
  const Tensor got = Predict(*model, cut).features.view({7, 3, 2, 4});
  EXPECT_TRUE(torch::equal(got.select(2, 0), want.select(2, 0)));  // hypergraph
  for (int64_t m = 0; m < 3; ++m) {
    EXPECT_GT(MaxDifference(got[1][m][1], want[1][m][1]), 1e-6) << m;
  }
  EXPECT_TRUE(torch::equal(got.narrow(0, 3, 4), want.narrow(0, 3, 4)));  // the other conversation
}

TEST(M3NetTest, AnUtteranceOutsideTheContextHasNoDirectPath) {
  // One high-frequency layer and nothing else that mixes utterances.
  const auto model =
      Model(Options("norm: NO_NORM text_encoder: NO_ENCODER hypergraph_layers: 0 "
                    "high_frequency_layers: 1"));
  Batch batch = RandomBatch({4});
  batch.context = batch.context.clone();
  batch.context[0][1][2] = false;
  Tensor& audio = batch.modalities[1].streams[0];
  audio.requires_grad_();
  Predict(*model, batch).features[1].sum().backward();
  const Tensor influence = audio.grad()[0].abs().sum(1);
  EXPECT_EQ(influence[2].item<float>(), 0);
  for (const int64_t j : {0, 1, 3}) EXPECT_GT(influence[j].item<float>(), 0) << j;
}

TEST(M3NetTest, FeaturesAreBeforeDropout) {
  const auto model = Model(Options("dropout: 0.5 norm: LN text_encoder: NO_ENCODER"));
  const Batch batch = RandomBatch({6, 5});
  model->train();
  const Prediction training = Predict(*model, batch);
  model->eval();
  const Prediction evaluation = Predict(*model, batch);
  EXPECT_TRUE(torch::equal(training.features, evaluation.features));
  EXPECT_GT(MaxDifference(training.log_probs, evaluation.log_probs), 1e-3);
}

TEST(M3NetTest, OneUtteranceInTrainingUsesRunningStatistics) {
  for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
    const auto model = Model(Options(absl::StrCat("semantics: ", semantics)));
    model->train();
    Predict(*model, RandomBatch({4, 4}));  // statistics that are not 0 and 1
    std::vector<Tensor> statistics;
    for (const auto& buffer : model->named_buffers()) {
      statistics.push_back(buffer.value().clone());
    }
    const Batch batch = RandomBatch({1});
    const Prediction training = Predict(*model, batch);
    training.log_probs.sum().backward();
    size_t i = 0;
    for (const auto& buffer : model->named_buffers()) {
      EXPECT_TRUE(torch::equal(buffer.value(), statistics[i++])) << buffer.key();
    }
    model->eval();
    EXPECT_TRUE(torch::equal(Predict(*model, batch).log_probs, training.log_probs));
  }
}

TEST(M3NetTest, OneSpeakerAndOneOrFiveModalities) {
  DatasetInfo one = SmallInfo({{"text", 6, 1}});
  one.num_speakers = 1;
  const DatasetInfo five = SmallInfo(
      {{"gaze", 2, 1}, {"audio", 5, 2}, {"text", 6, 3}, {"pulse", 1, 1}, {"visual", 3, 1}});
  for (const DatasetInfo& info : {one, five}) {
    for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
      for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{1}, {2, 1, 3}}) {
        const auto model = Model(
            Options(absl::StrCat("use_modality_embedding: true semantics: ", semantics)), info);
        const Prediction prediction = Predict(*model, RandomBatch(lengths, info));
        prediction.log_probs.select(1, 0).sum().backward();
        EXPECT_TRUE(prediction.log_probs.isfinite().all().item<bool>());
        EXPECT_EQ(prediction.features.size(1), 2 * 4 * info.modalities.size());
        for (const auto& parameter : model->named_parameters()) {
          ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
          EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
        }
      }
    }
  }
}

TEST(M3NetTest, OfficialLimitsAreAnErrorThatNamesTheRemedy) {
  const DatasetInfo narrow = SmallInfo({{"text", 2, 1}, {"audio", 2, 1}, {"visual", 2, 1}});
  const std::string small = "text_encoder: NO_ENCODER high_frequency_layers: 0 ";
  const auto official = Model(Options(small + "semantics: OFFICIAL"), narrow);
  EXPECT_TRUE(official->Forward(RandomBatch({500, 494}, narrow)).ok());  // 1000 hyperedges
  const Batch large = RandomBatch({500, 495}, narrow);
  const absl::Status status = official->Forward(large).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"995 utterances", "1001", "semantics: CORRECTED"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }
  EXPECT_TRUE(Model(Options(small), narrow)->Forward(large).ok());
}

TEST(M3NetTest, InvalidOptionsAreQuoted) {
  const auto message = [](const std::string& text, const DatasetInfo& info = Info()) {
    const auto model = CreateBackbone(Options(text), info);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(model.status().message());
  };
  const auto expect = [&](const std::string& text, const std::string& part) {
    EXPECT_TRUE(absl::StrContains(message(text), part)) << message(text);
  };
  expect("input_width: 0", "cmerc.M3NetOptions: input_width = 0, must be >= 2");
  expect("input_width: 7", "cmerc.M3NetOptions: input_width = 7, must be even");
  expect("input_width: 6 text_encoder: TRANSFORMER",
         "cmerc.M3NetOptions: input_width = 6, must be a multiple of 4");
  expect("graph_width: -3", "cmerc.M3NetOptions: graph_width = -3, must be >= 1");
  expect("hypergraph_layers: -1", "cmerc.M3NetOptions: hypergraph_layers = -1, must be in [0, 64]");
  expect("high_frequency_layers: -1", "high_frequency_layers = -1, must be in [0, 64]");
  expect("dropout: 1", "cmerc.M3NetOptions: dropout = 1, must be in [0, 1)");
  expect("dropout: nan", "dropout = nan, must be finite and in [0, 1)");
  expect("encoded_modality: 'tekst'",
         "encoded_modality = \"tekst\", must be a modality of the data: text, audio, visual");
  expect("text_linear: false",
         "text_linear = false, needs input_width = 8 to be the width of text, 6");
  // All at once.
  expect("graph_width: 0 dropout: 2", "dropout = 2");
  expect("graph_width: 0 dropout: 2", "graph_width = 0");
  EXPECT_TRUE(absl::StrContains(message("", SmallInfo({{"text", 6, 1}, {"l", 3, 1}})), "\"l\""));
  EXPECT_TRUE(absl::StrContains(message("", SmallInfo({{"a.b", 6, 1}})), "\"a.b\""));
  EXPECT_TRUE(absl::StrContains(message("", SmallInfo({})), "no modality"));
}

TEST(M3NetTest, TextWithoutLinearLayer) {
  const auto model = Model(Options("text_linear: false input_width: 6"));
  EXPECT_FALSE(ParameterNames(*model).count("linear_l.weight"));
  EXPECT_TRUE(model->Forward(RandomBatch({2, 3})).ok());
}

}  // namespace
}  // namespace cmerc
