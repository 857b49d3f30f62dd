// The laws of DialogueGCN: what must hold whatever the weights. Its graph:
// relational_graph_test.cc; the official numbers: //tests/golden/dialogue_gcn.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backbones/dialogue_gcn/dialogue_gcn.pb.h"
#include "core/backbone.h"
#include "tests/backbones/dialogue_gcn/dialogue_gcn_data.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Float32 sums of the same numbers in another order differ by some 1e-6 here.
constexpr double kTolerance = 1e-5;

// Small, with every part and without dropout, unless `text` says otherwise.
DialogueGcnOptions Options(const std::string& text = "") {
  DialogueGcnOptions options;
  options.set_hidden_width(4);
  options.set_graph_width(5);
  options.set_nodal_attention(true);
  options.set_dropout(0);
  TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(text, &options), text);
  return options;
}

// Its relations' weights are made large enough to be seen: torch_geometric's are not.
std::unique_ptr<Backbone> Model(const DialogueGcnOptions& options,
                                const DatasetInfo& info = Info()) {
  auto model = CreateBackbone(options, info);
  TORCH_CHECK(model.ok(), model.status().ToString());
  const torch::NoGradGuard no_grad;
  for (auto& parameter : (*model)->named_parameters()) {
    if (absl::StrContains(parameter.key(), "conv1")) parameter.value().normal_(0, 0.3);
  }
  return *std::move(model);
}

// Which utterances of the only conversation of `batch` the features of each utterance depend on,
// by more than `negligible` (the sum of the derivatives by one modality).
std::vector<std::set<int64_t>> Influences(Backbone& model, Batch batch, double negligible = 0) {
  Tensor& audio = batch.modalities[1].streams[0];
  audio = audio.clone().requires_grad_();
  const Tensor features = Predict(model, batch).features;
  std::vector<std::set<int64_t>> influences(features.size(0));
  for (int64_t i = 0; i < features.size(0); ++i) {
    const Tensor gradient = torch::autograd::grad({features[i].sum()}, {audio}, {},
                                                  /*retain_graph=*/true)[0];
    const Tensor share = gradient[0].abs().sum(1);
    for (int64_t j = 0; j < features.size(0); ++j) {
      if (share[j].item<float>() > negligible) influences[i].insert(j);
    }
  }
  return influences;
}

// ReLU(linear) rarely, but sometimes, has a zero gradient everywhere: no row here may.
const char* const kGraphOnly = "encoder: NO_ENCODER nodal_attention: false graph_width: 40 ";

TEST(DialogueGcnTest, ParametersHaveTheOfficialNames) {
  const auto names = [](const std::string& text) {
    std::set<std::string> names;
    for (const auto& parameter : Model(Options(text))->named_parameters()) {
      names.insert(parameter.key());
    }
    return names;
  };
  std::set<std::string> want = {"base_linear.weight",
                                "base_linear.bias",
                                "att_model.scalar.weight",
                                "graph_net.conv1.basis",
                                "graph_net.conv1.att",
                                "graph_net.conv1.root",
                                "graph_net.conv1.bias",
                                "graph_net.conv2.weight",
                                "graph_net.conv2.lin.weight",
                                "graph_net.conv2.lin.bias",
                                "graph_net.matchatt.transform.weight",
                                "graph_net.matchatt.transform.bias",
                                "graph_net.linear.weight",
                                "graph_net.linear.bias",
                                "graph_net.smax_fc.weight",
                                "graph_net.smax_fc.bias"};
  EXPECT_EQ(names("encoder: NO_ENCODER semantics: OFFICIAL"), want);
  want.erase("att_model.scalar.weight");
  want.insert("att_model.transform.weight");
  EXPECT_EQ(names("encoder: NO_ENCODER"), want);
  EXPECT_EQ(names("").count("lstm.weight_hh_l1_reverse"), 1);
  EXPECT_EQ(names("encoder: GRU").count("gru.weight_ih_l0"), 1);
}

// Every combination of options, in both modes: finite, every row a distribution, and a finite
// gradient that is not zero for every parameter.
TEST(DialogueGcnTest, EveryCombinationTrains) {
  const Batch batch = RandomBatch({3, 1, 6});
  for (const char* encoder : {"LSTM", "GRU", "NO_ENCODER"}) {
    for (const char* window : {"window_past: 1 window_future: 2", "window_past: -1", ""}) {
      for (const char* attention : {"true", "false"}) {
        for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
          const std::string text =
              absl::StrCat("encoder: ", encoder, " ", window, " nodal_attention: ", attention,
                           " semantics: ", semantics, " dropout: 0.1 num_bases: 4 graph_width: 20");
          SCOPED_TRACE(text);
          const auto model = Model(Options(text));
          const Prediction prediction = Predict(*model, batch);
          ASSERT_EQ(prediction.features.size(1), 20);
          // Three float32 probabilities add up to 1 within a few roundings of 6e-8.
          EXPECT_LE(MaxDifference(prediction.log_probs.exp().sum(1), torch::ones({10})), 1e-6);
          torch::nll_loss(prediction.log_probs, batch.labels).backward();
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
}

TEST(DialogueGcnTest, EvaluationRepeatsExactlyAndDropoutActsInTraining) {
  for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
    const auto model = Model(Options(absl::StrCat("dropout: 0.5 semantics: ", semantics)));
    const Batch batch = RandomBatch({3, 5});
    model->eval();
    const Prediction first = Predict(*model, batch);
    const Prediction second = Predict(*model, batch);
    EXPECT_TRUE(torch::equal(first.log_probs, second.log_probs));
    EXPECT_TRUE(torch::equal(first.features, second.features));
    model->train();
    EXPECT_GT(MaxDifference(Predict(*model, batch).log_probs, first.log_probs), 1e-3);
  }
}

TEST(DialogueGcnTest, BatchMatesAndTheirOrderDoNotMatter) {
  const DatasetInfo info = Info(4);
  const std::vector<Conversation> conversations = Conversations({3, 1, 8, 2}, info);
  for (const char* encoder : {"LSTM", "GRU", "NO_ENCODER"}) {
    const auto model = Model(Options(absl::StrCat("window_past: 3 encoder: ", encoder)), info);
    model->eval();
    const torch::NoGradGuard no_grad;
    const Tensor together = Predict(*model, MakeBatch(conversations, info)).log_probs;
    int64_t start = 0;
    std::vector<Tensor> parts;
    for (const Conversation& conversation : conversations) {
      parts.push_back(together.narrow(0, start, conversation.length()));
      start += conversation.length();
      EXPECT_LE(
          MaxDifference(Predict(*model, MakeBatch({conversation}, info)).log_probs, parts.back()),
          kTolerance)
          << encoder << ", length " << conversation.length();
    }
    std::reverse(parts.begin(), parts.end());
    const std::vector<Conversation> reversed(conversations.rbegin(), conversations.rend());
    EXPECT_LE(
        MaxDifference(Predict(*model, MakeBatch(reversed, info)).log_probs, torch::cat(parts)),
        kTolerance)
        << encoder;
  }
}

// Not even in training, and not even where a view has written into the padding.
TEST(DialogueGcnTest, PaddingDoesNotMatter) {
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
  for (const char* encoder : {"LSTM", "GRU", "NO_ENCODER"}) {
    const auto model = Model(Options(absl::StrCat("encoder: ", encoder)));
    const Prediction want = Predict(*model, batch);
    const Prediction got = Predict(*model, padded);
    EXPECT_LE(MaxDifference(got.log_probs, want.log_probs), kTolerance) << encoder;
    EXPECT_LE(MaxDifference(got.features, want.features), kTolerance) << encoder;
  }
}

// The official edge attention lets everything take part with a weight of 1e-10.
constexpr double kOfficialNegligible = 1e-7;

TEST(DialogueGcnTest, WindowZeroLeavesEachUtteranceAlone) {
  const Batch batch = RandomBatch({4});
  const std::string text = absl::StrCat(kGraphOnly, "window_past: 0 window_future: 0 semantics: ");
  const auto corrected = Influences(*Model(Options(text + "CORRECTED")), batch);
  const auto official = Influences(*Model(Options(text + "OFFICIAL")), batch, kOfficialNegligible);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(corrected[i], std::set<int64_t>({i})) << "utterance " << i;
    EXPECT_EQ(official[i], std::set<int64_t>({i})) << "utterance " << i;
  }
}

// Two convolutions reach twice as far as the window; the official windows change places.
TEST(DialogueGcnTest, WindowsLookToThePastAndTheOfficialOnesToTheFuture) {
  const Batch batch = RandomBatch({5});
  const std::string text = absl::StrCat(kGraphOnly, "window_past: 1 window_future: 0 semantics: ");
  const auto corrected = Influences(*Model(Options(text + "CORRECTED")), batch);
  EXPECT_EQ(corrected[0], std::set<int64_t>({0}));
  EXPECT_EQ(corrected[1], std::set<int64_t>({0, 1}));
  EXPECT_EQ(corrected[4], std::set<int64_t>({2, 3, 4}));
  const auto official = Influences(*Model(Options(text + "OFFICIAL")), batch, kOfficialNegligible);
  EXPECT_EQ(official[0], std::set<int64_t>({0, 1, 2}));
  // Utterance 3 receives from 4 too, and the attention of a message is shared among its receivers.
  EXPECT_EQ(official[4], std::set<int64_t>({3, 4}));
}

TEST(DialogueGcnTest, AnUtteranceOutsideTheContextHasNoDirectPath) {
  // With two utterances there is no indirect path either, but for the encoder.
  Batch batch = RandomBatch({2});
  batch.context = batch.context.clone();
  batch.context[0][0][1] = false;
  const auto model = Model(Options("encoder: NO_ENCODER graph_width: 40"));
  const auto influences = Influences(*model, batch);
  EXPECT_EQ(influences[0], std::set<int64_t>({0}));
  EXPECT_EQ(influences[1], std::set<int64_t>({0, 1}));
}

TEST(DialogueGcnTest, WhoSpeaksMatters) {
  const auto model = Model(Options(kGraphOnly));
  const torch::NoGradGuard no_grad;
  Batch batch = RandomBatch({4});
  const Tensor before = Predict(*model, batch).features;
  batch.speakers = 1 - batch.speakers;
  EXPECT_GT(MaxDifference(Predict(*model, batch).features, before), 1e-3);
}

TEST(DialogueGcnTest, StreamsOfAModalityAreAveraged) {
  const auto model = Model(Options());
  const torch::NoGradGuard no_grad;
  Batch batch = RandomBatch({4, 2});
  std::vector<Tensor>& text = batch.modalities[0].streams;
  const Tensor before = Predict(*model, batch).log_probs;
  const Tensor mean = (text[0] + text[1]) / 2;
  text = {mean, mean};
  EXPECT_LE(MaxDifference(Predict(*model, batch).log_probs, before), kTolerance);
}

TEST(DialogueGcnTest, OneUtteranceOneSpeaker) {
  for (const char* semantics : {"CORRECTED", "OFFICIAL"}) {
    for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{1}, {2, 1, 3}}) {
      const DatasetInfo info = Info(1);
      const auto model = Model(Options(absl::StrCat("semantics: ", semantics)), info);
      const Batch batch = RandomBatch(lengths, info);
      const Prediction prediction = Predict(*model, batch);
      EXPECT_TRUE(prediction.log_probs.isfinite().all().item<bool>());
      torch::nll_loss(prediction.log_probs, batch.labels).backward();
      for (const auto& parameter : model->named_parameters()) {
        EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
      }
    }
  }
}

// One training step at the default sizes.
TEST(DialogueGcnTest, FiveHundredUtterancesOfThirtySpeakers) {
  const DatasetInfo info = Info(30);
  auto model = CreateBackbone(DialogueGcnOptions(), info);
  ASSERT_TRUE(model.ok()) << model.status();
  const Batch batch = RandomBatch({500, 3}, info);
  const Prediction prediction = Predict(**model, batch);
  torch::nll_loss(prediction.log_probs, batch.labels).backward();
  for (const auto& parameter : (*model)->named_parameters()) {
    EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
  }
}

TEST(DialogueGcnTest, OfficialLimitIsAnErrorThatNamesTheRemedy) {
  const auto model = Model(Options("semantics: OFFICIAL max_length: 6"));
  EXPECT_TRUE(model->Forward(RandomBatch({6, 2})).ok());
  const absl::Status status = model->Forward(RandomBatch({3, 7})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"max_length = 6", "of 7", "semantics: CORRECTED"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }
}

TEST(DialogueGcnTest, InvalidOptionsAreQuoted) {
  const auto message = [](const std::string& text, const DatasetInfo& info = Info()) {
    const auto model = CreateBackbone(Options(text), info);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(model.status().message());
  };
  const auto expect = [&](const std::string& text, const std::string& part) {
    EXPECT_TRUE(absl::StrContains(message(text), part)) << message(text);
  };
  expect("hidden_width: 0", "cmerc.DialogueGcnOptions: hidden_width = 0, must be >= 1");
  expect("graph_width: -3", "cmerc.DialogueGcnOptions: graph_width = -3, must be >= 1");
  expect("window_past: -2", "cmerc.DialogueGcnOptions: window_past = -2, must be >= -1");
  expect("window_future: -2", "window_future = -2, must be >= -1");
  expect("num_bases: 0", "num_bases = 0, must be >= 1");
  expect("max_length: 0", "max_length = 0, must be >= 1");
  expect("dropout: 1", "dropout = 1, must be in [0, 1)");
  expect("dropout: nan", "dropout = nan, must be finite and in [0, 1)");
  // All at once.
  expect("num_bases: 0 dropout: 2", "dropout = 2");
  expect("num_bases: 0 dropout: 2", "num_bases = 0");
  DatasetInfo empty = Info();
  empty.modalities.clear();
  EXPECT_TRUE(absl::StrContains(message("", empty), "no modality"));
}

}  // namespace
}  // namespace cmerc
