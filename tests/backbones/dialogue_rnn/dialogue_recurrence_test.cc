// DialogueRNN's recurrence and its gradients against the definition in float64.
#include "backbones/dialogue_rnn/dialogue_recurrence.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Numbers = std::vector<int64_t>;

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
    for (const int64_t n : lengths) num_rows += n;
    rows.lengths = torch::tensor(lengths);
    rows.speakers = torch::randint(num_speakers, {num_rows}, torch::kInt64);
    // Some utterances have nothing earlier in their context; strides are those of padding.
    for (const int64_t n : lengths) {
      rows.contexts.push_back((torch::rand({n + 2, n + 2}) < 0.5).narrow(0, 0, n).narrow(1, 0, n));
    }
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
  for (int64_t b = 0; b < input.rows.lengths.size(0); ++b) {
    const int64_t n = input.rows.lengths[b].item<int64_t>();
    const Tensor& context = input.rows.contexts[b];
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

}  // namespace
}  // namespace cmerc
