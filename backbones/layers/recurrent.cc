#include "backbones/layers/recurrent.h"

#include <ATen/Context.h>
#include <torch/nn/utils/rnn.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/recurrent_layer.h"
#include "core/to_device.h"
#include "kernels/cpu/recurrent_kernels.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::nn::utils::rnn::PackedSequence;

// While it lives, LibTorch leaves cuDNN out where a gradient is needed in evaluation mode
// (view_weights: LIVE_WITH_GRADIENT): cuDNN cannot compute one there.
class WithoutCudnnInEvaluation {
 public:
  explicit WithoutCudnnInEvaluation(bool is_training) {
    at::globalContext().setUserEnabledCuDNN(before_ &&
                                            (is_training || !torch::GradMode::is_enabled()));
  }
  ~WithoutCudnnInEvaluation() { at::globalContext().setUserEnabledCuDNN(before_); }
  WithoutCudnnInEvaluation(const WithoutCudnnInEvaluation&) = delete;
  WithoutCudnnInEvaluation& operator=(const WithoutCudnnInEvaluation&) = delete;

 private:
  const bool before_ = at::globalContext().userEnabledCuDNN();
};

template <typename Module>
Tensor RunLibTorch(Module& module, const Tensor& inputs, const RowOrder& order) {
  const Packing::TimeMajor time_major = order.ByTime();
  const Tensor rows = ToDevice(time_major.order, inputs.device());
  const PackedSequence sequence(SelectRows(inputs, rows), time_major.batch_sizes);
  const WithoutCudnnInEvaluation guard(module->is_training());
  const PackedSequence encoded = std::get<0>(module->forward_with_packed_input(sequence));
  return PlaceRows(encoded.data(), rows, inputs.size(0)).narrow(0, 0, order.num_utterances);
}

template <typename Module>
Tensor Run(Module& module, RecurrentCell cell, RecurrentRows rows) {
  const WithoutAutocast float32;
  rows.inputs = Float32(rows.inputs);
  const auto& options = module->options_base;
  CheckRows(rows, options.input_size());
  const RowOrder order(rows);
  const std::vector<Tensor> weights = module->all_weights();
  const auto fast = [](const Tensor& x) {
    return x.is_cpu() && x.scalar_type() == torch::kFloat32;
  };
  if (!options.bias() || options.proj_size() != 0 || !fast(rows.inputs) ||
      !std::all_of(weights.begin(), weights.end(), fast)) {
    return RunLibTorch(module, InputOfEachRow(rows), order);
  }
  const bool keep = torch::GradMode::is_enabled() &&
                    (rows.inputs.requires_grad() ||
                     std::any_of(weights.begin(), weights.end(),
                                 [](const Tensor& weight) { return weight.requires_grad(); }));
  Tensor hidden = rows.inputs;
  Tensor input_of = rows.input_of.defined() ? rows.input_of.contiguous() : Tensor();
  // The backward pass adds up rows in place, after those that have an input of their own.
  if (keep && input_of.defined() &&
      !input_of.narrow(0, 0, hidden.size(0)).equal(torch::arange(hidden.size(0)))) {
    hidden = InputOfEachRow(rows);
    input_of = Tensor();
  }
  const int64_t per_layer = kLayerWeights * (options.bidirectional() ? 2 : 1);
  for (int64_t layer = 0; layer < options.num_layers(); ++layer) {
    if (layer > 0 && options.dropout() > 0 && module->is_training()) {
      hidden = DropoutInOrder(hidden, options.dropout(), /*training=*/true, order.ByTime().order);
    }
    LayerRows layer_rows;
    // The last layer's forward direction leaves padding out: no utterance comes after it.
    const bool last = layer + 1 == options.num_layers();
    layer_rows.forward = last ? order.utterances : order.whole;
    layer_rows.backward = order.whole;
    layer_rows.row_at = order.row_at;
    if (layer == 0) layer_rows.input_of = input_of;
    hidden =
        RunRecurrentLayer(cell, hidden, at::TensorList(weights).slice(layer * per_layer, per_layer),
                          layer_rows, keep);
  }
  return order.num_utterances == order.num_rows ? hidden
                                                : hidden.narrow(0, 0, order.num_utterances);
}

}  // namespace

Tensor RunRecurrent(torch::nn::GRU& gru, const RecurrentRows& rows) {
  return Run(gru, RecurrentCell::kGru, rows);
}

Tensor RunRecurrent(torch::nn::LSTM& lstm, const RecurrentRows& rows) {
  return Run(lstm, RecurrentCell::kLstm, rows);
}

Tensor RunRecurrent(torch::nn::GRU& gru, const Tensor& inputs, const Tensor& lengths) {
  return RunRecurrent(gru, {inputs, lengths});
}

Tensor RunRecurrent(torch::nn::LSTM& lstm, const Tensor& inputs, const Tensor& lengths) {
  return RunRecurrent(lstm, {inputs, lengths});
}

}  // namespace cmerc
