// The attention of an utterance over the earlier states of its conversation, in a step of
// DialogueRNN's recurrence.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_ATTENTION_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_ATTENTION_H_

#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

// For the rows of the step, writes what they gather from earlier global states and the weights
// alpha. T is that of all floating-point tensors.
template <typename T>
void AttentionForward(const Direction& direction, const Step& step, const torch::Tensor& inputs,
                      DirectionStates& states);

// The gradient of AttentionForward. From d_gathered [rows of the step, G], adds to the gradients of
// earlier global states and writes those of the queries, columns of d_inputs.
template <typename T>
void AttentionBackward(const Direction& direction, const Step& step, const torch::Tensor& inputs,
                       const DirectionStates& states, const torch::Tensor& d_gathered,
                       DirectionGradients& gradients, const torch::Tensor& d_inputs);

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_ATTENTION_H_
