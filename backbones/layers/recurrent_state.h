// torch::nn::GRU and torch::nn::LSTM over a conversation whose utterances come one by one.
#ifndef CMERC_BACKBONES_LAYERS_RECURRENT_STATE_H_
#define CMERC_BACKBONES_LAYERS_RECURRENT_STATE_H_

#include <torch/nn/modules/rnn.h>

#include <vector>

#include "torch/types.h"

namespace cmerc {

// The states of all layers of a one-way network after some utterances; zero before the first.
class RecurrentState {
 public:
  // Runs the network over the next utterance: input [1, I] -> the last layer's state [1, H], which
  // is the row that RunRecurrent() (recurrent.h) computes, up to rounding. Dropout does not act.
  // Always the same network, one with biases and without a projection.
  torch::Tensor Step(const torch::nn::GRU& gru, const torch::Tensor& input);
  torch::Tensor Step(const torch::nn::LSTM& lstm, const torch::Tensor& input);

 private:
  // Makes the states before the first utterance: of `layers` layers, `width` wide.
  void Begin(int64_t layers, int64_t width, const torch::Tensor& input);

  std::vector<torch::Tensor> hidden_;  // of each layer, [1, H]
  std::vector<torch::Tensor> cell_;    // the same, of an LSTM
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_RECURRENT_STATE_H_
