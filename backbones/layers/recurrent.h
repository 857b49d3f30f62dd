// torch::nn::GRU and torch::nn::LSTM over the utterances of conversations, made fast on the CPU.
//
// The module keeps its parameters, their names and their initial values; only the arithmetic is
// ours: one product for the inputs of all utterances, one small product per time step for the
// hidden state, and a backward pass that forms each weight's gradient as one product over all
// utterances. Results agree with LibTorch's to a few units in the last place.
#ifndef CMERC_BACKBONES_LAYERS_RECURRENT_H_
#define CMERC_BACKBONES_LAYERS_RECURRENT_H_

#include <torch/nn/modules/rnn.h>

#include <cstdint>
#include <vector>

#include "torch/types.h"

namespace cmerc {

// What a network runs over: R rows, those of N utterances and then those of padding, of which a
// conversation may have some at its end.
struct RecurrentRows {
  // [U, I]: what the rows read. Often it is the same for many: all padding, or all of a
  // conversation without a source of evidence.
  torch::Tensor inputs;
  // [B] int64 on the CPU, each >= 1, with sum N: utterances. Conversations lie one after the other,
  // each in time order.
  torch::Tensor lengths;
  // T, at least the longest length: every conversation is encoded at this length, as the official
  // code does, and has T - length rows of padding; these, too, conversation after conversation. 0:
  // no padding, R = N.
  int64_t padded_length = 0;
  // [R] int64 on the CPU: row r reads inputs[input_of[r]], input_of[r] <= r. Undefined: U = R, and
  // each row has its own.
  torch::Tensor input_of = {};
};

// Returns the conversations of all parts, one part after the other, for one run. There is at least
// one part, and all have the same padded_length.
RecurrentRows Join(const std::vector<RecurrentRows>& parts);

// Returns the hidden states of the last layer for all utterances, [N, D * H], forward direction
// first (D directions). Initial states are zero. Throws c10::Error where the rows are not as
// RecurrentRows says.
//
// Dropout between layers acts in training mode. Its mask is drawn as LibTorch draws it: for rows
// ordered by time, then by length, padding included, longest first (stable); so for equal lengths
// it is the mask of the tensor [T, B, D * H].
//
// Of copies (copies.h), all have the mask of the first one.
//
// bfloat16 inputs are computed in float32. Everything but float32 on the CPU, modules without bias,
// and LSTMs with a projection go to LibTorch's own implementation, which throws c10::Error where
// dropout acts on copies. Gradients cannot be differentiated again.
torch::Tensor RunRecurrent(torch::nn::GRU& gru, const RecurrentRows& rows);
torch::Tensor RunRecurrent(torch::nn::LSTM& lstm, const RecurrentRows& rows);

// Without padding: inputs [N, I].
torch::Tensor RunRecurrent(torch::nn::GRU& gru, const torch::Tensor& inputs,
                           const torch::Tensor& lengths);
torch::Tensor RunRecurrent(torch::nn::LSTM& lstm, const torch::Tensor& inputs,
                           const torch::Tensor& lengths);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_RECURRENT_H_
