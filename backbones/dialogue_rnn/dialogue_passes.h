// The passes of DialogueRNN's recurrence over all steps of some conversations, in one direction.
// In each, T is the type of all floating-point tensors, and `part` names the conversations; other
// threads may work on others at the same time.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PASSES_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PASSES_H_

#include <algorithm>
#include <cstdint>

#include "backbones/dialogue_rnn/dialogue_attention.h"
#include "backbones/dialogue_rnn/dialogue_listeners.h"
#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "backbones/dialogue_rnn/dialogue_weights.h"
#include "kernels/cpu/dialogue_rnn_kernels.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

inline int64_t NumSteps(const DialoguePlan& plan, const Ranks& part) {
  return plan.conversations[part.first].length;
}

// [conversations of the part, width], zero: the states before the first step.
inline torch::Tensor FirstStates(const Ranks& part, int64_t width, const DirectionStates& states) {
  return torch::zeros({part.last - part.first, width}, states.gathered.options());
}

// Memory for a matrix product of every step: [conversations of the part, width].
inline torch::Tensor Products(const Ranks& part, int64_t width, const DirectionStates& states) {
  return torch::empty({part.last - part.first, width}, states.gathered.options());
}

// Adds what a step of this cell passes back to the states before it, by way of its sums and
// directly.
inline void AddToStatesBefore(const DialoguePlan& plan, const Step& step,
                              const torch::Tensor& d_sums, const torch::Tensor& weight_hh,
                              const torch::Tensor& d_states) {
  if (step.number == 0) return;
  Rows(BlockBefore(plan, step), d_states)
      .add_(Rows(step.block, d_states))
      .addmm_(Rows(step.block, d_sums), weight_hh);
}

// Writes the gradients of what enters the cells at this position to its columns of d_inputs.
template <typename T>
void WriteColumns(const Direction& direction, int64_t position, const DirectionGradients& gradients,
                  const torch::Tensor& d_inputs) {
  const Widths& widths = direction.widths;
  T* const d_columns = direction.Columns<T>(d_inputs, position);
  std::copy_n(RowOf<T>(gradients.speaker_sums, position), 3 * widths.global, d_columns);
  std::copy_n(RowOf<T>(gradients.party_inputs, position), 3 * widths.party,
              d_columns + widths.party_column());
  if (!widths.listeners) return;
  std::copy_n(RowOf<T>(gradients.listener_inputs, position), 3 * widths.party,
              d_columns + widths.listener_column());
}

// Adds what goes back to the states that the step's speakers had before it. d_before [rows of the
// step, P] is what goes there by way of products.
template <typename T>
void AddToSpeakersBefore(const Direction& direction, const Block& block,
                         const torch::Tensor& d_before, DirectionGradients& gradients) {
  const int64_t party = direction.widths.party;
  for (int64_t i = 0; i < block.count; ++i) {
    const int64_t position = block.first + i;
    const int64_t source = direction.order().source[position];
    if (source < 0) continue;
    T* const d_source = RowOf<T>(gradients.party, source);
    kernels::AddScaled<T>(1, RowOf<T>(d_before, i), party, d_source);
    kernels::AddScaled<T>(1, RowOf<T>(gradients.party, position), party, d_source);
  }
}

// Computes all global states and those of parties, from the inputs of RunDialogueRecurrence().
template <typename T>
void StatesForward(const Direction& direction, const Ranks& part, const torch::Tensor& inputs,
                   const DialogueWeights& weights, DirectionStates& states) {
  const Widths& widths = direction.widths;
  const torch::Tensor zeros = FirstStates(part, widths.global, states);
  const torch::Tensor speaker_weight = SpeakerWeight(weights);
  const torch::Tensor all_global_sums = Products(part, 3 * widths.global, states);
  const torch::Tensor all_speaker_sums = Products(part, 3 * (widths.global + widths.party), states);
  const torch::Tensor all_party_sums = Products(part, 3 * widths.party, states);
  for (int64_t number = 0; number < NumSteps(direction.plan, part); ++number) {
    const Step step(direction.plan, part, number);
    const Block& block = step.block;
    const auto columns = [&](int64_t i) { return direction.Columns<T>(inputs, block.first + i); };
    const torch::Tensor global_before =
        RowsBefore(direction.plan, step, states.global.states(), zeros);
    Gather<T>(states.party.states(), direction.order().source, block, states.speaker_before);
    const torch::Tensor speaker_before = Rows(block, states.speaker_before);
    torch::Tensor speaker_sums = all_speaker_sums.narrow(0, 0, block.count);
    at::mm_out(speaker_sums, speaker_before, speaker_weight.t());
    torch::Tensor global_sums = all_global_sums.narrow(0, 0, block.count);
    at::mm_out(global_sums, global_before, weights.global_hidden.t());
    states.global.Forward<T>(
        block, weights.global_bias, columns, [&](int64_t i) { return RowOf<T>(speaker_sums, i); },
        global_sums, global_before);

    AttentionForward<T>(direction, step, inputs, states);
    torch::Tensor party_sums = all_party_sums.narrow(0, 0, block.count);
    at::mm_out(party_sums, Rows(block, states.gathered), weights.party_context.t());
    states.party.Forward<T>(
        block, weights.party_bias, [&](int64_t i) { return columns(i) + widths.party_column(); },
        [&](int64_t i) { return RowOf<T>(party_sums, i); },
        speaker_sums.narrow(1, 3 * widths.global, 3 * widths.party), speaker_before);

    if (widths.listeners) {
      ListenersForward<T>(direction, block, inputs, weights, party_sums, states);
    }
  }
}

// Computes the emotion states. `inputs` [N, 3 E] are the products of speakers' states with
// emotion_party.
template <typename T>
void EmotionsForward(const Direction& direction, const Ranks& part, const torch::Tensor& inputs,
                     const DialogueWeights& weights, DirectionStates& states) {
  const torch::Tensor zeros = FirstStates(part, direction.widths.emotion, states);
  const torch::Tensor all_sums = Products(part, 3 * direction.widths.emotion, states);
  for (int64_t number = 0; number < NumSteps(direction.plan, part); ++number) {
    const Step step(direction.plan, part, number);
    const Block& block = step.block;
    const torch::Tensor before = RowsBefore(direction.plan, step, states.emotion.states(), zeros);
    torch::Tensor sums = all_sums.narrow(0, 0, block.count);
    at::mm_out(sums, before, weights.emotion_hidden.t());
    states.emotion.Forward<T>(
        block, weights.emotion_bias, [&](int64_t i) { return RowOf<T>(inputs, block.first + i); },
        [&](int64_t) { return weights.emotion_input.data_ptr<T>(); }, sums, before);
  }
}

// From gradients.emotion, computes the gradients emotion_inputs and emotion_sums.
template <typename T>
void EmotionsBackward(const Direction& direction, const Ranks& part, const DialogueWeights& weights,
                      const DirectionStates& states, DirectionGradients& gradients) {
  const torch::Tensor zeros = FirstStates(part, direction.widths.emotion, states);
  for (int64_t number = NumSteps(direction.plan, part) - 1; number >= 0; --number) {
    const Step step(direction.plan, part, number);
    const Block& block = step.block;
    states.emotion.Backward<T>(
        block, RowsBefore(direction.plan, step, states.emotion.states(), zeros), gradients.emotion,
        [&](int64_t i) { return RowOf<T>(gradients.emotion_inputs, block.first + i); },
        [&](int64_t i) { return RowOf<T>(gradients.emotion_sums, block.first + i); });
    AddToStatesBefore(direction.plan, step, gradients.emotion_sums, weights.emotion_hidden,
                      gradients.emotion);
  }
}

// From gradients.party, which has what came by way of the emotion states, computes all gradients
// but those of emotions, and d_inputs in this direction's columns.
template <typename T>
void StatesBackward(const Direction& direction, const Ranks& part, const torch::Tensor& inputs,
                    const DialogueWeights& weights, const DirectionStates& states,
                    DirectionGradients& gradients, const torch::Tensor& d_inputs) {
  const Widths& widths = direction.widths;
  const torch::Tensor zeros = FirstStates(part, widths.global, states);
  const torch::Tensor speaker_weight = SpeakerWeight(weights);
  const torch::Tensor all_d_gathered = Products(part, widths.global, states);
  const torch::Tensor all_d_before = Products(part, widths.party, states);
  for (int64_t number = NumSteps(direction.plan, part) - 1; number >= 0; --number) {
    const Step step(direction.plan, part, number);
    const Block& block = step.block;
    if (widths.listeners) ListenersBackward<T>(direction, block, weights, states, gradients);

    states.party.Backward<T>(
        block, Rows(block, states.speaker_before), gradients.party,
        [&](int64_t i) { return RowOf<T>(gradients.party_inputs, block.first + i); },
        [&](int64_t i) {
          return RowOf<T>(gradients.speaker_sums, block.first + i) + 3 * widths.global;
        });
    torch::Tensor d_gathered = all_d_gathered.narrow(0, 0, block.count);
    at::mm_out(d_gathered, Rows(block, gradients.party_inputs), weights.party_context);
    AttentionBackward<T>(direction, step, inputs, states, d_gathered, gradients, d_inputs);

    states.global.Backward<T>(
        block, RowsBefore(direction.plan, step, states.global.states(), zeros), gradients.global,
        [&](int64_t i) { return RowOf<T>(gradients.speaker_sums, block.first + i); },
        [&](int64_t i) { return RowOf<T>(gradients.global_sums, block.first + i); });
    AddToStatesBefore(direction.plan, step, gradients.global_sums, weights.global_hidden,
                      gradients.global);
    torch::Tensor d_before = all_d_before.narrow(0, 0, block.count);
    at::mm_out(d_before, Rows(block, gradients.speaker_sums), speaker_weight);
    AddToSpeakersBefore<T>(direction, block, d_before, gradients);
    for (int64_t i = 0; i < block.count; ++i) {
      WriteColumns<T>(direction, block.first + i, gradients, d_inputs);
    }
  }
}

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PASSES_H_
