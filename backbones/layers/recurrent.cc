#include "backbones/layers/recurrent.h"

#include <ATen/Context.h>
#include <torch/nn/utils/rnn.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "backbones/layers/copies.h"
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

// Returns the starts and the lengths of the conversations [2, B], longest first (stable).
Tensor SortedConversations(const Tensor& starts, const Tensor& lengths) {
  const auto [sorted, order] = lengths.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  return torch::stack({starts.index_select(0, order), sorted});
}

// The rows of RecurrentRows in the order that the kernels and LibTorch walk them. Positions are
// conversation-major, each conversation with its padding (see ConversationRows of the kernels).
struct RowOrder {
  explicit RowOrder(const RecurrentRows& rows);

  // Rows ordered by time, then by length, and how many there are at each time.
  Packing::TimeMajor ByTime() const;

  int64_t num_utterances;  // N
  int64_t num_rows;        // R
  Tensor run_lengths;      // [B], with padding
  // The first positions of all conversations and their lengths [2, B], longest first (stable).
  Tensor whole;       // with their padding
  Tensor utterances;  // without it
  Tensor row_at;      // [R], the row at each position; undefined: position p is row p
};

RowOrder::RowOrder(const RecurrentRows& rows)
    : num_utterances(rows.lengths.sum().item<int64_t>()), num_rows(num_utterances) {
  const int64_t num_conversations = rows.lengths.size(0);
  const int64_t length = rows.padded_length;
  run_lengths = rows.lengths;
  if (length > 0) {
    run_lengths = torch::full_like(rows.lengths, length);
    num_rows = num_conversations * length;
  }
  const Tensor starts = run_lengths.cumsum(0) - run_lengths;
  whole = SortedConversations(starts, run_lengths);
  utterances = SortedConversations(starts, rows.lengths);
  if (num_rows > num_utterances) {
    row_at = torch::empty({num_rows}, torch::kInt64);
    auto* const row = row_at.data_ptr<int64_t>();
    const auto* const real = rows.lengths.data_ptr<int64_t>();
    int64_t utterance = 0;
    int64_t padding = num_utterances;
    for (int64_t b = 0; b < num_conversations; ++b) {
      for (int64_t t = 0; t < length; ++t) {
        row[b * length + t] = t < real[b] ? utterance++ : padding++;
      }
    }
  }
}

Packing::TimeMajor RowOrder::ByTime() const {
  Packing::TimeMajor result =
      Packing(run_lengths, run_lengths.max().item<int64_t>(), torch::kCPU).MakeTimeMajor();
  if (row_at.defined()) result.order = row_at.index_select(0, result.order);
  return result;
}

// Throws c10::Error unless the rows are as RecurrentRows says and input_size values wide.
void CheckRows(const RecurrentRows& rows, int64_t input_size) {
  const Tensor& lengths = rows.lengths;
  TORCH_CHECK(lengths.dim() == 1 && lengths.scalar_type() == torch::kInt64 && lengths.is_cpu() &&
                  lengths.size(0) >= 1 && lengths.min().item<int64_t>() >= 1,
              "lengths must be one or more int64 >= 1 on the CPU, got ", lengths.toString(), " ",
              lengths.sizes());
  const auto longest = lengths.max().item<int64_t>();
  TORCH_CHECK(rows.padded_length == 0 || rows.padded_length >= longest, "padded_length is ",
              rows.padded_length, ", want 0 or at least the longest length, ", longest);
  const int64_t num_rows = rows.padded_length == 0 ? lengths.sum().item<int64_t>()
                                                   : lengths.size(0) * rows.padded_length;
  TORCH_CHECK(rows.inputs.dim() == 2 && rows.inputs.size(1) == input_size, "inputs have shape ",
              rows.inputs.sizes(), ", want [rows, ", input_size, "]");
  if (!rows.input_of.defined()) {
    TORCH_CHECK(rows.inputs.size(0) == num_rows, "inputs have shape ", rows.inputs.sizes(),
                ", want [", num_rows, ", ", input_size, "] (all rows, input_size)");
    return;
  }
  const Tensor& input_of = rows.input_of;
  TORCH_CHECK(input_of.sizes() == torch::IntArrayRef({num_rows}) &&
                  input_of.scalar_type() == torch::kInt64 && input_of.is_cpu(),
              "input_of must be [", num_rows, "] int64 on the CPU, got ", input_of.toString(), " ",
              input_of.sizes());
  TORCH_CHECK(input_of.min().item<int64_t>() >= 0 &&
                  input_of.max().item<int64_t>() < rows.inputs.size(0) &&
                  (input_of <= torch::arange(num_rows)).all().item<bool>(),
              "input_of names one of the ", rows.inputs.size(0),
              " inputs for every row, and none after the row itself");
}

// Returns what every row reads, [R, I].
Tensor InputOfEachRow(const RecurrentRows& rows) {
  return rows.input_of.defined()
             ? rows.inputs.index_select(0, ToDevice(rows.input_of, rows.inputs.device()))
             : rows.inputs;
}

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
  TORCH_CHECK(
      CopiesInPass::Now() == 1 || !module->is_training() || module->options_base.dropout() == 0,
      "LibTorch's recurrent layers do not draw the same masks for all copies");
  const Packing::TimeMajor time_major = order.ByTime();
  const Tensor rows = ToDevice(time_major.order, inputs.device());
  const PackedSequence sequence(SelectRows(inputs, rows), time_major.batch_sizes);
  const WithoutCudnnInEvaluation guard(module->is_training());
  const PackedSequence encoded = std::get<0>(module->forward_with_packed_input(sequence));
  return PlaceRows(encoded.data(), rows, inputs.size(0)).narrow(0, 0, order.num_utterances);
}

template <typename Module>
Tensor Run(Module& module, kernels::RecurrentCell cell, RecurrentRows rows) {
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

RecurrentRows Join(const std::vector<RecurrentRows>& parts) {
  std::vector<Tensor> inputs, lengths, of_utterances, of_padding;
  int64_t num_inputs = 0;
  for (const RecurrentRows& part : parts) {
    inputs.push_back(part.inputs);
    lengths.push_back(part.lengths);
    const Tensor input_of =
        (part.input_of.defined() ? part.input_of : torch::arange(part.inputs.size(0))) + num_inputs;
    const auto num_utterances = part.lengths.sum().item<int64_t>();
    of_utterances.push_back(input_of.narrow(0, 0, num_utterances));
    of_padding.push_back(input_of.narrow(0, num_utterances, input_of.size(0) - num_utterances));
    num_inputs += part.inputs.size(0);
  }
  const Tensor input_of = torch::cat({torch::cat(of_utterances), torch::cat(of_padding)});
  // Inputs in the order in which rows read them, so that none comes after its row.
  std::vector<int64_t> order, number(num_inputs, -1);
  auto* const read = input_of.data_ptr<int64_t>();
  for (int64_t r = 0; r < input_of.size(0); ++r) {
    if (number[read[r]] < 0) {
      number[read[r]] = static_cast<int64_t>(order.size());
      order.push_back(read[r]);
    }
    read[r] = number[read[r]];
  }
  Tensor all = torch::cat(inputs);
  // Most often they are in that order.
  if (static_cast<int64_t>(order.size()) != num_inputs ||
      !std::is_sorted(order.begin(), order.end())) {
    all = all.index_select(0, ToDevice(torch::tensor(order), all.device()));
  }
  return {all, torch::cat(lengths), parts[0].padded_length, input_of};
}

Tensor RunRecurrent(torch::nn::GRU& gru, const RecurrentRows& rows) {
  return Run(gru, kernels::RecurrentCell::kGru, rows);
}

Tensor RunRecurrent(torch::nn::LSTM& lstm, const RecurrentRows& rows) {
  return Run(lstm, kernels::RecurrentCell::kLstm, rows);
}

Tensor RunRecurrent(torch::nn::GRU& gru, const Tensor& inputs, const Tensor& lengths) {
  return RunRecurrent(gru, {inputs, lengths});
}

Tensor RunRecurrent(torch::nn::LSTM& lstm, const Tensor& inputs, const Tensor& lengths) {
  return RunRecurrent(lstm, {inputs, lengths});
}

}  // namespace cmerc
