// The weights of DialogueRNN's recurrence.
//
// Letters: the widths G of the global state, P of a party's state and E of the emotion state.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_WEIGHTS_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_WEIGHTS_H_

#include "torch/types.h"

namespace cmerc {

// What one direction's cells multiply their states with. A weight_ih is without the columns of the
// utterance: those belong to the inputs of the recurrence. Gates are in torch.nn's order: reset,
// update, new.
struct DialogueWeights {
  torch::Tensor global_party;      // g_cell.weight_ih [3 G, P], for the speaker's state
  torch::Tensor global_hidden;     // g_cell.weight_hh [3 G, G]
  torch::Tensor global_bias;       // g_cell.bias_hh [3 G]
  torch::Tensor party_context;     // p_cell.weight_ih [3 P, G], for what the attention gathers
  torch::Tensor party_hidden;      // p_cell.weight_hh [3 P, P]
  torch::Tensor party_bias;        // p_cell.bias_hh [3 P]
  torch::Tensor emotion_party;     // e_cell.weight_ih [3 E, P]
  torch::Tensor emotion_input;     // e_cell.bias_ih [3 E]
  torch::Tensor emotion_hidden;    // e_cell.weight_hh [3 E, E]
  torch::Tensor emotion_bias;      // e_cell.bias_hh [3 E]
  torch::Tensor listener_speaker;  // l_cell.weight_ih [3 P, P]; this and the next two are undefined
  torch::Tensor listener_hidden;   // l_cell.weight_hh [3 P, P]    without listener states
  torch::Tensor listener_bias;     // l_cell.bias_hh [3 P]
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_WEIGHTS_H_
