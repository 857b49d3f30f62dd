// The laws of DialogueRNN and of its recurrence that only they have; //tests/conformance has those
// of all backbones and //tests/golden/dialogue_rnn the official numbers.
#include <ATen/Parallel.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "backbones/dialogue_rnn/dialogue_plan.h"
#include "backbones/dialogue_rnn/dialogue_recurrence.h"
#include "backbones/dialogue_rnn/dialogue_rnn.pb.h"
#include "core/backbone.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Numbers = std::vector<int64_t>;

TEST(DialoguePlanTest, PositionsGoFromStepToStepLongestConversationsFirst) {
  // Conversations of 1, 3 and 2 utterances; their rows are 0, 1 to 3 and 4 to 5.
  const DialoguePlan plan({1, 3, 2}, {0, 0, 0, 0, 0, 0}, /*listeners=*/false);
  EXPECT_EQ(plan.first_position, Numbers({0, 3, 5, 6}));
  EXPECT_EQ(plan.directions[0].row, Numbers({1, 4, 0, 2, 5, 3}));
  EXPECT_EQ(plan.directions[1].row, Numbers({3, 5, 0, 2, 4, 1}));
  EXPECT_EQ(plan.first_past, Numbers({0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(plan.num_past, 4);
  // The two shorter conversations at the second step.
  const DialoguePlan::Block block = plan.PositionsAt(1, {1, 3});
  EXPECT_EQ(block.first, 4);
  EXPECT_EQ(block.count, 1);
  EXPECT_EQ(plan.PositionsAt(2, {1, 3}).count, 0);
}

TEST(DialoguePlanTest, StatesOfAPartyAreAChain) {
  // Speakers 7, 2, 7, 7, 2.
  const DialoguePlan plan({5}, {7, 2, 7, 7, 2}, /*listeners=*/false);
  EXPECT_EQ(plan.directions[0].source, Numbers({-1, -1, 0, 2, 1}));
  EXPECT_EQ(plan.directions[1].source, Numbers({-1, -1, 1, 0, 2}));
  EXPECT_TRUE(plan.directions[0].listener_source.empty());
}

TEST(DialoguePlanTest, WhoSpeaksAgainListens) {
  const DialoguePlan plan({4}, {7, 2, 7, 2}, /*listeners=*/true);
  const DialoguePlan::Direction& forward = plan.directions[0];
  // 2 listens at position 0 (state 4), 7 at 1 (state 5) and 2 at 2 (state 6); at 3 nobody who would
  // speak again.
  EXPECT_EQ(forward.first_listener, Numbers({0, 1, 2, 3, 3}));
  EXPECT_EQ(forward.listener_position, Numbers({0, 1, 2}));
  EXPECT_EQ(forward.listener_source, Numbers({-1, 0, 1}));
  EXPECT_EQ(forward.source, Numbers({-1, 4, 5, 6}));
}

constexpr int64_t kGlobal = 3;
constexpr int64_t kParty = 4;
constexpr int64_t kEmotion = 2;

constexpr Tensor DialogueWeights::*kWeights[] = {
    &DialogueWeights::global_party,     &DialogueWeights::global_hidden,
    &DialogueWeights::global_bias,      &DialogueWeights::party_context,
    &DialogueWeights::party_hidden,     &DialogueWeights::party_bias,
    &DialogueWeights::emotion_party,    &DialogueWeights::emotion_input,
    &DialogueWeights::emotion_hidden,   &DialogueWeights::emotion_bias,
    &DialogueWeights::listener_speaker, &DialogueWeights::listener_hidden,
    &DialogueWeights::listener_bias};

// Everything that the recurrence needs, in float64 and with gradients.
struct RecurrenceInput {
  RecurrenceInput(const Numbers& lengths, int64_t num_speakers, bool listeners) {
    torch::manual_seed(3);
    const auto random = [](torch::IntArrayRef shape) {
      return torch::randn(shape, torch::kFloat64).requires_grad_();
    };
    int64_t num_rows = 0;
    int64_t num_pairs = 0;
    for (const int64_t n : lengths) {
      num_rows += n;
      num_pairs += n * n;
    }
    rows.lengths = torch::tensor(lengths);
    rows.speakers = torch::randint(num_speakers, {num_rows}, torch::kInt64);
    // Some utterances have nothing earlier in their context.
    rows.context = torch::rand({num_pairs}) < 0.5;
    inputs = random({num_rows, 2, 4 * kGlobal + (listeners ? 6 : 3) * kParty});
    for (DialogueWeights& direction : weights) {
      direction.global_party = random({3 * kGlobal, kParty});
      direction.global_hidden = random({3 * kGlobal, kGlobal});
      direction.global_bias = random({3 * kGlobal});
      direction.party_context = random({3 * kParty, kGlobal});
      direction.party_hidden = random({3 * kParty, kParty});
      direction.party_bias = random({3 * kParty});
      direction.emotion_party = random({3 * kEmotion, kParty});
      direction.emotion_input = random({3 * kEmotion});
      direction.emotion_hidden = random({3 * kEmotion, kEmotion});
      direction.emotion_bias = random({3 * kEmotion});
      if (!listeners) continue;
      direction.listener_speaker = random({3 * kParty, kParty});
      direction.listener_hidden = random({3 * kParty, kParty});
      direction.listener_bias = random({3 * kParty});
    }
  }

  // The inputs and all weights.
  std::vector<Tensor> Leaves() const {
    std::vector<Tensor> leaves = {inputs};
    for (const DialogueWeights& direction : weights) {
      for (const auto field : kWeights) {
        if ((direction.*field).defined()) leaves.push_back(direction.*field);
      }
    }
    return leaves;
  }

  DialogueRows rows;
  Tensor inputs;
  std::array<DialogueWeights, 2> weights;
};

// A number that all results have a part in.
Tensor Total(const Tensor& emotions) {
  return (emotions * torch::linspace(-1, 1, emotions.numel(), emotions.dtype()).view_as(emotions))
      .sum();
}

// torch.nn.GRUCell; `x` [3 W] is what comes from its input, with bias_ih.
Tensor GruCell(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& hidden) {
  const std::vector<Tensor> input = x.chunk(3);
  const std::vector<Tensor> sums = torch::addmv(bias, weight, hidden).chunk(3);
  const Tensor reset = (input[0] + sums[0]).sigmoid();
  const Tensor update = (input[1] + sums[1]).sigmoid();
  const Tensor fresh = (input[2] + reset * sums[2]).tanh();
  return (1 - update) * fresh + update * hidden;
}

// One direction, utterance by utterance, as dialogue_recurrence.h says it.
std::vector<Tensor> EmotionsByDefinition(const RecurrenceInput& input, int64_t d) {
  const DialogueWeights& w = input.weights[d];
  const bool listeners = w.listener_bias.defined();
  const int64_t num_speakers = input.rows.speakers.max().item<int64_t>() + 1;
  const auto zero = [](int64_t width) { return torch::zeros({width}, torch::kFloat64); };
  std::vector<Tensor> emotions(input.inputs.size(0));
  int64_t first_row = 0;
  int64_t first_pair = 0;
  for (int64_t b = 0; b < input.rows.lengths.size(0); ++b) {
    const int64_t n = input.rows.lengths[b].item<int64_t>();
    const Tensor context = input.rows.context.narrow(0, first_pair, n * n).view({n, n});
    Tensor global = zero(kGlobal);
    Tensor emotion = zero(kEmotion);
    std::vector<Tensor> party(num_speakers, zero(kParty));
    std::map<int64_t, Tensor> past;  // by utterance
    for (int64_t step = 0; step < n; ++step) {
      const int64_t i = d == 0 ? step : n - 1 - step;
      const Tensor x = input.inputs[first_row + i][d];
      const int64_t speaker = input.rows.speakers[first_row + i].item<int64_t>();
      const Tensor query = x.narrow(0, x.size(0) - kGlobal, kGlobal);
      std::vector<Tensor> states;
      for (const auto& [j, state] : past) {
        if (context[i][j].item<bool>()) states.push_back(state);
      }
      Tensor gathered = zero(kGlobal);
      if (!states.empty()) {
        const Tensor matrix = torch::stack(states);
        gathered = matrix.mv(query).softmax(0).matmul(matrix);
      }
      global = GruCell(x.narrow(0, 0, 3 * kGlobal) + w.global_party.mv(party[speaker]),
                       w.global_hidden, w.global_bias, global);
      past[i] = global;
      const Tensor spoken =
          GruCell(x.narrow(0, 3 * kGlobal, 3 * kParty) + w.party_context.mv(gathered),
                  w.party_hidden, w.party_bias, party[speaker]);
      for (int64_t r = 0; listeners && r < num_speakers; ++r) {
        party[r] =
            GruCell(x.narrow(0, 3 * (kGlobal + kParty), 3 * kParty) + w.listener_speaker.mv(spoken),
                    w.listener_hidden, w.listener_bias, party[r]);
      }
      party[speaker] = spoken;
      emotion = GruCell(w.emotion_party.mv(spoken) + w.emotion_input, w.emotion_hidden,
                        w.emotion_bias, emotion);
      emotions[first_row + i] = emotion;
    }
    first_row += n;
    first_pair += n * n;
  }
  return emotions;
}

TEST(DialogueRecurrenceTest, StatesAndGradientsAreThoseOfTheDefinition) {
  for (const bool listeners : {false, true}) {
    const RecurrenceInput input({5, 1, 9, 5, 2}, 3, listeners);
    const Tensor want = torch::cat({torch::stack(EmotionsByDefinition(input, 0)),
                                    torch::stack(EmotionsByDefinition(input, 1))},
                                   1);
    const Tensor got = RunDialogueRecurrence(input.inputs, input.weights, input.rows, 0);
    // Sums of some tens of float64 terms in another order.
    EXPECT_LE(MaxDifference(got, want), 1e-13);
    const std::vector<Tensor> leaves = input.Leaves();
    const auto want_gradients = torch::autograd::grad({Total(want)}, leaves);
    const auto got_gradients = torch::autograd::grad({Total(got)}, leaves);
    for (size_t k = 0; k < leaves.size(); ++k) {
      EXPECT_GT(want_gradients[k].abs().max().item<double>(), 1e-3) << k;
      EXPECT_LE(MaxDifference(got_gradients[k], want_gradients[k]), 1e-12)
          << (listeners ? "with" : "without") << " listeners, leaf " << k;
    }
  }
}

TEST(DialogueRecurrenceTest, GradientsWithDropoutAreThoseOfItsMasks) {
  const RecurrenceInput input({4, 6, 1}, 2, /*listeners=*/true);
  const auto total = [&](const RecurrenceInput& of) {
    torch::manual_seed(5);
    return Total(RunDialogueRecurrence(of.inputs, of.weights, of.rows, 0.3));
  };
  EXPECT_NE(
      total(input).item<double>(),
      Total(RunDialogueRecurrence(input.inputs, input.weights, input.rows, 0)).item<double>());
  std::vector<Tensor> leaves = input.Leaves();
  const auto gradients = torch::autograd::grad({total(input)}, leaves);
  const torch::NoGradGuard no_grad;
  // The rounding error of a central difference is some 1e-16 / kStep, its own error kStep^2.
  constexpr double kStep = 1e-5;
  for (size_t k = 0; k < leaves.size(); ++k) {
    const Tensor direction = torch::randn_like(leaves[k]);
    leaves[k].add_(direction, kStep);
    const double above = total(input).item<double>();
    leaves[k].sub_(direction, 2 * kStep);
    const double below = total(input).item<double>();
    leaves[k].add_(direction, kStep);
    const double want = (above - below) / (2 * kStep);
    EXPECT_NEAR((gradients[k] * direction).sum().item<double>(), want,
                1e-7 * std::max(1.0, std::abs(want)))
        << k;
  }
}

TEST(DialogueRecurrenceTest, ThreadsShareConversationsWithoutAnEffect) {
  Numbers lengths;
  for (int64_t b = 0; b < 40; ++b) lengths.push_back(1 + b * 7 % 12);
  const RecurrenceInput input(lengths, 3, /*listeners=*/true);
  const int before = at::get_num_threads();
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    torch::manual_seed(5);
    const Tensor emotions = RunDialogueRecurrence(input.inputs, input.weights, input.rows, 0.2);
    std::vector<Tensor> results = torch::autograd::grad({Total(emotions)}, input.Leaves());
    results.push_back(emotions.detach());
    return results;
  };
  const std::vector<Tensor> want = run(1);
  const std::vector<Tensor> got = run(8);
  at::set_num_threads(before);
  // Products of blocks of another height.
  for (size_t k = 0; k < want.size(); ++k) EXPECT_LE(MaxDifference(got[k], want[k]), 1e-11) << k;
}

TEST(DialogueRecurrenceTest, RefusesAWrongNumberOfColumns) {
  const RecurrenceInput input({2}, 1, /*listeners=*/false);
  EXPECT_THROW(RunDialogueRecurrence(input.inputs.narrow(2, 0, 5), input.weights, input.rows, 0),
               c10::ValueError);
}

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
