#include "backbones/high_frequency.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows of H numbers that are worth a thread.
constexpr int64_t kRowsPerThread = 64;

// One layer, as plain memory. A row is a node: row k * N + i is utterance i in modality k.
class Layer {
 public:
  // nodes [M, N, H], within [sum n^2], between [N], weight [1, 2 H], lengths [B].
  Layer(const Tensor& nodes, const Tensor& within, const Tensor& between, const Tensor& weight,
        const Tensor& lengths)
      : num_modalities_(nodes.size(0)),
        num_rows_(nodes.size(1)),
        width_(nodes.size(2)),
        nodes_(nodes.flatten(0, 1)),
        x_(nodes.data_ptr<float>()),
        within_(within.data_ptr<float>()),
        between_(between.data_ptr<float>()),
        num_pairs_(within.size(0)),
        receive_weight_(weight.data_ptr<float>()),
        send_weight_(receive_weight_ + width_) {
    const int64_t* length = lengths.data_ptr<int64_t>();
    int64_t row = 0;
    int64_t pair = 0;
    for (int64_t b = 0; b < lengths.size(0); ++b) {
      conversations_.push_back({row, length[b], pair});
      row += length[b];
      pair += length[b] * length[b];
    }
  }

  // The arguments of every tanh: per modality and conversation [n, n], then [N, M, M] for
  // (utterance, to modality, from modality).
  Tensor GateArguments(float bias) const {
    std::vector<float> receive(num_nodes()), send(num_nodes());  // a and b
    at::parallel_for(0, num_nodes(), kRowsPerThread, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* x = x_ + row * width_;
        receive[row] = Dot(x, receive_weight_) + bias;
        send[row] = Dot(x, send_weight_);
      }
    });
    const Tensor result = torch::empty({num_gates()});
    auto* const gates = result.data_ptr<float>();
    ForEachConversation([&](const Conversation& c) {
      for (int64_t k = 0; k < num_modalities_; ++k) {
        float* gate = gates + k * num_pairs_ + c.first_pair;
        const float* a = receive.data() + k * num_rows_ + c.first_row;
        const float* b = send.data() + k * num_rows_ + c.first_row;
        for (int64_t i = 0; i < c.length; ++i) {
          for (int64_t j = 0; j < c.length; ++j) gate[i * c.length + j] = a[i] + b[j];
        }
      }
      for (int64_t i = c.first_row; i < c.first_row + c.length; ++i) {
        float* gate = gates + CrossGate(i);
        for (int64_t to = 0; to < num_modalities_; ++to) {
          for (int64_t from = 0; from < num_modalities_; ++from) {
            *gate++ = receive[to * num_rows_ + i] + send[from * num_rows_ + i];
          }
        }
      }
    });
    return result;
  }

  // gates: tanh of GateArguments. result [M, N, H].
  void Forward(const Tensor& gates, const Tensor& result) const {
    CountPasses(/*products=*/1, /*tensors=*/2);
    const Tensor rows = result.flatten(0, 1);
    const auto* const gate = gates.data_ptr<float>();
    auto* const out = result.data_ptr<float>();
    ForEachConversation([&](const Conversation& c) {
      const Tensor matrix = torch::empty({c.length, c.length});
      for (int64_t k = 0; k < num_modalities_; ++k) {
        Weigh(c, gate + k * num_pairs_ + c.first_pair, matrix.data_ptr<float>());
        const Tensor sources = Rows(nodes_, k, c);
        Tensor targets = Rows(rows, k, c);
        at::addmm_out(targets, sources, matrix, sources);
      }
      for (int64_t i = c.first_row; i < c.first_row + c.length; ++i) {
        const float* cross = gate + CrossGate(i);
        for (int64_t to = 0; to < num_modalities_; ++to) {
          for (int64_t from = 0; from < num_modalities_; ++from) {
            if (from == to) continue;
            Add(cross[to * num_modalities_ + from] * between_[i],
                x_ + (from * num_rows_ + i) * width_, out + (to * num_rows_ + i) * width_);
          }
        }
      }
    });
  }

  // Gradients: of the result [M, N, H]; to be written, of the nodes, of the weight per conversation
  // [B, 2 H] (zero before) and of the bias per conversation [B].
  void Backward(const Tensor& gates, const Tensor& d_result, const Tensor& d_nodes,
                const Tensor& d_weight, const Tensor& d_bias) const {
    CountPasses(/*products=*/2, /*tensors=*/3);
    const Tensor d_result_rows = d_result.flatten(0, 1);
    const Tensor d_nodes_rows = d_nodes.flatten(0, 1);
    const auto* const gate = gates.data_ptr<float>();
    const auto* const d_out = d_result.data_ptr<float>();
    auto* const d_x = d_nodes.data_ptr<float>();
    ForEachConversation([&](const Conversation& c) {
      std::vector<float> d_receive(num_modalities_ * c.length), d_send(num_modalities_ * c.length);
      const Tensor matrix = torch::empty({c.length, c.length});
      Tensor d_matrix = torch::empty_like(matrix);
      for (int64_t k = 0; k < num_modalities_; ++k) {
        const float* of_pairs = gate + k * num_pairs_ + c.first_pair;
        const Tensor d_targets = Rows(d_result_rows, k, c);
        Tensor d_sources = Rows(d_nodes_rows, k, c);
        Weigh(c, of_pairs, matrix.data_ptr<float>());
        at::addmm_out(d_sources, d_targets, matrix.t(), d_targets);
        at::mm_out(d_matrix, d_targets, Rows(nodes_, k, c).t());
        const float* d = d_matrix.data_ptr<float>();
        const float* norm = within_ + c.first_pair;
        float* d_b = d_send.data() + k * c.length;
        for (int64_t i = 0; i < c.length; ++i) {
          float sum = 0;
          for (int64_t j = 0; j < c.length; ++j, ++d, ++norm, ++of_pairs) {
            const float of_argument = *d * *norm * (1 - *of_pairs * *of_pairs);
            sum += of_argument;
            d_b[j] += of_argument;
          }
          d_receive[k * c.length + i] = sum;
        }
      }
      for (int64_t i = 0; i < c.length; ++i) {
        const int64_t utterance = c.first_row + i;
        const float* cross = gate + CrossGate(utterance);
        for (int64_t to = 0; to < num_modalities_; ++to) {
          for (int64_t from = 0; from < num_modalities_; ++from) {
            if (from == to) continue;
            const float value = cross[to * num_modalities_ + from];
            const float* d_target = d_out + (to * num_rows_ + utterance) * width_;
            const int64_t source = (from * num_rows_ + utterance) * width_;
            const float of_argument =
                Dot(d_target, x_ + source) * between_[utterance] * (1 - value * value);
            d_receive[to * c.length + i] += of_argument;
            d_send[from * c.length + i] += of_argument;
            Add(value * between_[utterance], d_target, d_x + source);
          }
        }
      }
      const int64_t b = &c - conversations_.data();
      float* d_receive_weight = d_weight.data_ptr<float>() + b * 2 * width_;
      float sum = 0;
      for (int64_t k = 0; k < num_modalities_; ++k) {
        for (int64_t i = 0; i < c.length; ++i) {
          const int64_t at = (k * num_rows_ + c.first_row + i) * width_;
          const float d_a = d_receive[k * c.length + i];
          const float d_b = d_send[k * c.length + i];
          sum += d_a;
          Add(d_a, receive_weight_, d_x + at);
          Add(d_b, send_weight_, d_x + at);
          Add(d_a, x_ + at, d_receive_weight);
          Add(d_b, x_ + at, d_receive_weight + width_);
        }
      }
      d_bias.data_ptr<float>()[b] = sum;
    });
  }

 private:
  struct Conversation {
    int64_t first_row;   // within a modality
    int64_t length;      // n
    int64_t first_pair;  // within within_
  };

  int64_t num_nodes() const { return num_modalities_ * num_rows_; }
  int64_t num_gates() const { return num_modalities_ * (num_pairs_ + num_nodes()); }
  // Where utterance i's [M, M] gates are.
  int64_t CrossGate(int64_t i) const {
    return num_modalities_ * (num_pairs_ + i * num_modalities_);
  }

  template <typename F>
  void ForEachConversation(F&& f) const {
    at::parallel_for(0, static_cast<int64_t>(conversations_.size()), /*grain_size=*/1,
                     [&](int64_t begin, int64_t end) {
                       const torch::NoGradGuard no_grad;  // this thread's
                       const at::DisableRecordFunctionGuard counted_as_a_whole;
                       for (int64_t b = begin; b < end; ++b) f(conversations_[b]);
                     });
  }

  // Per pair of nodes with an edge, and for the gates per node: products of `width_` numbers.
  // Tensors of the size of nodes_ that are read or written.
  void CountPasses(double products, double tensors) const {
    const auto pairs = static_cast<double>(num_modalities_ * num_pairs_ +
                                           (num_modalities_ - 1) * num_nodes() + 2 * num_nodes());
    CountWork(2 * products * pairs * static_cast<double>(width_),
              sizeof(float) * (tensors * static_cast<double>(nodes_.numel()) +
                               static_cast<double>(num_gates())));
  }

  // The rows of a conversation in modality k.
  Tensor Rows(const Tensor& all, int64_t k, const Conversation& c) const {
    return all.narrow(0, k * num_rows_ + c.first_row, c.length);
  }

  void Weigh(const Conversation& c, const float* gate, float* matrix) const {
    const float* norm = within_ + c.first_pair;
    for (int64_t p = 0; p < c.length * c.length; ++p) matrix[p] = gate[p] * norm[p];
  }

  float Dot(const float* a, const float* b) const {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t h = 0; h < width_; ++h) sum += a[h] * b[h];
    return sum;
  }

  // to += factor * from
  void Add(float factor, const float* from, float* to) const {
    for (int64_t h = 0; h < width_; ++h) to[h] += factor * from[h];
  }

  const int64_t num_modalities_, num_rows_, width_;  // M, N, H
  const Tensor nodes_;                               // [M * N, H]
  const float* const x_;                             // its numbers
  const float* const within_;
  const float* const between_;
  const int64_t num_pairs_;
  const float* const receive_weight_;
  const float* const send_weight_;
  std::vector<Conversation> conversations_;
};

struct HighFrequencyFunction : torch::autograd::Function<HighFrequencyFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& nodes, const Tensor& weight,
                        const Tensor& bias, const Tensor& within, const Tensor& between,
                        const Tensor& lengths) {
    const Layer layer(nodes, within, between, weight, lengths);
    const Tensor gates = layer.GateArguments(bias.item<float>()).tanh_();
    const Tensor result = torch::empty_like(nodes);
    layer.Forward(gates, result);
    context->save_for_backward({nodes, weight, within, between, lengths, gates});
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &nodes = saved[0], &weight = saved[1], &lengths = saved[4];
    const Tensor d_nodes = torch::empty_like(nodes);
    const Tensor d_weight = torch::zeros({lengths.size(0), weight.size(1)});
    const Tensor d_bias = torch::empty({lengths.size(0)});
    Layer(nodes, saved[2], saved[3], weight, lengths)
        .Backward(saved[5], gradients[0].contiguous(), d_nodes, d_weight, d_bias);
    return {d_nodes,
            d_weight.sum(0, /*keepdim=*/true),
            d_bias.sum(0, /*keepdim=*/true),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

HighFrequencyGraph MakeHighFrequencyGraph(const Tensor& context, int64_t num_modalities,
                                          const Packing& packing) {
  const Tensor others = torch::eye(context.size(1), context.options()).logical_not();  // [T, T]
  const Tensor& valid = packing.valid();
  const Tensor pairs = valid.unsqueeze(1).logical_and(valid.unsqueeze(2));
  const Tensor neighbours =
      context.logical_and(others).logical_and(pairs).to(torch::kFloat32);  // [B, T, T]
  // A node without neighbours sends nothing that its degree could scale, unless contexts are
  // one-sided; then it counts as having one.
  const Tensor degree = (neighbours.sum(2) + (num_modalities - 1)).clamp_min(1);  // [B, T]
  const Tensor scale = degree.rsqrt();
  return {(neighbours * scale.unsqueeze(2) * scale.unsqueeze(1)).masked_select(pairs),
          packing.Pack(degree.reciprocal())};
}

Tensor HighFrequencyLayer(const Tensor& nodes, const HighFrequencyGraph& graph,
                          const Tensor& gate_weight, const Tensor& gate_bias,
                          const Packing& packing) {
  TORCH_CHECK_VALUE(nodes.device().is_cpu(), "M3Net's graphs need nodes on the CPU, not on ",
                    nodes.device());
  return HighFrequencyFunction::apply(nodes.contiguous(), gate_weight.contiguous(), gate_bias,
                                      graph.within, graph.between.contiguous(),
                                      packing.lengths().contiguous());
}

}  // namespace cmerc
