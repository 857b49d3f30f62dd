#include "backbones/layers/recurrent.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/utils/rnn.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/packing.h"
#include "core/to_device.h"
#include "kernels/cpu/recurrent_kernels.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using torch::nn::utils::rnn::PackedSequence;

constexpr int64_t kWeights = 4;  // of one direction: weight_ih, weight_hh, bias_ih, bias_hh

// Where the conversations are, longest first (stable): a tensor [2, B] of starts and lengths.
Tensor SortedConversations(const Tensor& starts, const Tensor& lengths) {
  const auto [sorted, order] = lengths.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  return torch::stack({starts.index_select(0, order), sorted});
}

// The rows of RecurrentRows in the order that the kernels and LibTorch walk them.
struct Order {
  explicit Order(const RecurrentRows& rows)
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

  // Rows ordered by time, then by length, and how many there are at each time.
  Packing::TimeMajor ByTime() const {
    Packing::TimeMajor result =
        Packing(run_lengths, run_lengths.max().item<int64_t>(), torch::kCPU).MakeTimeMajor();
    if (row_at.defined()) result.order = row_at.index_select(0, result.order);
    return result;
  }

  int64_t num_utterances;  // N
  int64_t num_rows;        // R
  Tensor run_lengths;      // [B]: with padding
  // Positions are conversation-major, padding included; see ConversationRows.
  Tensor whole;       // conversations with their padding
  Tensor utterances;  // and without
  Tensor row_at;      // [R]: of each position; undefined: the same
};

// Calls run(direction, some conversations) for the conversations of each direction, in parallel.
// The result does not depend on how they are divided.
template <typename Run>
void ForEachPart(const std::vector<ConversationRows>& of_directions, const Run& run) {
  const auto directions = static_cast<int64_t>(of_directions.size());
  // Below this, a step's product waits for weights more than it computes.
  constexpr int64_t kConversations = 8;
  const int64_t count = of_directions[0].count;
  const int64_t most = directions * ((count + kConversations - 1) / kConversations);
  const int64_t parts = std::clamp<int64_t>(at::get_num_threads(), 1, most);
  int64_t num_rows = 0;
  for (const ConversationRows& all : of_directions) {
    num_rows = std::accumulate(all.lengths, all.lengths + count, num_rows);
  }
  // The rows of all directions one after the other are cut into equal parts, at conversations.
  std::vector<std::vector<std::pair<int64_t, ConversationRows>>> of_part(parts);
  int64_t row = 0;
  for (int64_t d = 0; d < directions; ++d) {
    const ConversationRows& all = of_directions[d];
    for (int64_t j = 0, previous = -1; j < count; row += all.lengths[j++]) {
      const int64_t part = (2 * row + all.lengths[j]) * parts / (2 * num_rows);
      if (part != previous) {
        of_part[part].push_back({d, {all.starts + j, all.lengths + j, 0, all.rows}});
      }
      ++of_part[part].back().second.count;
      previous = part;
    }
  }
  at::parallel_for(0, parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      for (const auto& [d, conversations] : of_part[part]) run(d, conversations);
    }
  });
}

// x * y, both dense 2-D tensors or their transposes, into the 2-D `result` with dense rows.
MatrixProduct Product(const Tensor& x, const Tensor& y, const Tensor& result,
                      bool accumulate = false) {
  return {x.size(0),           y.size(1),
          x.size(1),           x.data_ptr<float>(),
          x.stride(0),         x.stride(1),
          y.data_ptr<float>(), y.stride(0),
          y.stride(1),         result.data_ptr<float>(),
          result.stride(0),    accumulate};
}

// In parallel; the result does not depend on how the columns are divided.
void Multiply(const RecurrentKernels& kernels, const std::vector<MatrixProduct>& products) {
  const int64_t count = static_cast<int64_t>(products.size());
  const int64_t parts = at::get_num_threads();
  // A thread takes a part of each product: all threads have about the same to do.
  at::parallel_for(0, count * parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      constexpr int64_t kColumns = 32;  // a part has whole tiles
      const MatrixProduct& product = products[i % count];
      const int64_t panels = (product.columns + kColumns - 1) / kColumns;
      const int64_t first = panels * (i / count) / parts * kColumns;
      const int64_t last = panels * (i / count + 1) / parts * kColumns;
      kernels.multiply(product, first, std::min(last, product.columns));
    }
  });
}

// Direction d of rows [N, D, width].
StridedRows<float> Direction(const Tensor& rows, int64_t d) {
  return {rows.data_ptr<float>() + d * rows.stride(1), rows.stride(0)};
}

StridedRows<const float> ConstDirection(const Tensor& rows, int64_t d) {
  return {rows.data_ptr<float>() + d * rows.stride(1), rows.stride(0)};
}

// gates[r] = gates[input_of[r]] for all rows; gates [R, columns], dense.
void CopyToRows(const Tensor& input_of, const Tensor& gates) {
  const int64_t columns = gates.size(1);
  const auto* const source = input_of.data_ptr<int64_t>();
  auto* const data = gates.data_ptr<float>();
  constexpr int64_t kColumnsPerThread = 512;
  at::parallel_for(0, columns, kColumnsPerThread, [&](int64_t begin, int64_t end) {
    // Backwards: what is read is not overwritten yet.
    for (int64_t r = input_of.size(0); r-- > 0;) {
      if (source[r] == r) continue;
      const float* from = data + source[r] * columns;
      std::copy(from + begin, from + end, data + r * columns + begin);
    }
  });
}

// gates[input_of[r]] += gates[r] for the rows r >= num_inputs; gates [R, columns], dense.
void AddToInputs(const Tensor& input_of, int64_t num_inputs, const Tensor& gates) {
  const int64_t columns = gates.size(1);
  const auto* const target = input_of.data_ptr<int64_t>();
  auto* const data = gates.data_ptr<float>();
  constexpr int64_t kColumnsPerThread = 512;
  at::parallel_for(0, columns, kColumnsPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t r = num_inputs; r < input_of.size(0); ++r) {
      const float* from = data + r * columns;
      float* to = data + target[r] * columns;
      for (int64_t c = begin; c < end; ++c) to[c] += from[c];
    }
  });
}

// What both directions of a layer run over, as tensors that autograd can keep.
struct Lanes {
  std::vector<ConversationRows> Conversations(int64_t directions) const {
    const int64_t* row_of = row_at.defined() ? row_at.data_ptr<int64_t>() : nullptr;
    std::vector<ConversationRows> result;
    for (int64_t d = 0; d < directions; ++d) {
      const Tensor& conversations = d == 0 ? forward : backward;
      const int64_t count = conversations.size(1);
      const int64_t* data = conversations.data_ptr<int64_t>();
      result.push_back({data, data + count, count, row_of});
    }
    return result;
  }

  // Rows that a direction runs over; they come first.
  int64_t NumRows(int64_t d) const {
    return (d == 0 ? forward : backward)[1].sum().item<int64_t>();
  }

  Tensor forward;   // [2, B], like Order::whole
  Tensor backward;  // [2, B]
  Tensor row_at;    // [R] or undefined
  Tensor input_of;  // [R] or undefined
};

// How many of the inputs a direction reads.
int64_t NumInputs(const Lanes& lanes, const Tensor& input, int64_t d) {
  return std::min(input.size(0), lanes.NumRows(d));
}

// The products of a layer: [inputs, I] x [I, gates] and [rows, H] x [H, gates] for each direction;
// the backward pass has two for each. gates: [R, D, gates].
void CountLayer(const Lanes& lanes, const Tensor& input, const Tensor& gates, int64_t hidden_size,
                int passes) {
  const auto width = static_cast<double>(input.size(1));
  const auto hidden = static_cast<double>(hidden_size);
  const auto columns = static_cast<double>(gates.size(2));
  double products = 0;
  auto numbers = static_cast<double>(input.numel());
  for (int64_t d = 0; d < gates.size(1); ++d) {
    const auto inputs = static_cast<double>(NumInputs(lanes, input, d));
    const auto rows = static_cast<double>(lanes.NumRows(d));
    products += 2 * columns * (inputs * width + rows * hidden);
    numbers += columns * (rows + width + hidden);
  }
  CountWork(passes * products, passes * double{sizeof(float)} * numbers);
}

// One layer: inputs [U, I], weights kWeights per direction -> [R, D * H]. Rows that a direction
// does not run over are undefined.
struct LayerFunction : torch::autograd::Function<LayerFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& all_inputs, at::TensorList weights,
                        const Tensor& of_forward, const Tensor& of_backward,
                        const c10::optional<Tensor>& of_positions,
                        const c10::optional<Tensor>& of_inputs, int64_t cell, bool keep) {
    const Tensor row_at = of_positions.value_or(Tensor());
    const Tensor input_of = of_inputs.value_or(Tensor());
    const RecurrentKernels& kernels = BestRecurrentKernels(static_cast<RecurrentCell>(cell));
    const Lanes lanes{of_forward, of_backward, row_at, input_of};
    const Tensor input = all_inputs.contiguous();
    const int64_t num_rows = row_at.defined()     ? row_at.size(0)
                             : input_of.defined() ? input_of.size(0)
                                                  : input.size(0);
    const int64_t directions = static_cast<int64_t>(weights.size()) / kWeights;
    const int64_t hidden_size = weights[1].size(1);
    const auto options = input.options().requires_grad(false);
    const Tensor gates = torch::empty({num_rows, directions, weights[1].size(0)}, options);
    const Tensor kept =
        keep ? torch::empty({num_rows, directions, hidden_size}, options) : Tensor();
    Tensor result = torch::empty({num_rows, directions * hidden_size}, options);
    const Tensor output = result.view({num_rows, directions, hidden_size});
    const Tensor packed =
        torch::empty({directions, kernels.forward_weights_size(hidden_size)}, options);
    variable_list contiguous;
    for (const Tensor& weight : weights) contiguous.push_back(weight.contiguous());
    std::vector<MatrixProduct> products;
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t inputs = NumInputs(lanes, input, d);
      products.push_back(Product(input.narrow(0, 0, inputs), contiguous[d * kWeights].t(),
                                 gates.select(1, d).narrow(0, 0, inputs)));
    }
    CountLayer(lanes, input, gates, hidden_size, /*passes=*/1);
    Multiply(kernels, products);
    if (input_of.defined()) CopyToRows(input_of, gates.flatten(1));
    at::parallel_for(0, directions, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin; d < end; ++d) {
        const Tensor* const weight = &contiguous[d * kWeights];
        kernels.pack_forward(hidden_size, weight[1].data_ptr<float>(), weight[2].data_ptr<float>(),
                             weight[3].data_ptr<float>(),
                             packed.data_ptr<float>() + d * packed.stride(0));
      }
    });
    ForEachPart(lanes.Conversations(directions), [&](int64_t d, const ConversationRows& part) {
      RecurrentForward pass;
      pass.hidden_size = hidden_size;
      pass.reverse = d == 1;
      pass.packed_weights = packed.data_ptr<float>() + d * packed.stride(0);
      pass.gates = Direction(gates, d);
      if (keep) pass.kept = Direction(kept, d);
      pass.output = Direction(output, d);
      kernels.forward(pass, part);
    });
    if (keep) {
      variable_list saved = {input, of_forward, of_backward, row_at, input_of, gates, kept, result};
      for (int64_t d = 0; d < directions; ++d) {
        saved.push_back(contiguous[d * kWeights]);
        saved.push_back(contiguous[d * kWeights + 1]);
      }
      context->save_for_backward(saved);
      context->saved_data["cell"] = cell;
    }
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "the gradient of a recurrent encoder cannot be differentiated again "
                "(create_graph); use float64, which LibTorch's own implementation handles");
    const auto cell = static_cast<RecurrentCell>(context->saved_data["cell"].toInt());
    const RecurrentKernels& kernels = BestRecurrentKernels(cell);
    const variable_list saved = context->get_saved_variables();
    const Tensor& input = saved[0];
    const Lanes lanes{saved[1], saved[2], saved[3], saved[4]};
    const Tensor& gates = saved[5];
    const Tensor& kept = saved[6];
    const Tensor output = saved[7].view(kept.sizes());
    const variable_list weights(saved.begin() + 8, saved.end());
    const int64_t directions = output.size(1);
    const int64_t hidden_size = output.size(2);
    const Tensor output_gradient = gradients[0].contiguous().view(output.sizes());
    const Tensor gate_gradient = torch::empty_like(gates);
    Tensor new_gradient = cell == RecurrentCell::kGru ? torch::empty_like(output) : Tensor();
    Tensor previous = torch::empty_like(output);
    CountLayer(lanes, input, gates, hidden_size, /*passes=*/2);
    {
      const Tensor packed =
          torch::empty({directions, kernels.backward_weights_size(hidden_size)}, output.options());
      at::parallel_for(0, directions, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
        for (int64_t d = begin; d < end; ++d) {
          kernels.pack_backward(hidden_size, weights[2 * d + 1].data_ptr<float>(),
                                packed.data_ptr<float>() + d * packed.stride(0));
        }
      });
      ForEachPart(lanes.Conversations(directions), [&](int64_t d, const ConversationRows& part) {
        RecurrentBackward pass;
        pass.hidden_size = hidden_size;
        pass.reverse = d == 1;
        pass.packed_weights = packed.data_ptr<float>() + d * packed.stride(0);
        pass.gates = ConstDirection(gates, d);
        pass.kept = ConstDirection(kept, d);
        pass.output = ConstDirection(output, d);
        pass.output_gradient = ConstDirection(output_gradient, d);
        pass.gate_gradient = Direction(gate_gradient, d);
        if (new_gradient.defined()) pass.new_gradient = Direction(new_gradient, d);
        pass.previous = Direction(previous, d);
        kernels.backward(pass, part);
      });
    }

    // A step needs the most memory here: what is not needed any more goes first.
    variable_list result(1 + kWeights * directions);
    const auto gradient_of = [&](int64_t d, int64_t weight) -> Tensor& {
      return result[1 + d * kWeights + weight];
    };
    std::vector<MatrixProduct> of_hidden, of_inputs;
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t rows = lanes.NumRows(d);
      const Tensor gate = gate_gradient.select(1, d).narrow(0, 0, rows);
      const Tensor hidden = previous.select(1, d).narrow(0, 0, rows);
      const Tensor weight_hh = torch::empty_like(weights[2 * d + 1]);
      const Tensor bias_ih = gate.sum(0);
      const Tensor bias_hh = bias_ih.clone();
      if (new_gradient.defined()) {
        const Tensor fresh = new_gradient.select(1, d).narrow(0, 0, rows);
        const int64_t shared = 2 * hidden_size;
        of_hidden.push_back(
            Product(gate.narrow(1, 0, shared).t(), hidden, weight_hh.narrow(0, 0, shared)));
        of_hidden.push_back(Product(fresh.t(), hidden, weight_hh.narrow(0, shared, hidden_size)));
        bias_hh.narrow(0, shared, hidden_size).copy_(fresh.sum(0));
      } else {
        of_hidden.push_back(Product(gate.t(), hidden, weight_hh));
      }
      gradient_of(d, 1) = weight_hh;
      gradient_of(d, 2) = bias_ih;
      gradient_of(d, 3) = bias_hh;
    }
    Multiply(kernels, of_hidden);
    new_gradient.reset();
    previous.reset();
    // Now that every row has been used by itself.
    if (lanes.input_of.defined())
      AddToInputs(lanes.input_of, input.size(0), gate_gradient.flatten(1));
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t inputs = NumInputs(lanes, input, d);
      gradient_of(d, 0) = torch::empty_like(weights[2 * d]);
      of_inputs.push_back(Product(gate_gradient.select(1, d).narrow(0, 0, inputs).t(),
                                  input.narrow(0, 0, inputs), gradient_of(d, 0)));
    }
    Multiply(kernels, of_inputs);
    if (context->needs_input_grad(0)) {
      result[0] = torch::empty_like(input);
      // Only the forward direction may leave some inputs out: it comes second.
      for (int64_t d = directions; d-- > 0;) {
        const int64_t inputs = NumInputs(lanes, input, d);
        Multiply(kernels,
                 {Product(gate_gradient.select(1, d).narrow(0, 0, inputs), weights[2 * d],
                          result[0].narrow(0, 0, inputs), /*accumulate=*/d + 1 < directions)});
        if (directions == 1) result[0].narrow(0, inputs, input.size(0) - inputs).zero_();
      }
    }
    result.resize(result.size() + 6);  // conversations, rows, inputs, cell, keep
    return result;
  }
};

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

// [R, I]
Tensor InputOfEachRow(const RecurrentRows& rows) {
  return rows.input_of.defined()
             ? rows.inputs.index_select(0, ToDevice(rows.input_of, rows.inputs.device()))
             : rows.inputs;
}

// While it lives, LibTorch leaves cuDNN out, for a gradient in evaluation mode (view_weights:
// LIVE_WITH_GRADIENT), which cuDNN has not.
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
Tensor RunLibTorch(Module& module, const Tensor& inputs, const Order& order) {
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
  const Order order(rows);
  const variable_list weights = module->all_weights();
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
  const int64_t per_layer = kWeights * (options.bidirectional() ? 2 : 1);
  for (int64_t layer = 0; layer < options.num_layers(); ++layer) {
    if (layer > 0 && options.dropout() > 0 && module->is_training()) {
      hidden = DropoutInOrder(hidden, options.dropout(), /*training=*/true, order.ByTime().order);
    }
    const bool last = layer + 1 == options.num_layers();
    // Nothing comes after the padding in the forward direction that the last layer would tell.
    hidden = LayerFunction::apply(
        hidden, at::TensorList(weights).slice(layer * per_layer, per_layer),
        last ? order.utterances : order.whole, order.whole, c10::optional<Tensor>(order.row_at),
        c10::optional<Tensor>(layer == 0 ? input_of : Tensor()), static_cast<int64_t>(cell), keep);
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
  const Tensor all = torch::cat(inputs);
  return {all.index_select(0, ToDevice(torch::tensor(order), all.device())), torch::cat(lengths),
          parts[0].padded_length, input_of};
}

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
