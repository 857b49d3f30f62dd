// The passes of DialogueRNN's recurrence over all steps of some conversations, in one direction.
// In each, T is the type of all floating-point tensors, and `part` names the conversations; other
// threads may work on others at the same time.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PASSES_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PASSES_H_

#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "backbones/dialogue_rnn/dialogue_weights.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

// Computes all global states and those of parties, from the inputs of RunDialogueRecurrence().
template <typename T>
void StatesForward(const Direction& direction, const Ranks& part, const torch::Tensor& inputs,
                   const DialogueWeights& weights, DirectionStates& states);

// Computes the emotion states. `inputs` [N, 3 E] are the products of speakers' states with
// emotion_party.
template <typename T>
void EmotionsForward(const Direction& direction, const Ranks& part, const torch::Tensor& inputs,
                     const DialogueWeights& weights, DirectionStates& states);

// From gradients.emotion, computes the gradients emotion_inputs and emotion_sums.
template <typename T>
void EmotionsBackward(const Direction& direction, const Ranks& part, const DialogueWeights& weights,
                      const DirectionStates& states, DirectionGradients& gradients);

// From gradients.party, which has what came by way of the emotion states, computes all gradients
// but those of emotions, and d_inputs in this direction's columns.
template <typename T>
void StatesBackward(const Direction& direction, const Ranks& part, const torch::Tensor& inputs,
                    const DialogueWeights& weights, const DirectionStates& states,
                    DirectionGradients& gradients, const torch::Tensor& d_inputs);

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PASSES_H_
