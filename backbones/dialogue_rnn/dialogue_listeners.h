// The states of those who listen to an utterance and speak again later, in a step of DialogueRNN's
// recurrence.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_LISTENERS_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_LISTENERS_H_

#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "backbones/dialogue_rnn/dialogue_weights.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

// Steps l_cell for the listeners of the block, whose speakers' new states are known. `sums` [rows
// of the block, 3 P] is overwritten. T is that of all floating-point tensors.
template <typename T>
void ListenersForward(const Direction& direction, const Block& block, const torch::Tensor& inputs,
                      const DialogueWeights& weights, torch::Tensor sums, DirectionStates& states);

// The gradient of ListenersForward: writes those of listeners' inputs and sums, and adds to those
// of the states that these came from, the speakers' and the listeners' before.
template <typename T>
void ListenersBackward(const Direction& direction, const Block& block,
                       const DialogueWeights& weights, const DirectionStates& states,
                       DirectionGradients& gradients);

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_LISTENERS_H_
