// The laws that only DialogueRNN has; //tests/conformance has those of all backbones and
// //tests/golden/dialogue_rnn the official numbers. Its recurrence: dialogue_recurrence_test.cc.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backbones/dialogue_rnn/dialogue_rnn.pb.h"
#include "core/backbone.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

DatasetInfo Info() { return SmallInfo({{"text", 4, 2}, {"audio", 3, 1}}, /*num_speakers=*/3); }

absl::StatusOr<std::unique_ptr<Backbone>> Create(const std::string& text,
                                                 const DatasetInfo& info = Info()) {
  DialogueRnnOptions options;
  options.set_global_width(5);
  options.set_party_width(6);
  options.set_emotion_width(4);
  options.set_linear_width(7);
  TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(text, &options), text);
  return CreateBackbone(options, info);
}

// In evaluation mode.
std::unique_ptr<Backbone> Model(const std::string& text) {
  auto model = Create(text);
  TORCH_CHECK(model.ok(), model.status().ToString());
  (*model)->eval();
  return *std::move(model);
}

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info = Info()) {
  return SmallBatch(lengths, info);
}

TEST(DialogueRnnTest, ParametersHaveTheOfficialNamesAndShapes) {
  const auto model = Model("listener_state: true context_attention: GENERAL2");
  const auto parameters = model->named_parameters();
  EXPECT_EQ(parameters.size(), 2 * (4 * 4 + 2) + 2 + 2 + 2);
  const std::string cell = "dialog_rnn_r.dialogue_cell.";
  EXPECT_EQ(parameters[cell + "g_cell.weight_ih"].sizes(), torch::IntArrayRef({15, 7 + 6}));
  EXPECT_EQ(parameters[cell + "p_cell.weight_ih"].sizes(), torch::IntArrayRef({18, 7 + 5}));
  EXPECT_EQ(parameters[cell + "e_cell.weight_ih"].sizes(), torch::IntArrayRef({12, 6}));
  EXPECT_EQ(parameters[cell + "l_cell.weight_ih"].sizes(), torch::IntArrayRef({18, 7 + 6}));
  EXPECT_EQ(parameters[cell + "attention.transform.weight"].sizes(), torch::IntArrayRef({5, 7}));
  EXPECT_EQ(parameters[cell + "attention.transform.bias"].sizes(), torch::IntArrayRef({5}));
  EXPECT_EQ(parameters["matchatt.transform.weight"].sizes(), torch::IntArrayRef({8, 8}));
  EXPECT_EQ(parameters["linear.weight"].sizes(), torch::IntArrayRef({14, 8}));
  EXPECT_EQ(parameters["smax_fc.weight"].sizes(), torch::IntArrayRef({3, 14}));
  const auto plain = Model("context_attention: SIMPLE final_attention: false")->named_parameters();
  EXPECT_EQ(plain["dialog_rnn_f.dialogue_cell.attention.scalar.weight"].sizes(),
            torch::IntArrayRef({1, 5}));
  EXPECT_EQ(plain.size(), 2 * (3 * 4 + 1) + 2 + 2);
}

// Finite, every row a distribution, and a finite gradient that is not zero for every parameter.
TEST(DialogueRnnTest, EveryCombinationTrains) {
  const Batch batch = RandomBatch({3, 1, 6});
  for (const char* attention : {"SIMPLE", "GENERAL", "GENERAL2"}) {
    for (const char* listeners : {"true", "false"}) {
      for (const char* final_attention : {"true", "false"}) {
        const std::string text =
            absl::StrCat("context_attention: ", attention, " listener_state: ", listeners,
                         " final_attention: ", final_attention);
        SCOPED_TRACE(text);
        const auto model = Model(text);
        model->train();
        const Prediction prediction = Predict(*model, batch);
        ASSERT_EQ(prediction.features.size(1), 14);
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

TEST(DialogueRnnTest, EachDropoutActsInTrainingOnly) {
  const Batch batch = RandomBatch({3, 5});
  const torch::NoGradGuard no_grad;
  const std::string none = "recurrent_dropout: 0 emotion_dropout: 0 dropout: 0 ";
  const Tensor want = Predict(*Model(none), batch).log_probs;
  for (const char* one : {"recurrent_dropout: 0.5", "emotion_dropout: 0.5", "dropout: 0.5"}) {
    const auto model = Model(none + one);
    EXPECT_TRUE(torch::equal(Predict(*model, batch).log_probs, want)) << one;
    model->train();
    EXPECT_GT(MaxDifference(Predict(*model, batch).log_probs, want), 1e-4) << one;
  }
  const auto model = Model(none);
  model->train();
  EXPECT_TRUE(torch::equal(Predict(*model, batch).log_probs, want));
}

// "partial": the final attention sees only the context; the states before it see all.
TEST(DialogueRnnTest, ContextRestrictsTheFinalAttention) {
  const Batch batch = RandomBatch({4, 2});
  const auto model = Model("");
  const torch::NoGradGuard no_grad;
  const Tensor full = Predict(*model, batch).features;
  Batch cut = batch;
  cut.context = batch.context.clone();
  cut.context[0][0][3] = false;
  cut.context[0][3][0] = false;
  const Tensor features = Predict(*model, cut).features;
  EXPECT_GT(MaxDifference(features[0], full[0]), 1e-7);
  EXPECT_GT(MaxDifference(features[3], full[3]), 1e-7);
  EXPECT_TRUE(torch::equal(features.narrow(0, 4, 2), full.narrow(0, 4, 2)));
  // Alone with itself, an utterance attends to itself.
  cut.context = torch::eye(4, torch::kBool).unsqueeze(0).logical_and(batch.context);
  const auto plain = Model("final_attention: false");
  for (auto& parameter : plain->named_parameters()) {
    parameter.value().copy_(model->named_parameters()[parameter.key()]);
  }
  // A softmax over one score is 1, and the other rows are multiplied by 0.
  EXPECT_TRUE(torch::equal(Predict(*model, cut).features, Predict(*plain, cut).features));
}

// In the recurrence, the last utterance of a direction may be cut off from all states before it.
TEST(DialogueRnnTest, ContextRestrictsTheAttentionToEarlierStates) {
  const auto model = Model("final_attention: false listener_state: true");
  const Batch batch = RandomBatch({5});
  const torch::NoGradGuard no_grad;
  const Tensor full = Predict(*model, batch).features;
  Batch cut = batch;
  cut.context = batch.context.clone();
  cut.context[0][4][2] = false;
  const Tensor features = Predict(*model, cut).features;
  // Utterance 4 comes last in the forward direction: nothing after it reads its state.
  EXPECT_GT(MaxDifference(features[4], full[4]), 1e-7);
  EXPECT_TRUE(torch::equal(features.narrow(0, 0, 4), full.narrow(0, 0, 4)));
  // Whoever is cut off gathers nothing, whatever the weights of the attention.
  cut.context = torch::eye(5, torch::kBool).unsqueeze(0);
  const Tensor alone = Predict(*model, cut).features;
  for (auto& parameter : model->named_parameters()) {
    if (parameter.key().find("attention") != std::string::npos) parameter.value().fill_(3);
  }
  EXPECT_TRUE(torch::equal(Predict(*model, cut).features, alone));
  EXPECT_GT(MaxDifference(Predict(*model, batch).features, full), 1e-5);
}

TEST(DialogueRnnTest, ItMattersWhoSpeaksButNotTheirNumbers) {
  const torch::NoGradGuard no_grad;
  for (const char* listeners : {"true", "false"}) {
    const auto model = Model(absl::StrCat("listener_state: ", listeners));
    Batch batch = RandomBatch({6, 3});
    const Tensor before = Predict(*model, batch).log_probs;
    // Parties have no weights of their own.
    batch.speakers = 2 - batch.speakers;
    EXPECT_LE(MaxDifference(Predict(*model, batch).log_probs, before), 1e-6) << listeners;
    batch.speakers = torch::zeros_like(batch.speakers);
    EXPECT_GT(MaxDifference(Predict(*model, batch).log_probs, before), 1e-4) << listeners;
  }
}

TEST(DialogueRnnTest, StreamsOfAModalityAreAveraged) {
  const auto model = Model("");
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({4, 2});
  Batch averaged = batch;
  const std::vector<Tensor>& text = batch.modalities[0].streams;
  averaged.modalities[0].streams = {(text[0] + text[1]) / 2, (text[0] + text[1]) / 2};
  // The mean of two equal numbers is that number.
  EXPECT_TRUE(torch::equal(Predict(*model, averaged).log_probs, Predict(*model, batch).log_probs));
}

TEST(DialogueRnnTest, BatchesThatShareFeaturesAreToldApart) {
  const auto model = Model("");
  Batch batch = RandomBatch({4, 2});
  Batch cut = batch;
  cut.context = torch::eye(4, torch::kBool).unsqueeze(0).logical_and(batch.context);
  Batch changed = batch;
  changed.modalities[1].streams = {2 * batch.modalities[1].streams[0]};
  const torch::NoGradGuard no_grad;
  const auto together = model->ForwardAll({batch, cut, RandomBatch({3}), changed});
  ASSERT_TRUE(together.ok()) << together.status();
  // Products of blocks of another height differ in the last places.
  EXPECT_LE(MaxDifference((*together)[1].log_probs, Predict(*model, cut).log_probs), 1e-6);
  EXPECT_LE(MaxDifference((*together)[3].log_probs, Predict(*model, changed).log_probs), 1e-6);
  EXPECT_GT(MaxDifference((*together)[0].log_probs, (*together)[1].log_probs), 1e-4);
  EXPECT_GT(MaxDifference((*together)[0].log_probs, (*together)[3].log_probs), 1e-4);
  EXPECT_TRUE(model->ForwardAll({})->empty());
}

TEST(DialogueRnnTest, InvalidOptionsAreQuotedAllAtOnce) {
  const absl::Status status = Create(
                                  "global_width: 0 party_width: -1 emotion_width: 0 linear_width: "
                                  "0 recurrent_dropout: -0.5 "
                                  "emotion_dropout: nan dropout: 1")
                                  .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "cmerc.DialogueRnnOptions: global_width = 0, must be >= 1; "
            "cmerc.DialogueRnnOptions: party_width = -1, must be >= 1; "
            "cmerc.DialogueRnnOptions: emotion_width = 0, must be >= 1; "
            "cmerc.DialogueRnnOptions: linear_width = 0, must be >= 1; "
            "cmerc.DialogueRnnOptions: recurrent_dropout = -0.5, must be in [0, 1); "
            "cmerc.DialogueRnnOptions: emotion_dropout = nan, must be finite and in [0, 1); "
            "cmerc.DialogueRnnOptions: dropout = 1, must be in [0, 1)");
  EXPECT_EQ(Create("", SmallInfo({})).status().message(),
            "cmerc.DialogueRnnOptions: the data has no modality");
}

}  // namespace
}  // namespace cmerc
