// torch::nn::GRU and torch::nn::LSTM over the utterances of conversations, made fast on the CPU.
//
// The module keeps its parameters, their names and their initial values; only the arithmetic is
// ours: one product for the inputs of all utterances, one small product per time step for the
// hidden state, and a backward pass that forms each weight's gradient as one product over all
// utterances. Results agree with LibTorch's to a few units in the last place.
#ifndef CMERC_BACKBONES_RECURRENT_H_
#define CMERC_BACKBONES_RECURRENT_H_

#include <torch/nn/modules/rnn.h>

namespace cmerc {

// rows [N, I]: conversations one after the other, each in time order. lengths: [B] int64 on the
// CPU, each >= 1, with sum N; conversation-wise padding that should be encoded counts as length.
// Returns the hidden states of the last layer, [N, D * H], forward direction first (D directions).
// Initial states are zero. Throws c10::Error for other shapes.
//
// Dropout between layers acts in training mode. Its mask is drawn as LibTorch draws it: for rows
// ordered by time, then by length, longest first (stable); so for equal lengths it is the mask of
// the tensor [T, B, D * H].
//
// Everything but float32 on the CPU, modules without bias, and LSTMs with a projection go to
// LibTorch's own implementation. Gradients cannot be differentiated again.
torch::Tensor RunRecurrent(torch::nn::GRU& gru, const torch::Tensor& rows,
                           const torch::Tensor& lengths);
torch::Tensor RunRecurrent(torch::nn::LSTM& lstm, const torch::Tensor& rows,
                           const torch::Tensor& lengths);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_RECURRENT_H_
