// The recurrence of DialogueRNN (Majumder et al., "DialogueRNN: An Attentive RNN for Emotion
// Detection in Conversations", AAAI 2019; declare-lab/conv-emotion, DialogueRNN/model.py, class
// DialogueRNNCell) over the utterances of many conversations, in both directions or forwards only,
// on the CPU.
//
// Letters as in core/batch.h, and the widths G of the global state, P of a party's state and E of
// the emotion state; D is the number of directions, 1 or 2.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_RECURRENCE_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_RECURRENCE_H_

#include <vector>

#include "absl/types/span.h"
#include "backbones/dialogue_rnn/dialogue_weights.h"
#include "torch/types.h"

namespace cmerc {

// The conversations, one after the other, each in time order.
struct DialogueRows {
  torch::Tensor lengths;   // [B] int64 on the CPU, each >= 1; sum N
  torch::Tensor speakers;  // [N] int64, each >= 0
  // [n, n] bool on the CPU, of any strides: Batch::context of each conversation.
  std::vector<torch::Tensor> contexts;
};

// Returns the emotion states [N, D E], forward direction first, for the weights of D directions. In
// each direction, from the
// utterance u of the party s, the states g of the whole conversation, q of every party and e of the
// emotion, all zero at first, go to
//
//   c  = sum_j alpha_j g_j, alpha = softmax over earlier utterances j in context of query . g_j
//   g' = g_cell([u, q_s], g)
//   q_s' = p_cell([u, c], q_s), and for any other party r with listener states
//   q_r' = l_cell([u, q_s'], q_r)
//   e' = e_cell(q_s', e)
//
// where c is 0 without any earlier utterance in context. `inputs` [N, D, 3 G + 3 P (+ 3 P) + G],
// direction by direction, are the parts of g_cell, p_cell and l_cell (with listener states) that
// come from the utterance, their bias_ih included, and the query. Every new state passes through
// `dropout`, a probability, which is 0 in evaluation; of copies (copies.h), all have the masks of
// the first one. In one direction and without gradient, the
// bits of a state depend on no later utterance, not even on who speaks it.
//
// All floating-point tensors are float32 or bfloat16, which is computed in float32, or all are
// float64. Tensors of a GPU are copied to the CPU, and the result back. Throws c10::ValueError for
// inputs of another shape, and c10::Error where a gradient is to be differentiated again.
torch::Tensor RunDialogueRecurrence(const torch::Tensor& inputs,
                                    absl::Span<const DialogueWeights> weights,
                                    const DialogueRows& rows, double dropout);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_RECURRENCE_H_
