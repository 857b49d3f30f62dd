#include "backbones/m3net/graph_model.h"

#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <numeric>

#include "absl/strings/str_cat.h"
#include "backbones/m3net/graph_features.h"
#include "backbones/m3net/official_leftovers.h"
#include "backbones/m3net/past_hypergraph.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Sizes that the official code has as constants.
constexpr int64_t kOfficialHyperedges = 1000;
constexpr int64_t kOfficialNodes = 5200;

}  // namespace

GraphModel::GraphModel(const M3NetOptions& options, int64_t num_modalities, int64_t num_speakers,
                       bool past)
    : official_(options.semantics() == OFFICIAL),
      use_residue_(options.use_residue()),
      past_(past),
      num_modalities_(num_modalities) {
  const int64_t input_width = options.input_width();
  const int64_t width = options.graph_width();
  // In the official order, and drawing the official random numbers.
  modality_embeddings_ = AddEmbedding("modal_embeddings", num_modalities, input_width,
                                      options.use_modality_embedding());
  speaker_embeddings_ =
      AddEmbedding("speaker_embeddings", num_speakers, input_width, options.use_speaker());
  fc1_ = register_module("fc1", torch::nn::Linear(input_width, width));
  AddHypergraph(options.hypergraph_layers(), width);
  AddHighFrequencyGraph(options.high_frequency_layers(), width);
}

std::shared_ptr<torch::nn::EmbeddingImpl> GraphModel::AddEmbedding(const std::string& name,
                                                                   int64_t rows, int64_t width,
                                                                   bool used) {
  if (used) return register_module(name, torch::nn::Embedding(rows, width));
  if (official_) RegisterAsBuffers(name, *torch::nn::Embedding(rows, width), *this);
  return nullptr;
}

void GraphModel::AddHypergraph(int64_t num_layers, int64_t width) {
  for (int64_t layer = 1; layer <= num_layers; ++layer) {
    auto convolution = std::make_shared<torch::nn::Module>();
    if (official_) AddUntrainedWeights(width, *convolution);
    biases_.push_back(convolution->register_parameter("bias", torch::zeros({width})));
    register_module(absl::StrCat("hyperconv", layer), convolution);
  }
  if (official_ || num_layers > 0) {
    hyperedge_weight_ = register_parameter(
        "hyperedge_weight", torch::ones({official_ ? kOfficialHyperedges : num_modalities_ + 1}));
    node_weight_ = register_parameter("EW_weight",
                                      torch::ones({official_ ? kOfficialNodes : num_modalities_}));
  }
  if (official_) AddHyperedgeAttributes(width, *this);
}

void GraphModel::AddHighFrequencyGraph(int64_t num_layers, int64_t width) {
  for (int64_t layer = 1; layer <= num_layers; ++layer) {
    auto convolution = std::make_shared<torch::nn::Module>();
    gates_.push_back(convolution->register_module("gate", torch::nn::Linear(2 * width, 1)));
    register_module(absl::StrCat("conv", layer), convolution);
  }
}

ModalityNodes GraphModel::MakeNodes(int64_t k, Tensor rows, const Tensor& speakers) {
  if (k == 0 && speaker_embeddings_) rows = rows + speaker_embeddings_->forward(speakers);
  if (modality_embeddings_) {
    // The official code has the encoded modality last.
    rows = rows + modality_embeddings_->weight[k == 0 ? num_modalities_ - 1 : k - 1];
  }
  return {rows, fc1_->forward(rows)};
}

HypergraphNorms GraphModel::MakeNorms(const Packing& packing) const {
  if (biases_.empty()) return {};
  if (past_) return PastNorms(hyperedge_weight_, node_weight_, packing);
  return official_ ? NormsByPosition(hyperedge_weight_, node_weight_, num_modalities_, packing)
                   : NormsByModality(hyperedge_weight_, node_weight_, packing);
}

std::string GraphModel::WhyTooLarge(absl::Span<const int64_t> lengths) const {
  if (!official_ || biases_.empty()) return "";
  return WhyTooFewWeights(kOfficialHyperedges, kOfficialNodes, num_modalities_,
                          static_cast<int64_t>(lengths.size()),
                          std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
}

HighFrequencyGraph GraphModel::MakeGraph(const Tensor& context, const Packing& packing) const {
  return MakeHighFrequencyGraph(context, num_modalities_, packing);
}

Tensor GraphModel::Features(const GraphInput& input, const Packing& packing) const {
  const bool past_hypergraph = past_ && !biases_.empty();
  GraphLayers layers{past_hypergraph ? std::vector<Tensor>() : biases_, {}, {}};
  for (const auto& gate : gates_) {
    layers.gate_weights.push_back(gate->weight);
    layers.gate_biases.push_back(gate->bias);
  }
  std::vector<Tensor> projected;
  projected.reserve(input.nodes.size());
  for (const ModalityNodes& nodes : input.nodes) projected.push_back(nodes.projected);
  Tensor features = GraphFeatures(projected, input.norms, input.graph, layers, packing);
  if (past_hypergraph) {
    const Tensor hypergraph = PastHypergraph(projected, input.norms, biases_, packing);
    const Tensor both = features.view({features.size(0), num_modalities_, 2, -1});
    features = torch::stack({hypergraph, both.select(2, 1)}, 2).flatten(1);
  }
  if (!use_residue_) return features;
  const std::vector<Tensor> of_graphs = features.chunk(num_modalities_, /*dim=*/1);
  std::vector<Tensor> columns;
  for (size_t k = 0; k < input.nodes.size(); ++k) {
    columns.insert(columns.end(), {input.nodes[k].rows, of_graphs[k]});
  }
  return torch::cat(columns, 1);
}

}  // namespace cmerc
