#include "backbones/m3net/graph_features.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "backbones/layers/float32.h"
#include "backbones/m3net/device_graph_features.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// All tensors of a call in one list, as autograd wants them.
struct Arguments {
  int64_t num_modalities = 0;    // M
  int64_t num_biases = 0;        // of the hypergraph
  int64_t num_gate_tensors = 0;  // two for each high-frequency layer

  // M x [N, H]
  at::TensorList nodes(at::TensorList all) const { return all.slice(0, num_modalities); }
  HypergraphNorms norms(at::TensorList all) const {
    const int64_t at = num_modalities;
    return {all[at], all[at + 1], all[at + 2]};
  }
  at::TensorList biases(at::TensorList all) const {
    return all.slice(num_modalities + 3, num_biases);
  }
  at::TensorList gates(at::TensorList all) const {
    return all.slice(num_modalities + 3 + num_biases, num_gate_tensors);
  }
  // within, between, lengths
  at::TensorList constants(at::TensorList all) const {
    return all.slice(num_modalities + 3 + num_biases + num_gate_tensors, 3);
  }

  int64_t size() const { return num_modalities + 6 + num_biases + num_gate_tensors; }
};

GraphRows<const float> RowsOf(at::TensorList nodes) {
  GraphRows<const float> rows{{}, nodes[0].size(1)};
  for (const Tensor& of_modality : nodes) rows.first.push_back(of_modality.data_ptr<float>());
  return rows;
}

// The columns of a graph, 0 the hypergraph, 1 the high-frequency one, in features [N, M * 2 * H].
GraphRows<float> Columns(const Tensor& features, int64_t num_modalities, int64_t graph) {
  const int64_t width = features.size(1) / (2 * num_modalities);
  GraphRows<float> rows{{}, features.size(1)};
  for (int64_t k = 0; k < num_modalities; ++k) {
    rows.first.push_back(features.data_ptr<float>() + (2 * k + graph) * width);
  }
  return rows;
}

// Without layers, the nodes as they are.
void CopyNodes(at::TensorList nodes, const Tensor& features, int64_t graph) {
  const int64_t width = nodes[0].size(1);
  for (size_t k = 0; k < nodes.size(); ++k) {
    features.narrow(1, (2 * static_cast<int64_t>(k) + graph) * width, width).copy_(nodes[k]);
  }
}

struct GraphFunction : torch::autograd::Function<GraphFunction> {
  static Tensor forward(AutogradContext* context, at::TensorList all, int64_t num_modalities,
                        int64_t num_biases, bool keep) {
    Arguments arguments{num_modalities, num_biases, 0};
    arguments.num_gate_tensors = static_cast<int64_t>(all.size()) - arguments.size();
    const at::TensorList nodes = arguments.nodes(all);
    const int64_t num_rows = nodes[0].size(0), width = nodes[0].size(1);
    const Tensor& lengths = arguments.constants(all)[2];
    const ConversationBlocks blocks(lengths.data_ptr<int64_t>(), lengths.size(0));
    Tensor features = torch::empty({num_rows, num_modalities * 2 * width},
                                   nodes[0].options().requires_grad(false));
    variable_list saved(all.begin(), all.end());
    {
      const ProfileScope scope("hypergraph");
      const HypergraphLayers layers(arguments.norms(all), arguments.biases(all), num_modalities,
                                    width);
      if (num_biases == 0) {
        CopyNodes(nodes, features, 0);
      } else {
        const Tensor kept = keep ? layers.MakeKept(blocks) : Tensor();
        layers.Forward(blocks, RowsOf(nodes), keep ? &kept : nullptr,
                       Columns(features, num_modalities, 0));
        saved.push_back(kept);
      }
    }
    {
      const ProfileScope scope("high frequency");
      const at::TensorList constants = arguments.constants(all);
      const HighFrequencyLayers layers(constants[0], constants[1], arguments.gates(all),
                                       num_modalities, width);
      if (arguments.num_gate_tensors == 0) {
        CopyNodes(nodes, features, 1);
      } else {
        const HighFrequencyLayers::Kept kept =
            keep ? layers.MakeKept(blocks) : HighFrequencyLayers::Kept();
        layers.Forward(blocks, RowsOf(nodes), keep ? &kept : nullptr,
                       Columns(features, num_modalities, 1));
        saved.insert(saved.end(), {kept.nodes, kept.arguments});
      }
    }
    if (keep) {
      saved.push_back(features);
      context->save_for_backward(saved);
      context->saved_data["num_modalities"] = num_modalities;
      context->saved_data["num_biases"] = num_biases;
      context->saved_data["num_gate_tensors"] = arguments.num_gate_tensors;
    }
    return features;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "the gradient of M3Net's graphs cannot be differentiated again (create_graph)");
    const Arguments arguments{context->saved_data["num_modalities"].toInt(),
                              context->saved_data["num_biases"].toInt(),
                              context->saved_data["num_gate_tensors"].toInt()};
    const variable_list saved = context->get_saved_variables();
    const at::TensorList all = at::TensorList(saved).slice(0, arguments.size());
    auto more = saved.begin() + arguments.size();  // what was kept
    const Tensor d_features = gradients[0].contiguous();
    const at::TensorList nodes = arguments.nodes(all);
    const int64_t num_modalities = arguments.num_modalities, width = nodes[0].size(1);
    const Tensor& lengths = arguments.constants(all)[2];
    const ConversationBlocks blocks(lengths.data_ptr<int64_t>(), lengths.size(0));
    const Tensor hypergraph_kept = arguments.num_biases > 0 ? *more++ : Tensor();
    variable_list result;
    GraphRows<float> d_nodes{{}, width};
    for (const Tensor& of_modality : nodes) {
      result.push_back(torch::empty_like(of_modality));
      d_nodes.first.push_back(result.back().data_ptr<float>());
    }
    variable_list d_gates;
    if (arguments.num_gate_tensors == 0) {
      for (int64_t k = 0; k < num_modalities; ++k) {
        result[k].copy_(d_features.narrow(1, (2 * k + 1) * width, width));
      }
    } else {
      const ProfileScope scope("high frequency backward");
      const at::TensorList constants = arguments.constants(all);
      const HighFrequencyLayers layers(constants[0], constants[1], arguments.gates(all),
                                       num_modalities, width);
      const HighFrequencyLayers::Kept kept{more[0], more[1]};
      more += 2;
      const Tensor d_layers = layers.Backward(blocks, RowsOf(nodes), kept,
                                              Columns(d_features, num_modalities, 1), d_nodes);
      for (const Tensor& of_layer : d_layers.unbind(0)) {
        d_gates.push_back(of_layer.narrow(0, 0, 2 * width).unsqueeze(0));
        d_gates.push_back(of_layer.narrow(0, 2 * width, 1));
      }
    }
    if (arguments.num_biases == 0) {
      for (int64_t k = 0; k < num_modalities; ++k) {
        result[k].add_(d_features.narrow(1, 2 * k * width, width));
      }
      result.resize(result.size() + 3);  // norms
    } else {
      const ProfileScope scope("hypergraph backward");
      const HypergraphLayers layers(arguments.norms(all), arguments.biases(all), num_modalities,
                                    width);
      const HypergraphLayers::Gradients of_layers =
          layers.Backward(blocks, RowsOf(nodes), hypergraph_kept, Columns(*more, num_modalities, 0),
                          Columns(d_features, num_modalities, 0), d_nodes);
      result.insert(result.end(),
                    {of_layers.norms.modality, of_layers.norms.utterance, of_layers.norms.node});
      for (const Tensor& of_layer : of_layers.biases.unbind(0)) result.push_back(of_layer);
    }
    result.insert(result.end(), d_gates.begin(), d_gates.end());
    result.resize(result.size() + 6);  // constants, sizes, keep
    return result;
  }
};

}  // namespace

Tensor GraphFeatures(const std::vector<Tensor>& nodes, const HypergraphNorms& norms,
                     const HighFrequencyGraph& graph, const GraphLayers& layers,
                     const Packing& packing) {
  const WithoutAutocast float32;
  if (!nodes[0].is_cpu()) return DeviceGraphFeatures(nodes, norms, graph, layers, packing);
  variable_list all;
  const auto add = [&](const Tensor& tensor) {
    all.push_back(tensor.defined() ? tensor.contiguous() : torch::empty({0}));
  };
  for (const Tensor& of_modality : nodes) add(Float32(of_modality));
  for (const Tensor& norm : {norms.modality, norms.utterance, norms.node}) add(norm);
  for (const Tensor& bias : layers.hypergraph_biases) add(bias);
  for (size_t l = 0; l < layers.gate_weights.size(); ++l) {
    add(layers.gate_weights[l]);
    add(layers.gate_biases[l]);
  }
  for (const Tensor& constant : {graph.within, graph.between, packing.lengths()}) add(constant);
  const bool keep = torch::GradMode::is_enabled() &&
                    std::any_of(all.begin(), all.end(),
                                [](const Tensor& tensor) { return tensor.requires_grad(); });
  return GraphFunction::apply(at::TensorList(all), static_cast<int64_t>(nodes.size()),
                              static_cast<int64_t>(layers.hypergraph_biases.size()), keep);
}

}  // namespace cmerc
