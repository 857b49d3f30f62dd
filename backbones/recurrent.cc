#include "backbones/recurrent.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/utils/rnn.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "backbones/packing.h"
#include "backbones/recurrent_kernels.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using torch::nn::utils::rnn::PackedSequence;

constexpr int64_t kWeights = 4;  // of one direction: weight_ih, weight_hh, bias_ih, bias_hh

// Where the conversations are, longest first (stable): a tensor [2, B] of starts and lengths.
Tensor SortedConversations(const Tensor& lengths) {
  const auto [sorted, order] = lengths.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  return torch::stack({(lengths.cumsum(0) - lengths).index_select(0, order), sorted});
}

ConversationRows AllRows(const Tensor& conversations) {
  const int64_t count = conversations.size(1);
  const int64_t* data = conversations.data_ptr<int64_t>();
  return {data, data + count, count};
}

// The rows in the order of time, then of length.
Packing::TimeMajor MakeTimeMajor(const Tensor& lengths, torch::Device device) {
  return Packing(lengths, lengths.max().item<int64_t>(), device).MakeTimeMajor();
}

// Calls run(direction, some conversations) for all directions and conversations, in parallel. The
// result does not depend on how they are divided.
template <typename Run>
void ForEachPart(int64_t directions, const ConversationRows& all, const Run& run) {
  // Below this, a step's product waits for weights more than it computes.
  constexpr int64_t kConversations = 8;
  const int64_t most = (all.count + kConversations - 1) / kConversations;
  const int64_t parts = std::clamp<int64_t>(at::get_num_threads() / directions, 1, most);
  at::parallel_for(0, directions * parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t part = i / directions;
      const int64_t first = all.count * part / parts;
      const int64_t last = all.count * (part + 1) / parts;
      run(i % directions, ConversationRows{all.starts + first, all.lengths + first, last - first});
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

// The products of a layer: [N, I] x [I, gates] and [N, H] x [H, gates] for each direction; the
// backward pass has two for each.
void CountLayer(const Tensor& input, const Tensor& gates, int64_t hidden_size, int passes) {
  const auto products =
      2.0 * static_cast<double>(gates.numel()) * static_cast<double>(input.size(1) + hidden_size);
  const auto numbers = static_cast<double>(input.numel() + gates.numel()) +
                       static_cast<double>(gates.numel() / gates.size(0)) *
                           static_cast<double>(input.size(1) + hidden_size);
  CountWork(passes * products, passes * sizeof(float) * numbers);
}

// One layer, both directions: input [N, I], weights kWeights per direction -> [N, D * H].
struct LayerFunction : torch::autograd::Function<LayerFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& input_rows, at::TensorList weights,
                        const Tensor& conversations, int64_t cell, bool keep) {
    const RecurrentKernels& kernels = BestRecurrentKernels(static_cast<RecurrentCell>(cell));
    const Tensor input = input_rows.contiguous();
    const int64_t num_rows = input.size(0);
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
      products.push_back(Product(input, contiguous[d * kWeights].t(), gates.select(1, d)));
    }
    CountLayer(input, gates, hidden_size, /*passes=*/1);
    Multiply(kernels, products);
    at::parallel_for(0, directions, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin; d < end; ++d) {
        const Tensor* const weight = &contiguous[d * kWeights];
        kernels.pack_forward(hidden_size, weight[1].data_ptr<float>(), weight[2].data_ptr<float>(),
                             weight[3].data_ptr<float>(),
                             packed.data_ptr<float>() + d * packed.stride(0));
      }
    });
    ForEachPart(directions, AllRows(conversations), [&](int64_t d, const ConversationRows& part) {
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
      variable_list saved = {input, conversations, gates, kept, result};
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
    const Tensor& conversations = saved[1];
    const Tensor& gates = saved[2];
    const Tensor& kept = saved[3];
    const Tensor output = saved[4].view(kept.sizes());
    const variable_list weights(saved.begin() + 5, saved.end());
    const int64_t directions = output.size(1);
    const int64_t hidden_size = output.size(2);
    const Tensor output_gradient = gradients[0].contiguous().view(output.sizes());
    const Tensor gate_gradient = torch::empty_like(gates);
    const Tensor new_gradient = cell == RecurrentCell::kGru ? torch::empty_like(output) : Tensor();
    const Tensor previous = torch::empty_like(output);
    CountLayer(input, gates, hidden_size, /*passes=*/2);
    const Tensor packed =
        torch::empty({directions, kernels.backward_weights_size(hidden_size)}, output.options());
    at::parallel_for(0, directions, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin; d < end; ++d) {
        kernels.pack_backward(hidden_size, weights[2 * d + 1].data_ptr<float>(),
                              packed.data_ptr<float>() + d * packed.stride(0));
      }
    });
    ForEachPart(directions, AllRows(conversations), [&](int64_t d, const ConversationRows& part) {
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

    variable_list result(1);
    if (context->needs_input_grad(0)) result[0] = torch::empty_like(input);
    std::vector<MatrixProduct> products;
    for (int64_t d = 0; d < directions; ++d) {
      const Tensor gate = gate_gradient.select(1, d);
      const Tensor hidden = previous.select(1, d);
      const Tensor weight_ih = torch::empty_like(weights[2 * d]);
      const Tensor weight_hh = torch::empty_like(weights[2 * d + 1]);
      const Tensor bias_ih = gate.sum(0);
      Tensor bias_hh = bias_ih.clone();
      products.push_back(Product(gate.t(), input, weight_ih));
      if (new_gradient.defined()) {
        const Tensor fresh = new_gradient.select(1, d);
        const int64_t shared = 2 * hidden_size;
        products.push_back(
            Product(gate.narrow(1, 0, shared).t(), hidden, weight_hh.narrow(0, 0, shared)));
        products.push_back(Product(fresh.t(), hidden, weight_hh.narrow(0, shared, hidden_size)));
        bias_hh.narrow(0, shared, hidden_size).copy_(fresh.sum(0));
      } else {
        products.push_back(Product(gate.t(), hidden, weight_hh));
      }
      result.insert(result.end(), {weight_ih, weight_hh, bias_ih, bias_hh});
    }
    Multiply(kernels, products);
    for (int64_t d = 0; d < directions && result[0].defined(); ++d) {
      Multiply(kernels, {Product(gate_gradient.select(1, d), weights[2 * d], result[0],
                                 /*accumulate=*/d > 0)});
    }
    result.resize(result.size() + 3);  // conversations, cell, keep
    return result;
  }
};

template <typename Module>
Tensor RunLibTorch(Module& module, const Tensor& rows, const Tensor& lengths) {
  const Packing::TimeMajor time_major = MakeTimeMajor(lengths, rows.device());
  const PackedSequence sequence(SelectRows(rows, time_major.order), time_major.batch_sizes);
  const PackedSequence encoded = std::get<0>(module->forward_with_packed_input(sequence));
  return PlaceRows(encoded.data(), time_major.order, rows.size(0));
}

template <typename Module>
Tensor Run(Module& module, RecurrentCell cell, const Tensor& rows, const Tensor& lengths) {
  TORCH_CHECK(lengths.dim() == 1 && lengths.scalar_type() == torch::kInt64 && lengths.is_cpu() &&
                  lengths.size(0) >= 1 && lengths.min().template item<int64_t>() >= 1,
              "lengths must be one or more int64 >= 1 on the CPU, got ", lengths.toString(), " ",
              lengths.sizes());
  const auto& options = module->options_base;
  TORCH_CHECK(rows.dim() == 2 && rows.size(1) == options.input_size() &&
                  rows.size(0) == lengths.sum().template item<int64_t>(),
              "rows have shape ", rows.sizes(), ", want [", lengths.sum().template item<int64_t>(),
              ", ", options.input_size(), "] (sum of lengths, input_size)");
  const variable_list weights = module->all_weights();
  const auto fast = [](const Tensor& x) {
    return x.is_cpu() && x.scalar_type() == torch::kFloat32;
  };
  if (!options.bias() || options.proj_size() != 0 || !fast(rows) ||
      !std::all_of(weights.begin(), weights.end(), fast)) {
    return RunLibTorch(module, rows, lengths);
  }
  const bool keep = torch::GradMode::is_enabled() &&
                    (rows.requires_grad() ||
                     std::any_of(weights.begin(), weights.end(),
                                 [](const Tensor& weight) { return weight.requires_grad(); }));
  const Tensor conversations = SortedConversations(lengths);
  const int64_t per_layer = kWeights * (options.bidirectional() ? 2 : 1);
  Tensor hidden = rows;
  for (int64_t layer = 0; layer < options.num_layers(); ++layer) {
    if (layer > 0 && options.dropout() > 0 && module->is_training()) {
      const Tensor mask =
          torch::dropout(torch::ones(hidden.sizes(), rows.options()), options.dropout(), true);
      hidden = hidden * torch::empty_like(mask).index_copy_(
                            0, MakeTimeMajor(lengths, rows.device()).order, mask);
    }
    hidden =
        LayerFunction::apply(hidden, at::TensorList(weights).slice(layer * per_layer, per_layer),
                             conversations, static_cast<int64_t>(cell), keep);
  }
  return hidden;
}

}  // namespace

Tensor RunRecurrent(torch::nn::GRU& gru, const Tensor& rows, const Tensor& lengths) {
  return Run(gru, RecurrentCell::kGru, rows, lengths);
}

Tensor RunRecurrent(torch::nn::LSTM& lstm, const Tensor& rows, const Tensor& lengths) {
  return Run(lstm, RecurrentCell::kLstm, rows, lengths);
}

}  // namespace cmerc
