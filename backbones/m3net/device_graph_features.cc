#include "backbones/m3net/device_graph_features.h"

#include <torch/csrc/autograd/custom_function.h>

#include "backbones/layers/float32.h"
#include "core/to_device.h"
#include "kernels/gated_aggregation.h"
#include "kernels/hypergraph_mean.h"
#include "kernels/run_kernel.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The tables of kernels/sequences.h, where the nodes are.
struct Tables {
  Tensor first_row;   // [B + 1] int64
  Tensor first_pair;  // [B + 1] int64
  int64_t longest;

  Tables(const Tensor& lengths, const torch::Device& device)
      : first_row(ToDevice(Starts(lengths), device)),
        first_pair(ToDevice(Starts(lengths * lengths), device)),
        longest(lengths.max().item<int64_t>()) {}
  Tables(const Tensor& first_row, const Tensor& first_pair, int64_t longest)
      : first_row(first_row), first_pair(first_pair), longest(longest) {}

  kernels::Sequences At(int64_t num_rows) const {
    return {first_row.size(0) - 1, num_rows, longest, first_row.data_ptr<int64_t>()};
  }

 private:
  static Tensor Starts(const Tensor& sizes) {
    return torch::cat({torch::zeros({1}, sizes.options()), sizes.cumsum(0)});
  }
};

// Dense [M, N, H].
kernels::ModalityRows<const float> RowsOf(const Tensor& nodes) {
  return {nodes.data_ptr<float>(), nodes.stride(0), nodes.stride(1)};
}
kernels::ModalityRows<float> WritableRowsOf(const Tensor& nodes) {
  return {nodes.data_ptr<float>(), nodes.stride(0), nodes.stride(1)};
}

// What GatedAggregationFunction reads; contiguous.
struct AggregationInput {
  Tensor nodes;    // [M, N, H]
  Tensor receive;  // [M, N]
  Tensor send;     // [M, N]
  Tensor edges;    // [sum n^2] bool
  Tensor scale;    // [N]
};

// -> [M, N, H]: kernels/gated_aggregation.h.
struct GatedAggregationFunction : torch::autograd::Function<GatedAggregationFunction> {
  static kernels::GatedAggregation Arguments(const AggregationInput& input, const Tables& tables) {
    const Tensor& nodes = input.nodes;
    kernels::GatedAggregation arguments{};
    arguments.sequences = tables.At(nodes.size(1));
    arguments.num_modalities = nodes.size(0);
    arguments.width = nodes.size(2);
    arguments.first_pair = tables.first_pair.data_ptr<int64_t>();
    arguments.context = reinterpret_cast<const uint8_t*>(input.edges.data_ptr<bool>());
    arguments.scale = input.scale.data_ptr<float>();
    arguments.receive = input.receive.data_ptr<float>();
    arguments.send = input.send.data_ptr<float>();
    arguments.x = RowsOf(nodes);
    return arguments;
  }

  static Tensor forward(AutogradContext* context, const Tensor& nodes, const Tensor& receive,
                        const Tensor& send, const Tensor& edges, const Tensor& scale,
                        const Tensor& first_row, const Tensor& first_pair, int64_t longest) {
    const Tables tables(first_row, first_pair, longest);
    kernels::GatedAggregation arguments = Arguments({nodes, receive, send, edges, scale}, tables);
    Tensor result = torch::zeros_like(nodes);
    arguments.result = WritableRowsOf(result);
    kernels::RunKernel(nodes, kernels::RunGatedAggregation, kernels::LaunchGatedAggregation,
                       arguments);
    context->save_for_backward({nodes, receive, send, edges, scale, first_row, first_pair});
    context->saved_data["longest"] = longest;
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const AggregationInput input{saved[0], saved[1], saved[2], saved[3], saved[4]};
    const Tensor& nodes = input.nodes;
    const Tables tables(saved[5], saved[6], context->saved_data["longest"].toInt());
    kernels::GatedAggregation arguments = Arguments(input, tables);
    const Tensor d_result = gradients[0].contiguous();
    const Tensor d_nodes = torch::empty_like(nodes);
    const Tensor d_receive = torch::empty_like(input.receive);
    const Tensor d_send = torch::empty_like(input.send);
    const Tensor workspace = torch::empty(
        {nodes.is_cuda() ? kernels::GatedAggregationWorkspace(arguments.sequences, nodes.size(0))
                         : 0},
        nodes.options());
    arguments.d_result = RowsOf(d_result);
    arguments.d_x = WritableRowsOf(d_nodes);
    arguments.d_receive = d_receive.data_ptr<float>();
    arguments.d_send = d_send.data_ptr<float>();
    arguments.workspace = workspace.data_ptr<float>();
    kernels::RunKernel(nodes, kernels::RunGatedAggregationBackward,
                       kernels::LaunchGatedAggregationBackward, arguments);
    return {d_nodes, d_receive, d_send, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// What HypergraphMeanFunction reads, or the gradients of it; contiguous.
struct MeanInput {
  Tensor nodes;      // [M, N, H]
  Tensor modality;   // [M, B], of HypergraphNorms
  Tensor utterance;  // [N]
  Tensor node;       // [M, N]
  Tensor bias;       // [H]
};

// -> [M, N, H]: kernels/hypergraph_mean.h.
struct HypergraphMeanFunction : torch::autograd::Function<HypergraphMeanFunction> {
  static kernels::HypergraphMean Arguments(const MeanInput& input, const Tables& tables) {
    const Tensor& nodes = input.nodes;
    kernels::HypergraphMean arguments{};
    arguments.sequences = tables.At(nodes.size(1));
    arguments.num_modalities = nodes.size(0);
    arguments.width = nodes.size(2);
    arguments.modality = input.modality.data_ptr<float>();
    arguments.utterance = input.utterance.data_ptr<float>();
    arguments.node = input.node.data_ptr<float>();
    arguments.bias = input.bias.data_ptr<float>();
    arguments.nodes = RowsOf(nodes);
    return arguments;
  }

  static Tensor forward(AutogradContext* context, const Tensor& nodes, const Tensor& modality,
                        const Tensor& utterance, const Tensor& node, const Tensor& bias,
                        const Tensor& first_row, int64_t longest) {
    const Tables tables(first_row, Tensor(), longest);
    kernels::HypergraphMean arguments = Arguments({nodes, modality, utterance, node, bias}, tables);
    Tensor result = torch::empty_like(nodes);
    arguments.result = WritableRowsOf(result);
    kernels::RunKernel(nodes, kernels::RunHypergraphMean, kernels::LaunchHypergraphMean, arguments);
    context->save_for_backward({nodes, modality, utterance, node, bias, first_row, result});
    context->saved_data["longest"] = longest;
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const MeanInput input{saved[0], saved[1], saved[2], saved[3], saved[4]};
    const Tensor &nodes = input.nodes, &activated = saved[6];
    const Tables tables(saved[5], Tensor(), context->saved_data["longest"].toInt());
    kernels::HypergraphMean arguments = Arguments(input, tables);
    const Tensor d_result = gradients[0].contiguous();
    const MeanInput d{torch::empty_like(nodes), torch::empty_like(input.modality),
                      torch::empty_like(input.utterance), torch::empty_like(input.node),
                      torch::empty_like(input.bias)};
    const Tensor workspace = torch::empty(
        {nodes.is_cuda()
             ? kernels::HypergraphMeanWorkspace(arguments.sequences, nodes.size(0), nodes.size(2))
             : 0},
        nodes.options());
    arguments.activated = RowsOf(activated);
    arguments.d_result = RowsOf(d_result);
    arguments.d_nodes = WritableRowsOf(d.nodes);
    arguments.d_modality = d.modality.data_ptr<float>();
    arguments.d_utterance = d.utterance.data_ptr<float>();
    arguments.d_node = d.node.data_ptr<float>();
    arguments.d_bias = d.bias.data_ptr<float>();
    arguments.workspace = workspace.data_ptr<float>();
    kernels::RunKernel(nodes, kernels::RunHypergraphMeanBackward,
                       kernels::LaunchHypergraphMeanBackward, arguments);
    return {d.nodes, d.modality, d.utterance, d.node, d.bias, Tensor(), Tensor()};
  }
};

// What nodes [M, N, H] get from the other modalities of their utterance. receive, send [M, N];
// between [N].
Tensor FromOtherModalities(const Tensor& nodes, const Tensor& receive, const Tensor& send,
                           const Tensor& between) {
  const Tensor others =
      torch::eye(nodes.size(0), nodes.options().dtype(torch::kBool)).logical_not();
  const Tensor gates = torch::tanh(receive.unsqueeze(1) + send.unsqueeze(0)) * between *
                       others.unsqueeze(2);  // [M, M, N], to and from
  return gates.permute({2, 0, 1}).matmul(nodes.transpose(0, 1)).transpose(0, 1);
}

}  // namespace

Tensor DeviceGraphFeatures(const std::vector<Tensor>& nodes, const HypergraphNorms& norms,
                           const HighFrequencyGraph& graph, const GraphLayers& layers,
                           const Packing& packing) {
  const Tensor all_nodes = Float32(torch::stack(nodes));  // [M, N, H]
  const Tables tables(packing.lengths(), all_nodes.device());
  Tensor hypergraph = all_nodes;
  {
    const ProfileScope scope("hypergraph");
    for (const Tensor& bias : layers.hypergraph_biases) {
      hypergraph = HypergraphMeanFunction::apply(
          hypergraph, norms.modality.contiguous(), norms.utterance.contiguous(),
          norms.node.contiguous(), bias.contiguous(), tables.first_row, tables.longest);
    }
  }
  Tensor high_frequency = all_nodes;
  {
    const ProfileScope scope("high frequency");
    const int64_t width = all_nodes.size(2);
    for (size_t l = 0; l < layers.gate_weights.size(); ++l) {
      const Tensor weight = layers.gate_weights[l][0];
      const Tensor receive =
          high_frequency.matmul(weight.narrow(0, 0, width)) + layers.gate_biases[l];
      const Tensor send = high_frequency.matmul(weight.narrow(0, width, width));
      // Both factors of a norm are the root of 1 / deg, and it is above 0 exactly for neighbors.
      const Tensor within = GatedAggregationFunction::apply(
          high_frequency, receive, send, graph.within != 0, graph.between.sqrt(), tables.first_row,
          tables.first_pair, tables.longest);
      high_frequency = (high_frequency + within +
                        FromOtherModalities(high_frequency, receive, send, graph.between))
                           .contiguous();
    }
  }
  // [N, M, 2, H]
  return torch::stack({hypergraph, high_frequency}, 2).transpose(0, 1).flatten(1);
}

}  // namespace cmerc
