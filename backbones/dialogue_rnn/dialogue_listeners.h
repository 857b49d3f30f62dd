// The states of those who listen to an utterance and speak again later, in a step of DialogueRNN's
// recurrence.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_LISTENERS_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_LISTENERS_H_

#include <cstdint>

#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "backbones/dialogue_rnn/dialogue_weights.h"
#include "kernels/cpu/dialogue_rnn_kernels.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

// The listeners at the positions of a block.
inline Block ListenersOf(const DialoguePlan::Direction& order, const Block& block) {
  const int64_t first = order.first_listener[block.first];
  return {first, order.first_listener[block.first + block.count] - first};
}

// Their rows among the states of parties.
inline Block StatesOf(const Direction& direction, const Block& listeners) {
  return {direction.plan.num_positions() + listeners.first, listeners.count};
}

// The products of listeners' states [count, P] with listener_hidden, [count, 3 P].
inline torch::Tensor ListenerSums(const Direction& direction, const torch::Tensor& before,
                                  const DialogueWeights& weights) {
  const torch::Tensor weight = weights.listener_hidden.t();
  if (!direction.by_rows) return before.mm(weight);
  torch::Tensor sums = torch::empty({before.size(0), weight.size(1)}, before.options());
  for (int64_t row = 0; row < before.size(0); ++row) {
    torch::Tensor sum = sums.narrow(0, row, 1);
    at::mm_out(sum, before.narrow(0, row, 1), weight);
  }
  return sums;
}

// Steps l_cell for the listeners of the block, whose speakers' new states are known. `sums` [rows
// of the block, 3 P] is overwritten. T is that of all floating-point tensors.
template <typename T>
void ListenersForward(const Direction& direction, const Block& block, const torch::Tensor& inputs,
                      const DialogueWeights& weights, torch::Tensor sums, DirectionStates& states) {
  const DialoguePlan::Direction& order = direction.order();
  const Block listeners = ListenersOf(order, block);
  if (listeners.count == 0) return;
  const auto position = [&](int64_t i) { return order.listener_position[listeners.first + i]; };
  at::mm_out(sums, Rows(block, states.party.states()), weights.listener_speaker.t());
  Gather<T>(states.party.states(), order.listener_source, listeners, states.listener_before);
  const torch::Tensor before = Rows(listeners, states.listener_before);
  states.party.Forward<T>(
      StatesOf(direction, listeners), weights.listener_bias,
      [&](int64_t i) {
        return direction.Columns<T>(inputs, position(i)) + direction.widths.listener_column();
      },
      [&](int64_t i) { return RowOf<T>(sums, position(i) - block.first); },
      ListenerSums(direction, before, weights), before);
}

// The gradient of ListenersForward: writes those of listeners' inputs and sums, and adds to those
// of the states that these came from, the speakers' and the listeners' before.
template <typename T>
void ListenersBackward(const Direction& direction, const Block& block,
                       const DialogueWeights& weights, const DirectionStates& states,
                       DirectionGradients& gradients) {
  const DialoguePlan::Direction& order = direction.order();
  const int64_t party = direction.widths.party;
  const Block listeners = ListenersOf(order, block);
  const Block rows = StatesOf(direction, listeners);
  Rows(block, gradients.listener_inputs).zero_();
  if (listeners.count == 0) return;
  const torch::Tensor d_each =
      torch::empty({listeners.count, 3 * party}, gradients.party.options());
  states.party.Backward<T>(
      rows, Rows(listeners, states.listener_before), gradients.party,
      [&](int64_t i) { return RowOf<T>(d_each, i); },
      [&](int64_t i) { return RowOf<T>(gradients.listener_sums, listeners.first + i); });
  const torch::Tensor d_before =
      Rows(listeners, gradients.listener_sums).mm(weights.listener_hidden);
  for (int64_t i = 0; i < listeners.count; ++i) {
    const int64_t position = order.listener_position[listeners.first + i];
    kernels::AddScaled<T>(1, RowOf<T>(d_each, i), 3 * party,
                          RowOf<T>(gradients.listener_inputs, position));
    const int64_t source = order.listener_source[listeners.first + i];
    if (source < 0) continue;
    T* const d_source = RowOf<T>(gradients.party, source);
    kernels::AddScaled<T>(1, RowOf<T>(d_before, i), party, d_source);
    kernels::AddScaled<T>(1, RowOf<T>(gradients.party, rows.first + i), party, d_source);
  }
  Rows(block, gradients.party)
      .addmm_(Rows(block, gradients.listener_inputs), weights.listener_speaker);
}

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_LISTENERS_H_
