// One layer of a GRU or an LSTM on the CPU in float32, with its gradient.
#ifndef CMERC_BACKBONES_LAYERS_RECURRENT_LAYER_H_
#define CMERC_BACKBONES_LAYERS_RECURRENT_LAYER_H_

#include <cstdint>
#include <vector>

#include "kernels/cpu/recurrent_kernels.h"
#include "torch/types.h"

namespace cmerc {

// The weights of one direction: weight_ih, weight_hh, bias_ih, bias_hh.
constexpr int64_t kLayerWeights = 4;

// What the directions of a layer run over.
struct LayerRows {
  // The conversations of each direction, with pointers into these tensors.
  std::vector<kernels::ConversationRows> Conversations(int64_t directions) const;

  // How many rows a direction runs over; they are the first ones.
  int64_t NumRows(int64_t direction) const;

  torch::Tensor forward;   // [2, B], conversations' first positions and lengths, longest first
  torch::Tensor backward;  // [2, B]
  torch::Tensor row_at;    // [R], the row at each position, or undefined: position p is row p
  torch::Tensor input_of;  // [R], as in RecurrentRows, or undefined: row r reads input r
};

// Returns the hidden states [R, D * H] for inputs [U, I], forward direction first; `weights` are
// kLayerWeights for each of the D directions. Rows that a direction does not run over are not
// initialized. `keep`: a gradient may be asked for later; with input_of, the first U rows then have
// an input of their own each. Throws c10::Error where a gradient is to be differentiated again.
torch::Tensor RunRecurrentLayer(kernels::RecurrentCell cell, const torch::Tensor& inputs,
                                torch::TensorList weights, const LayerRows& rows, bool keep);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_RECURRENT_LAYER_H_
