#include "backbones/layers/recurrent_layer.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Calls run(direction, some conversations) for the conversations of each direction, in parallel.
// The result does not depend on how they are divided.
template <typename Run>
void ForEachPart(const std::vector<kernels::ConversationRows>& of_directions, const Run& run) {
  const auto directions = static_cast<int64_t>(of_directions.size());
  // Below this, a step's product waits for weights more than it computes.
  constexpr int64_t kConversations = 8;
  const int64_t count = of_directions[0].count;
  const int64_t most = directions * ((count + kConversations - 1) / kConversations);
  const int64_t parts = std::clamp<int64_t>(at::get_num_threads(), 1, most);
  int64_t num_rows = 0;
  for (const kernels::ConversationRows& all : of_directions) {
    num_rows = std::accumulate(all.lengths, all.lengths + count, num_rows);
  }
  // The rows of all directions one after the other are cut into equal parts, at conversations.
  std::vector<std::vector<std::pair<int64_t, kernels::ConversationRows>>> of_part(parts);
  int64_t row = 0;
  for (int64_t d = 0; d < directions; ++d) {
    const kernels::ConversationRows& all = of_directions[d];
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

// The product x * y of dense 2-D tensors or their transposes, into the 2-D `result`, whose rows are
// dense.
kernels::MatrixProduct Product(const Tensor& x, const Tensor& y, const Tensor& result,
                               bool accumulate = false) {
  return {x.size(0),           y.size(1),
          x.size(1),           x.data_ptr<float>(),
          x.stride(0),         x.stride(1),
          y.data_ptr<float>(), y.stride(0),
          y.stride(1),         result.data_ptr<float>(),
          result.stride(0),    accumulate};
}

// Computes these products in parallel; the result does not depend on how the columns are divided.
void Multiply(const kernels::RecurrentKernels& best,
              const std::vector<kernels::MatrixProduct>& products) {
  const int64_t count = static_cast<int64_t>(products.size());
  const int64_t parts = at::get_num_threads();
  // A thread takes a part of each product: all threads have about the same to do.
  at::parallel_for(0, count * parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      constexpr int64_t kColumns = 32;  // a part has whole tiles
      const kernels::MatrixProduct& product = products[i % count];
      const int64_t panels = (product.columns + kColumns - 1) / kColumns;
      const int64_t first = panels * (i / count) / parts * kColumns;
      const int64_t last = panels * (i / count + 1) / parts * kColumns;
      best.multiply(product, first, std::min(last, product.columns));
    }
  });
}

// Direction d of rows [N, D, width].
kernels::StridedRows<float> Direction(const Tensor& rows, int64_t d) {
  return {rows.data_ptr<float>() + d * rows.stride(1), rows.stride(0)};
}

kernels::StridedRows<const float> ConstDirection(const Tensor& rows, int64_t d) {
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

// gates[input_of[r]] += gates[r] for the rows r in [first, last); gates [R, columns], each row
// dense.
void AddToInputs(const Tensor& input_of, int64_t first, int64_t last, const Tensor& gates) {
  const auto* const target = input_of.data_ptr<int64_t>();
  auto* const data = gates.data_ptr<float>();
  const int64_t stride = gates.stride(0);
  constexpr int64_t kColumnsPerThread = 512;
  at::parallel_for(0, gates.size(1), kColumnsPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t r = first; r < last; ++r) {
      const float* from = data + r * stride;
      float* to = data + target[r] * stride;
      for (int64_t c = begin; c < end; ++c) to[c] += from[c];
    }
  });
}

// What the backward pass needs of a layer.
struct SavedLayer {
  // Those of a direction that enter a product.
  struct Weights {
    Tensor ih, hh;
  };

  // As autograd keeps them.
  variable_list Pack() const {
    variable_list saved = {input,         rows.forward, rows.backward, rows.row_at,
                           rows.input_of, gates,        kept,          output};
    for (const Weights& of_direction : weights) {
      saved.push_back(of_direction.ih);
      saved.push_back(of_direction.hh);
    }
    return saved;
  }

  static SavedLayer Unpack(const variable_list& saved) {
    SavedLayer layer;
    auto next = saved.begin();
    for (Tensor* const tensor :
         {&layer.input, &layer.rows.forward, &layer.rows.backward, &layer.rows.row_at,
          &layer.rows.input_of, &layer.gates, &layer.kept, &layer.output}) {
      *tensor = *next++;
    }
    while (next != saved.end()) {
      const Tensor& ih = *next++;
      layer.weights.push_back({ih, *next++});
    }
    return layer;
  }

  int64_t directions() const { return static_cast<int64_t>(weights.size()); }
  int64_t hidden_size() const { return weights[0].hh.size(1); }
  Tensor OutputOfDirections() const {  // [R, D, H]
    return output.view({output.size(0), directions(), hidden_size()});
  }

  Tensor input;  // [U, I]
  LayerRows rows;
  Tensor gates;   // [R, D, G * H]: RecurrentForward::gates
  Tensor kept;    // [R, D, H]: RecurrentForward::kept; undefined where no backward pass follows
  Tensor output;  // [R, D * H]
  std::vector<Weights> weights;  // [D], contiguous
};

// How many of the inputs a direction reads.
int64_t NumInputs(const SavedLayer& layer, int64_t d) {
  return std::min(layer.input.size(0), layer.rows.NumRows(d));
}

// Counts the products of a layer: [inputs, I] x [I, gates] and [rows, H] x [H, gates] for each
// direction. The backward pass has two for each, so it counts as two passes.
void CountLayer(const SavedLayer& layer, int passes) {
  const auto width = static_cast<double>(layer.input.size(1));
  const auto hidden = static_cast<double>(layer.hidden_size());
  const auto columns = static_cast<double>(layer.gates.size(2));
  double products = 0;
  auto numbers = static_cast<double>(layer.input.numel());
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const auto inputs = static_cast<double>(NumInputs(layer, d));
    const auto rows = static_cast<double>(layer.rows.NumRows(d));
    products += 2 * columns * (inputs * width + rows * hidden);
    numbers += columns * (rows + width + hidden);
  }
  CountWork(passes * products, passes * double{sizeof(float)} * numbers);
}

// Calls run(direction) for each, in parallel.
template <typename Run>
void ForEachDirection(int64_t directions, const Run& run) {
  at::parallel_for(0, directions, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t d = begin; d < end; ++d) run(d);
  });
}

// Writes the products of the inputs with weight_ih to the gates of all rows.
void InputProducts(const kernels::RecurrentKernels& best, const SavedLayer& layer) {
  std::vector<kernels::MatrixProduct> products;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const int64_t inputs = NumInputs(layer, d);
    products.push_back(Product(layer.input.narrow(0, 0, inputs), layer.weights[d].ih.t(),
                               layer.gates.select(1, d).narrow(0, 0, inputs)));
  }
  Multiply(best, products);
  if (layer.rows.input_of.defined()) CopyToRows(layer.rows.input_of, layer.gates.flatten(1));
}

// Steps through time: gates and kept become what the backward pass needs, and the output is
// written. `weights` are those of RunRecurrentLayer(), contiguous.
void ForwardThroughTime(const kernels::RecurrentKernels& best, const variable_list& weights,
                        const SavedLayer& layer) {
  const int64_t hidden_size = layer.hidden_size();
  const Tensor packed = torch::empty({layer.directions(), best.forward_weights_size(hidden_size)},
                                     layer.gates.options());
  const auto packed_of = [&](int64_t d) { return packed.data_ptr<float>() + d * packed.stride(0); };
  ForEachDirection(layer.directions(), [&](int64_t d) {
    const Tensor* const weight = &weights[d * kLayerWeights];
    best.pack_forward(hidden_size, weight[1].data_ptr<float>(), weight[2].data_ptr<float>(),
                      weight[3].data_ptr<float>(), packed_of(d));
  });
  const Tensor output = layer.OutputOfDirections();
  ForEachPart(layer.rows.Conversations(layer.directions()),
              [&](int64_t d, const kernels::ConversationRows& part) {
                kernels::RecurrentForward pass;
                pass.hidden_size = hidden_size;
                pass.reverse = d == 1;
                pass.packed_weights = packed_of(d);
                pass.gates = Direction(layer.gates, d);
                if (layer.kept.defined()) pass.kept = Direction(layer.kept, d);
                pass.output = Direction(output, d);
                best.forward(pass, part);
              });
}

// What a backward pass through time leaves for the gradients of weights and inputs.
struct TimeGradients {
  Tensor gates;     // [R, D, G * H]: RecurrentBackward::gate_gradient
  Tensor fresh;     // [R, D, H], GRU only: RecurrentBackward::new_gradient
  Tensor previous;  // [R, D, H]: the hidden state before each row's step
};

// output_gradient: [R, D, H].
TimeGradients BackwardThroughTime(kernels::RecurrentCell cell, const SavedLayer& layer,
                                  const Tensor& output_gradient) {
  const kernels::RecurrentKernels& best = kernels::BestRecurrentKernels(cell);
  const int64_t hidden_size = layer.hidden_size();
  const Tensor output = layer.OutputOfDirections();
  TimeGradients result;
  result.gates = torch::empty_like(layer.gates);
  if (cell == kernels::RecurrentCell::kGru) result.fresh = torch::empty_like(output);
  result.previous = torch::empty_like(output);
  const Tensor packed =
      torch::empty({layer.directions(), best.backward_weights_size(hidden_size)}, output.options());
  const auto packed_of = [&](int64_t d) { return packed.data_ptr<float>() + d * packed.stride(0); };
  ForEachDirection(layer.directions(), [&](int64_t d) {
    best.pack_backward(hidden_size, layer.weights[d].hh.data_ptr<float>(), packed_of(d));
  });
  ForEachPart(layer.rows.Conversations(layer.directions()),
              [&](int64_t d, const kernels::ConversationRows& part) {
                kernels::RecurrentBackward pass;
                pass.hidden_size = hidden_size;
                pass.reverse = d == 1;
                pass.packed_weights = packed_of(d);
                pass.gates = ConstDirection(layer.gates, d);
                pass.kept = ConstDirection(layer.kept, d);
                pass.output = ConstDirection(output, d);
                pass.output_gradient = ConstDirection(output_gradient, d);
                pass.gate_gradient = Direction(result.gates, d);
                if (result.fresh.defined()) pass.new_gradient = Direction(result.fresh, d);
                pass.previous = Direction(result.previous, d);
                best.backward(pass, part);
              });
  return result;
}

// The gradients of one direction's weights.
struct WeightGradients {
  Tensor weight_ih, weight_hh, bias_ih, bias_hh;
};

// Returns the gradients of all directions but those of weight_ih.
std::vector<WeightGradients> HiddenWeightGradients(const kernels::RecurrentKernels& best,
                                                   const SavedLayer& layer,
                                                   const TimeGradients& time) {
  std::vector<WeightGradients> result(layer.directions());
  std::vector<kernels::MatrixProduct> products;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const int64_t rows = layer.rows.NumRows(d);
    const Tensor gate = time.gates.select(1, d).narrow(0, 0, rows);
    const Tensor hidden = time.previous.select(1, d).narrow(0, 0, rows);
    const Tensor weight_hh = torch::empty_like(layer.weights[d].hh);
    result[d].weight_hh = weight_hh;
    result[d].bias_ih = gate.sum(0);
    result[d].bias_hh = result[d].bias_ih.clone();
    if (time.fresh.defined()) {
      // The new gate's sum of the hidden state has a gradient of its own; the others' are shared.
      const Tensor fresh = time.fresh.select(1, d).narrow(0, 0, rows);
      const int64_t hidden_size = layer.hidden_size();
      const int64_t shared = 2 * hidden_size;
      products.push_back(
          Product(gate.narrow(1, 0, shared).t(), hidden, weight_hh.narrow(0, 0, shared)));
      products.push_back(Product(fresh.t(), hidden, weight_hh.narrow(0, shared, hidden_size)));
      result[d].bias_hh.narrow(0, shared, hidden_size).copy_(fresh.sum(0));
    } else {
      products.push_back(Product(gate.t(), hidden, weight_hh));
    }
  }
  Multiply(best, products);
  return result;
}

// Sets the gradients of weight_ih. gate_gradient: [R, D, G * H], summed over the rows of an input.
void InputWeightGradients(const kernels::RecurrentKernels& best, const SavedLayer& layer,
                          const Tensor& gate_gradient, std::vector<WeightGradients>& result) {
  std::vector<kernels::MatrixProduct> products;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const int64_t inputs = NumInputs(layer, d);
    result[d].weight_ih = torch::empty_like(layer.weights[d].ih);
    products.push_back(Product(gate_gradient.select(1, d).narrow(0, 0, inputs).t(),
                               layer.input.narrow(0, 0, inputs), result[d].weight_ih));
  }
  Multiply(best, products);
}

// Returns the gradient of the inputs [U, I], from the same gate_gradient.
Tensor InputGradient(const kernels::RecurrentKernels& best, const SavedLayer& layer,
                     const Tensor& gate_gradient) {
  Tensor result = torch::empty_like(layer.input);
  // Only the forward direction may leave some inputs out: it comes second.
  for (int64_t d = layer.directions(); d-- > 0;) {
    const int64_t inputs = NumInputs(layer, d);
    Multiply(best, {Product(gate_gradient.select(1, d).narrow(0, 0, inputs), layer.weights[d].ih,
                            result.narrow(0, 0, inputs),
                            /*accumulate=*/d + 1 < layer.directions())});
    if (layer.directions() == 1) result.narrow(0, inputs, result.size(0) - inputs).zero_();
  }
  return result;
}

struct LayerFunction : torch::autograd::Function<LayerFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& inputs, at::TensorList given,
                        const LayerRows& rows, kernels::RecurrentCell cell, bool keep) {
    const kernels::RecurrentKernels& best = kernels::BestRecurrentKernels(cell);
    variable_list weights;
    for (const Tensor& weight : given) weights.push_back(weight.contiguous());
    SavedLayer layer;
    layer.input = inputs.contiguous();
    layer.rows = rows;
    for (size_t k = 0; k < weights.size(); k += kLayerWeights) {
      layer.weights.push_back({weights[k], weights[k + 1]});
    }
    const int64_t num_rows = rows.row_at.defined()     ? rows.row_at.size(0)
                             : rows.input_of.defined() ? rows.input_of.size(0)
                                                       : inputs.size(0);
    const int64_t directions = layer.directions();
    const int64_t hidden_size = layer.hidden_size();
    const auto options = inputs.options().requires_grad(false);
    layer.gates = torch::empty({num_rows, directions, weights[0].size(0)}, options);
    if (keep) layer.kept = torch::empty({num_rows, directions, hidden_size}, options);
    layer.output = torch::empty({num_rows, directions * hidden_size}, options);
    CountLayer(layer, /*passes=*/1);
    InputProducts(best, layer);
    ForwardThroughTime(best, weights, layer);
    if (keep) {
      context->save_for_backward(layer.Pack());
      context->saved_data["cell"] = static_cast<int64_t>(cell);
    }
    return layer.output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "the gradient of a recurrent encoder cannot be differentiated again "
                "(create_graph); use float64, which LibTorch's own implementation handles");
    const auto cell = static_cast<kernels::RecurrentCell>(context->saved_data["cell"].toInt());
    const kernels::RecurrentKernels& best = kernels::BestRecurrentKernels(cell);
    const SavedLayer layer = SavedLayer::Unpack(context->get_saved_variables());
    CountLayer(layer, /*passes=*/2);
    TimeGradients time =
        BackwardThroughTime(cell, layer, gradients[0].contiguous().view(layer.kept.sizes()));
    std::vector<WeightGradients> of_weights = HiddenWeightGradients(best, layer, time);
    // A step needs the most memory here: what is not needed any more goes first.
    time.fresh.reset();
    time.previous.reset();
    // Every row has been used by itself, so that those that read one input can be added up.
    if (layer.rows.input_of.defined()) {
      for (int64_t d = 0; d < layer.directions(); ++d) {
        AddToInputs(layer.rows.input_of, layer.input.size(0), layer.rows.NumRows(d),
                    time.gates.select(1, d));
      }
    }
    InputWeightGradients(best, layer, time.gates, of_weights);
    variable_list result;
    result.push_back(context->needs_input_grad(0) ? InputGradient(best, layer, time.gates)
                                                  : Tensor());
    for (const WeightGradients& of_direction : of_weights) {
      result.insert(result.end(), {of_direction.weight_ih, of_direction.weight_hh,
                                   of_direction.bias_ih, of_direction.bias_hh});
    }
    result.resize(result.size() + 3);  // rows, cell, keep
    return result;
  }
};

}  // namespace

std::vector<kernels::ConversationRows> LayerRows::Conversations(int64_t directions) const {
  const int64_t* row_of = row_at.defined() ? row_at.data_ptr<int64_t>() : nullptr;
  std::vector<kernels::ConversationRows> result;
  for (int64_t d = 0; d < directions; ++d) {
    const Tensor& conversations = d == 0 ? forward : backward;
    const int64_t count = conversations.size(1);
    const int64_t* data = conversations.data_ptr<int64_t>();
    result.push_back({data, data + count, count, row_of});
  }
  return result;
}

int64_t LayerRows::NumRows(int64_t direction) const {
  return (direction == 0 ? forward : backward)[1].sum().item<int64_t>();
}

Tensor RunRecurrentLayer(kernels::RecurrentCell cell, const Tensor& inputs, at::TensorList weights,
                         const LayerRows& rows, bool keep) {
  return LayerFunction::apply(inputs, weights, rows, cell, keep);
}

}  // namespace cmerc
