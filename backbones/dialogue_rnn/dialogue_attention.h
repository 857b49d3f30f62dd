// The attention of an utterance over the earlier states of its conversation, in a step of
// DialogueRNN's recurrence.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_ATTENTION_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "kernels/cpu/dialogue_rnn_kernels.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

// Puts the position of the earlier global state s of a conversation into state[s], or -1 where the
// utterance at `position` may not draw on it.
inline void FindEarlierStates(const Direction& direction, const Step& step, int64_t rank,
                              int64_t position, std::vector<int64_t>& state) {
  const DialoguePlan::Conversation& conversation = direction.plan.conversations[rank];
  const std::vector<int64_t>& row = direction.order().row;
  const int64_t utterance = row[position] - conversation.first_row;
  const torch::Tensor& pairs = direction.contexts[conversation.number];
  const bool* const context = pairs.data_ptr<bool>() + utterance * pairs.stride(0);
  const int64_t stride = pairs.stride(1);
  for (int64_t s = 0; s < step.number; ++s) {
    const int64_t past = direction.plan.first_position[s] + rank;
    state[s] = context[(row[past] - conversation.first_row) * stride] ? past : -1;
  }
}

// Calls attend(i, position, query) for every row i of the step.
template <typename T, typename AttendFunction>
void ForEachQuery(const Direction& direction, const Step& step, const torch::Tensor& inputs,
                  const AttendFunction& attend) {
  std::vector<int64_t> state(step.number);
  for (int64_t i = 0; i < step.block.count; ++i) {
    const int64_t position = step.block.first + i;
    FindEarlierStates(direction, step, step.part.first + i, position, state);
    attend(i, position,
           kernels::AttentionQuery<T>{
               direction.Columns<T>(inputs, position) + direction.widths.query_column(),
               state.data(), step.number, direction.widths.global});
  }
}

template <typename T>
T* AlphaOf(const Direction& direction, const DirectionStates& states, int64_t position) {
  return states.alpha.data_ptr<T>() + direction.plan.first_past[position];
}

// For the rows of the step, writes what they gather from earlier global states and, if they are
// kept, the weights alpha. T is that of all floating-point tensors.
template <typename T>
void AttentionForward(const Direction& direction, const Step& step, const torch::Tensor& inputs,
                      DirectionStates& states) {
  const T* const global = states.global.states().data_ptr<T>();
  std::vector<T> dropped(states.alpha.defined() ? 0 : step.number);
  ForEachQuery<T>(direction, step, inputs,
                  [&](int64_t, int64_t position, const kernels::AttentionQuery<T>& query) {
                    T* const alpha = states.alpha.defined()
                                         ? AlphaOf<T>(direction, states, position)
                                         : dropped.data();
                    kernels::Attend(query, global, alpha, RowOf<T>(states.gathered, position));
                  });
}

// The gradient of AttentionForward. From d_gathered [rows of the step, G], adds to the gradients of
// earlier global states and writes those of the queries, columns of d_inputs.
template <typename T>
void AttentionBackward(const Direction& direction, const Step& step, const torch::Tensor& inputs,
                       const DirectionStates& states, const torch::Tensor& d_gathered,
                       DirectionGradients& gradients, const torch::Tensor& d_inputs) {
  const T* const global = states.global.states().data_ptr<T>();
  T* const d_global = gradients.global.data_ptr<T>();
  std::vector<T> d_alpha(step.number);
  ForEachQuery<T>(direction, step, inputs,
                  [&](int64_t i, int64_t position, const kernels::AttentionQuery<T>& query) {
                    T* const d_query =
                        direction.Columns<T>(d_inputs, position) + direction.widths.query_column();
                    kernels::AttendBackward<T>(
                        query, global, AlphaOf<T>(direction, states, position),
                        RowOf<T>(d_gathered, i), d_alpha.data(), d_global, d_query);
                  });
}

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_ATTENTION_H_
