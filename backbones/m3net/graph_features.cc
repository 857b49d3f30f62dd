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

// How many tensors of a kind there are.
struct GraphSizes {
  int64_t num_modalities;    // M
  int64_t num_biases;        // layers of the hypergraph
  int64_t num_gate_tensors;  // two for each high-frequency layer

  void Save(AutogradContext& context) const {
    context.saved_data["num_modalities"] = num_modalities;
    context.saved_data["num_biases"] = num_biases;
    context.saved_data["num_gate_tensors"] = num_gate_tensors;
  }
  static GraphSizes Load(AutogradContext& context) {
    return {context.saved_data["num_modalities"].toInt(), context.saved_data["num_biases"].toInt(),
            context.saved_data["num_gate_tensors"].toInt()};
  }
};

// The tensors of a call by name, and as the one list that autograd wants them in: the arguments,
// their gradients, and what the backward pass needs, which is the arguments and what was kept.
struct SavedGraph {
  std::vector<Tensor> nodes;  // M x [N, H]
  HypergraphNorms norms;
  std::vector<Tensor> biases;  // [H] each
  std::vector<Tensor> gates;   // weight [1, 2 H] and bias [1] of each layer
  HighFrequencyGraph graph;
  Tensor lengths;  // [B] int64

  // What the forward pass kept; all undefined in arguments and gradients.
  Tensor hypergraph_kept;
  HighFrequencyLayers::Kept high_frequency_kept;
  Tensor features;  // [N, M * 2 * H]

  variable_list Pack() const {
    variable_list list = nodes;
    list.insert(list.end(), {norms.modality, norms.utterance, norms.node});
    list.insert(list.end(), biases.begin(), biases.end());
    list.insert(list.end(), gates.begin(), gates.end());
    list.insert(list.end(), {graph.within, graph.between, graph.context, graph.scale, lengths});
    if (features.defined()) {
      list.insert(list.end(), {hypergraph_kept, high_frequency_kept.nodes,
                               high_frequency_kept.arguments, features});
    }
    return list;
  }

  static SavedGraph Unpack(at::TensorList list, const GraphSizes& sizes) {
    const auto* next = list.begin();
    const auto take = [&](int64_t count) {
      next += count;
      return std::vector<Tensor>(next - count, next);
    };
    SavedGraph graph;
    graph.nodes = take(sizes.num_modalities);
    graph.norms = {next[0], next[1], next[2]};
    next += 3;
    graph.biases = take(sizes.num_biases);
    graph.gates = take(sizes.num_gate_tensors);
    graph.graph = {next[0], next[1], next[2], next[3]};
    next += 4;
    graph.lengths = *next++;
    if (next != list.end()) {
      graph.hypergraph_kept = *next++;
      graph.high_frequency_kept = {next[0], next[1]};
      graph.features = next[2];
    }
    return graph;
  }

  GraphSizes sizes() const {
    return {static_cast<int64_t>(nodes.size()), static_cast<int64_t>(biases.size()),
            static_cast<int64_t>(gates.size())};
  }
  int64_t num_modalities() const { return static_cast<int64_t>(nodes.size()); }
  int64_t width() const { return nodes[0].size(1); }  // H

  ConversationBlocks Blocks() const {
    return ConversationBlocks(lengths.data_ptr<int64_t>(), lengths.size(0));
  }
  HypergraphLayers Hypergraph() const { return {norms, biases, num_modalities(), width()}; }
  HighFrequencyLayers HighFrequency() const { return {graph, gates, num_modalities(), width()}; }
};

kernels::GraphRows<const float> RowsOf(const std::vector<Tensor>& nodes) {
  kernels::GraphRows<const float> rows{{}, nodes[0].size(1)};
  for (const Tensor& of_modality : nodes) rows.first.push_back(of_modality.data_ptr<float>());
  return rows;
}

kernels::GraphRows<float> WritableRowsOf(const std::vector<Tensor>& nodes) {
  kernels::GraphRows<float> rows{{}, nodes[0].size(1)};
  for (const Tensor& of_modality : nodes) rows.first.push_back(of_modality.data_ptr<float>());
  return rows;
}

// Each modality has the columns of both graphs in features [N, M * 2 * H], one after the other.
constexpr int64_t kHypergraph = 0;
constexpr int64_t kHighFrequency = 1;

// The columns of a graph, as memory.
kernels::GraphRows<float> Columns(const Tensor& features, int64_t num_modalities, int64_t graph) {
  const int64_t width = features.size(1) / (2 * num_modalities);
  kernels::GraphRows<float> rows{{}, features.size(1)};
  for (int64_t k = 0; k < num_modalities; ++k) {
    rows.first.push_back(features.data_ptr<float>() + (2 * k + graph) * width);
  }
  return rows;
}

// The columns of a graph for modality k, [N, H], as a tensor.
Tensor ColumnsOf(const Tensor& features, int64_t k, int64_t width, int64_t graph) {
  return features.narrow(1, (2 * k + graph) * width, width);
}

// Without layers, the nodes as they are.
void CopyNodes(const SavedGraph& graph, const Tensor& features, int64_t columns) {
  for (int64_t k = 0; k < graph.num_modalities(); ++k) {
    ColumnsOf(features, k, graph.width(), columns).copy_(graph.nodes[k]);
  }
}

// Writes the hypergraph's columns of features; returns what the backward pass needs, if it is to
// be kept.
Tensor HypergraphForward(const SavedGraph& graph, bool keep, const Tensor& features) {
  const ProfileScope scope("hypergraph");
  if (graph.biases.empty()) {
    CopyNodes(graph, features, kHypergraph);
    return Tensor();
  }
  const HypergraphLayers layers = graph.Hypergraph();
  const ConversationBlocks blocks = graph.Blocks();
  const Tensor kept = keep ? layers.MakeKept(blocks) : Tensor();
  layers.Forward(blocks, RowsOf(graph.nodes), keep ? &kept : nullptr,
                 Columns(features, graph.num_modalities(), kHypergraph));
  return kept;
}

// Writes the high-frequency graph's columns of features.
HighFrequencyLayers::Kept HighFrequencyForward(const SavedGraph& graph, bool keep,
                                               const Tensor& features) {
  const ProfileScope scope("high frequency");
  if (graph.gates.empty()) {
    CopyNodes(graph, features, kHighFrequency);
    return {};
  }
  const HighFrequencyLayers layers = graph.HighFrequency();
  const ConversationBlocks blocks = graph.Blocks();
  const HighFrequencyLayers::Kept kept =
      keep ? layers.MakeKept(blocks) : HighFrequencyLayers::Kept();
  layers.Forward(blocks, RowsOf(graph.nodes), keep ? &kept : nullptr,
                 Columns(features, graph.num_modalities(), kHighFrequency));
  return kept;
}

// Writes d.nodes, which are allocated, and sets d.gates.
void HighFrequencyBackward(const SavedGraph& graph, const Tensor& d_features, SavedGraph& d) {
  if (graph.gates.empty()) {
    for (int64_t k = 0; k < graph.num_modalities(); ++k) {
      d.nodes[k].copy_(ColumnsOf(d_features, k, graph.width(), kHighFrequency));
    }
    return;
  }
  const ProfileScope scope("high frequency backward");
  const int64_t width = graph.width();
  const Tensor d_layers = graph.HighFrequency().Backward(
      graph.Blocks(), RowsOf(graph.nodes), graph.high_frequency_kept,
      Columns(d_features, graph.num_modalities(), kHighFrequency), WritableRowsOf(d.nodes));
  for (const Tensor& d_layer : d_layers.unbind(0)) {
    d.gates.push_back(d_layer.narrow(0, 0, 2 * width).unsqueeze(0));
    d.gates.push_back(d_layer.narrow(0, 2 * width, 1));
  }
}

// Adds to d.nodes; sets d.norms and d.biases.
void HypergraphBackward(const SavedGraph& graph, const Tensor& d_features, SavedGraph& d) {
  const int64_t num_modalities = graph.num_modalities();
  if (graph.biases.empty()) {
    for (int64_t k = 0; k < num_modalities; ++k) {
      d.nodes[k].add_(ColumnsOf(d_features, k, graph.width(), kHypergraph));
    }
    return;
  }
  const ProfileScope scope("hypergraph backward");
  const HypergraphLayers::Gradients d_layers = graph.Hypergraph().Backward(
      graph.Blocks(), RowsOf(graph.nodes), graph.hypergraph_kept,
      Columns(graph.features, num_modalities, kHypergraph),
      Columns(d_features, num_modalities, kHypergraph), WritableRowsOf(d.nodes));
  d.norms = d_layers.norms;
  d.biases = d_layers.biases.unbind(0);
}

struct GraphFunction : torch::autograd::Function<GraphFunction> {
  // arguments: SavedGraph::Pack(). `keep`: there will be a backward pass.
  static Tensor forward(AutogradContext* context, at::TensorList arguments, int64_t num_modalities,
                        int64_t num_biases, int64_t num_gate_tensors, bool keep) {
    const GraphSizes sizes{num_modalities, num_biases, num_gate_tensors};
    SavedGraph graph = SavedGraph::Unpack(arguments, sizes);
    Tensor features = torch::empty({graph.nodes[0].size(0), num_modalities * 2 * graph.width()},
                                   graph.nodes[0].options().requires_grad(false));
    graph.hypergraph_kept = HypergraphForward(graph, keep, features);
    graph.high_frequency_kept = HighFrequencyForward(graph, keep, features);
    if (keep) {
      graph.features = features;
      context->save_for_backward(graph.Pack());
      sizes.Save(*context);
    }
    return features;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "the gradient of M3Net's graphs cannot be differentiated again (create_graph)");
    const SavedGraph graph =
        SavedGraph::Unpack(context->get_saved_variables(), GraphSizes::Load(*context));
    const Tensor d_features = gradients[0].contiguous();
    SavedGraph d;
    for (const Tensor& nodes : graph.nodes) d.nodes.push_back(torch::empty_like(nodes));
    HighFrequencyBackward(graph, d_features, d);
    HypergraphBackward(graph, d_features, d);
    variable_list result = d.Pack();
    result.resize(result.size() + 4);  // the other arguments of forward()
    return result;
  }
};

}  // namespace

Tensor GraphFeatures(const std::vector<Tensor>& nodes, const HypergraphNorms& norms,
                     const HighFrequencyGraph& graph, const GraphLayers& layers,
                     const Packing& packing) {
  const WithoutAutocast float32;
  if (!nodes[0].is_cpu()) return DeviceGraphFeatures(nodes, norms, graph, layers, packing);
  // Autograd wants every argument to be defined; what no layer reads need not be.
  const auto prepare = [](const Tensor& tensor) {
    return tensor.defined() ? tensor.contiguous() : torch::empty({0});
  };
  SavedGraph call;
  for (const Tensor& of_modality : nodes) call.nodes.push_back(prepare(Float32(of_modality)));
  call.norms = {prepare(norms.modality), prepare(norms.utterance), prepare(norms.node)};
  for (const Tensor& bias : layers.hypergraph_biases) call.biases.push_back(prepare(bias));
  for (size_t l = 0; l < layers.gate_weights.size(); ++l) {
    call.gates.push_back(prepare(layers.gate_weights[l]));
    call.gates.push_back(prepare(layers.gate_biases[l]));
  }
  call.graph = {prepare(graph.within), prepare(graph.between),
                graph.context.defined() ? graph.context : torch::empty({0}), prepare(graph.scale)};
  call.lengths = prepare(packing.lengths());
  const variable_list arguments = call.Pack();
  const bool keep = torch::GradMode::is_enabled() &&
                    std::any_of(arguments.begin(), arguments.end(),
                                [](const Tensor& tensor) { return tensor.requires_grad(); });
  const GraphSizes sizes = call.sizes();
  return GraphFunction::apply(at::TensorList(arguments), sizes.num_modalities, sizes.num_biases,
                              sizes.num_gate_tensors, keep);
}

}  // namespace cmerc
