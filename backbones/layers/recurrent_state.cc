#include "backbones/layers/recurrent_state.h"

#include <tuple>

namespace cmerc {
namespace {

using torch::Tensor;

// weight_ih, weight_hh, bias_ih, bias_hh of a layer.
constexpr int64_t kLayerWeights = 4;

at::TensorList WeightsOf(const std::vector<Tensor>& all, size_t layer) {
  return at::TensorList(all).slice(layer * kLayerWeights, kLayerWeights);
}

template <typename Module>
void CheckModule(const Module& module) {
  const auto& options = module->options_base;
  TORCH_CHECK(!options.bidirectional() && options.bias() && options.proj_size() == 0,
              "utterances can come one by one to a network that runs one way, with biases and "
              "without a projection");
}

}  // namespace

void RecurrentState::Begin(int64_t layers, int64_t width, const Tensor& input) {
  for (int64_t layer = 0; layer < layers; ++layer) {
    hidden_.push_back(torch::zeros({1, width}, input.options()));
    cell_.push_back(hidden_.back());
  }
}

Tensor RecurrentState::Step(const torch::nn::GRU& gru, const Tensor& input) {
  CheckModule(gru);
  if (hidden_.empty()) {
    Begin(gru->options_base.num_layers(), gru->options_base.hidden_size(), input);
  }
  const std::vector<Tensor> all = gru->all_weights();
  Tensor rows = input;
  for (size_t layer = 0; layer < hidden_.size(); ++layer) {
    const at::TensorList weights = WeightsOf(all, layer);
    rows = at::gru_cell(rows, hidden_[layer], weights[0], weights[1], weights[2], weights[3]);
    hidden_[layer] = rows;
  }
  return rows;
}

Tensor RecurrentState::Step(const torch::nn::LSTM& lstm, const Tensor& input) {
  CheckModule(lstm);
  if (hidden_.empty()) {
    Begin(lstm->options_base.num_layers(), lstm->options_base.hidden_size(), input);
  }
  const std::vector<Tensor> all = lstm->all_weights();
  Tensor rows = input;
  for (size_t layer = 0; layer < hidden_.size(); ++layer) {
    const at::TensorList weights = WeightsOf(all, layer);
    std::tie(hidden_[layer], cell_[layer]) = at::lstm_cell(
        rows, {hidden_[layer], cell_[layer]}, weights[0], weights[1], weights[2], weights[3]);
    rows = hidden_[layer];
  }
  return rows;
}

}  // namespace cmerc
