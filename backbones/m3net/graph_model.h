// Both graphs of M3Net and what their nodes get before: the official HyperGCN (model_hyper.py).
#ifndef CMERC_BACKBONES_M3NET_GRAPH_MODEL_H_
#define CMERC_BACKBONES_M3NET_GRAPH_MODEL_H_

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "backbones/layers/packing.h"
#include "backbones/m3net/high_frequency.h"
#include "backbones/m3net/hypergraph.h"
#include "backbones/m3net/m3net.pb.h"

namespace torch::nn {
class EmbeddingImpl;
class LinearImpl;
}  // namespace torch::nn

namespace cmerc {

// The nodes of a modality before both graphs.
struct ModalityNodes {
  torch::Tensor rows;       // [N, G], with their embeddings
  torch::Tensor projected;  // [N, H]
};

// What both graphs of a batch are made of.
struct GraphInput {
  std::vector<ModalityNodes> nodes;  // [M], the encoded modality first
  HypergraphNorms norms;
  HighFrequencyGraph graph;
};

class GraphModel : public torch::nn::Module {
 public:
  // `past`: an utterance draws on no later one, in the hypergraph (past_hypergraph.h) as elsewhere.
  GraphModel(const M3NetOptions& options, int64_t num_modalities, int64_t num_speakers, bool past);

  // The k-th modality, of which the first is the encoded one. rows [N, G]; speakers [N] int64.
  ModalityNodes MakeNodes(int64_t k, torch::Tensor rows, const torch::Tensor& speakers);

  // Undefined tensors where there is no hypergraph layer. Throws where a batch is too large for
  // semantics: OFFICIAL.
  HypergraphNorms MakeNorms(const Packing& packing) const;

  // Why MakeNorms() would throw for conversations of these lengths; "" where it would not.
  std::string WhyTooLarge(absl::Span<const int64_t> lengths) const;

  HighFrequencyGraph MakeGraph(const torch::Tensor& context, const Packing& packing) const;

  // Prediction.features: for each modality [rows on request | hypergraph | high frequency], side by
  // side, [N, M (2 H + G?)].
  torch::Tensor Features(const GraphInput& input, const Packing& packing) const;

 private:
  // Null unless used; an unused one of the official code is kept as a buffer.
  std::shared_ptr<torch::nn::EmbeddingImpl> AddEmbedding(const std::string& name, int64_t rows,
                                                         int64_t width, bool used);
  void AddHypergraph(int64_t num_layers, int64_t width);
  void AddHighFrequencyGraph(int64_t num_layers, int64_t width);

  const bool official_;
  const bool use_residue_;
  const bool past_;
  const int64_t num_modalities_;
  std::shared_ptr<torch::nn::EmbeddingImpl> modality_embeddings_;
  std::shared_ptr<torch::nn::EmbeddingImpl> speaker_embeddings_;
  std::shared_ptr<torch::nn::LinearImpl> fc1_;
  torch::Tensor hyperedge_weight_;
  torch::Tensor node_weight_;
  std::vector<torch::Tensor> biases_;                          // per layer of the hypergraph
  std::vector<std::shared_ptr<torch::nn::LinearImpl>> gates_;  // per high-frequency layer
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_GRAPH_MODEL_H_
