// DialogueGCN (Ghosal et al., "DialogueGCN: A Graph Convolutional Neural Network for Emotion
// Recognition in Conversation", EMNLP 2019), as the official code has it: declare-lab/conv-emotion,
// DialogueGCN/model.py, class DialogueGCNModel, with torch_geometric 1.3.
//
//   U = the modalities side by side, each the mean of its streams           [B, T, sum of D_m]
//   G = two bidirectional recurrent layers over U                           [B, T, 2 hidden_width]
//   alpha = edge attention within the window, of relational_graph.h         [B, T, T]
//   X_i = sum_j alpha_ij G_j W_r(i,j) + G_i root + bias                     [B, T, graph_width]
//   Y_i = sum over edges (i, j) of X_j weight + lin(X_i)                    [B, T, graph_width]
//   P = [G | Y], then sum_j beta_ij P_j with beta of matching_attention.h
//   features = ReLU(linear(P))                                              [N, graph_width]
//   log_probs = log_softmax(smax_fc(Dropout(features)))                     [N, C]
//
// where r(i,j) says who speaks, who spoke and which of the two came first; every utterance has an
// edge to itself.
//
// Example:
//   backbone { [type.googleapis.com/cmerc.DialogueGcnOptions] { encoder: GRU window_future: 0 } }
//
// Batch.context removes edges and restricts the attention: j outside the context of i has no direct
// path to i. The recurrent layers see the whole conversation ("partial"); where utterances draw on
// the past alone (data.context: PAST) they run forwards only, 2 hidden_width wide.
//
// Where the official code is not the paper, semantics: OFFICIAL follows the code and CORRECTED the
// paper. In both, as in the code, no activation follows a graph convolution, and messages of a
// relation are not divided by their number. Parameters have the official names, except for
// att_model.transform, which is CORRECTED's; what never trains in the official code is left out.
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "backbones/dialogue_gcn/dialogue_gcn.pb.h"
#include "backbones/dialogue_gcn/relational_graph.h"
#include "backbones/layers/copies.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/matching_attention.h"
#include "backbones/layers/mean_of_streams.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/recurrent.h"
#include "backbones/layers/row_blocks.h"
#include "core/backbone.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kRecurrentLayers = 2;

// torch_geometric's initial weights: uniform in +-1 / sqrt(size).
Tensor Uniform(torch::IntArrayRef shape, int64_t size) {
  const double bound = 1 / std::sqrt(static_cast<double>(size));
  return torch::empty(shape).uniform_(-bound, bound);
}

class DialogueGcn final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const DialogueGcnOptions& options,
                                                          const DatasetInfo& info) {
    if (info.modalities.empty()) {
      return absl::InvalidArgumentError("cmerc.DialogueGcnOptions: the data has no modality");
    }
    RETURN_IF_ERROR(
        CheckOfficialContext("cmerc.DialogueGcnOptions", options.semantics() == OFFICIAL, info));
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new DialogueGcn(options, info)); });
  }

 private:
  DialogueGcn(const DialogueGcnOptions& options, const DatasetInfo& data)
      : Backbone(data),
        options_(options),
        official_(options.semantics() == OFFICIAL),
        past_(DrawsOnPastAlone(data)) {
    AddEncoder();
    auto attention = register_module("att_model", std::make_shared<torch::nn::Module>());
    edge_attention_ =
        official_ ? attention->register_module("scalar", LinearWithoutBias(options.max_length()))
                  : attention->register_module("transform", LinearWithoutBias(encoded_width()));
    auto network = register_module("graph_net", std::make_shared<torch::nn::Module>());
    AddConvolutions(*network);
    AddHead(*network);
  }

  // 2 hidden_width, of both directions, or of one that is as wide.
  int64_t encoded_width() const { return int64_t{2} * options_.hidden_width(); }

  void AddConvolutions(torch::nn::Module& network) {
    const int64_t encoded = encoded_width();
    const int64_t graph = options_.graph_width();
    auto conv1 = network.register_module("conv1", std::make_shared<torch::nn::Module>());
    const int64_t num_relations = 2 * info().num_speakers * info().num_speakers;
    const int64_t size = options_.num_bases() * encoded;
    basis_ =
        conv1->register_parameter("basis", Uniform({options_.num_bases(), encoded, graph}, size));
    coefficients_ =
        conv1->register_parameter("att", Uniform({num_relations, options_.num_bases()}, size));
    root_ = conv1->register_parameter("root", Uniform({encoded, graph}, size));
    bias_ = conv1->register_parameter("bias", Uniform({graph}, size));

    auto conv2 = network.register_module("conv2", std::make_shared<torch::nn::Module>());
    neighbor_weight_ = conv2->register_parameter("weight", Uniform({graph, graph}, graph));
    self_linear_ = conv2->register_module("lin", torch::nn::Linear(graph, graph));
  }

  void AddHead(torch::nn::Module& network) {
    const int64_t graph = options_.graph_width();
    const int64_t nodes = encoded_width() + graph;
    if (options_.nodal_attention()) {
      auto nodal = network.register_module("matchatt", std::make_shared<torch::nn::Module>());
      transform_ = nodal->register_module("transform", torch::nn::Linear(nodes, nodes));
    }
    linear_ = network.register_module("linear", torch::nn::Linear(nodes, graph));
    head_ = network.register_module("smax_fc", torch::nn::Linear(graph, info().num_classes()));
  }

  torch::nn::Linear LinearWithoutBias(int64_t rows) const {
    return torch::nn::Linear(torch::nn::LinearOptions(encoded_width(), rows).bias(false));
  }

  void AddEncoder() {
    const int64_t width = WidthSideBySide(info());
    const int64_t state = past_ ? encoded_width() : int64_t{options_.hidden_width()};
    switch (options_.encoder()) {
      case DialogueGcnOptions::LSTM:
        lstm_ = register_module("lstm", torch::nn::LSTM(torch::nn::LSTMOptions(width, state)
                                                            .num_layers(kRecurrentLayers)
                                                            .bidirectional(!past_)
                                                            .dropout(options_.dropout())));
        return;
      case DialogueGcnOptions::GRU:
        gru_ = register_module("gru", torch::nn::GRU(torch::nn::GRUOptions(width, state)
                                                         .num_layers(kRecurrentLayers)
                                                         .bidirectional(!past_)
                                                         .dropout(options_.dropout())));
        return;
      case DialogueGcnOptions::NO_ENCODER:
        base_linear_ =
            register_module("base_linear", torch::nn::Linear(width, 2 * options_.hidden_width()));
        return;
    }
  }

  Prediction ForwardImpl(const Batch& batch) override {
    return Predict(absl::MakeConstSpan(&batch, 1));
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    // On a GPU recurrent layers are LibTorch's, which draw masks of their own.
    if (official_ || !batches[0].speakers.is_cpu()) return std::nullopt;
    const CopiesInPass copies(batches.size());
    return Predict(batches);
  }

  // What the batches say, one after the other. Just one of them where semantics is OFFICIAL.
  Prediction Predict(absl::Span<const Batch> batches) {
    const Batch batch = JoinWithoutFeatures(batches);
    const Packing packing(batch);
    const Tensor encoded =
        official_ ? EncodePadded(batches[0])
                  : packing.Pad(EncodePacked(batches, PackingOfFirst(batches, packing)));
    // The official attention looks at whole columns.
    const RowBlocks blocks(batch.max_length(), batch.num_conversations() * batch.max_length(),
                           !official_);
    const LazyRows edges(blocks, [&](int64_t first, int64_t count) {
      return Edges(RowsOf(batch.context, 1, first, count), first);
    });
    const Tensor queries = official_ ? Tensor() : torch::linear(encoded, edge_attention_->weight);
    const LazyRows alpha(blocks, [&](int64_t first, int64_t count) {
      const Tensor of_rows = edges.Rows(first, count);
      return official_ ? OfficialEdgeAttention(encoded, edge_attention_->weight, of_rows)
                       : EdgeAttention(RowsOf(queries, 1, first, count), encoded, of_rows);
    });
    const Relations relations = MakeRelations(edges, batch.speakers, info().num_speakers, packing);
    const Tensor relational =
        (past_ && !torch::GradMode::is_enabled() && encoded.is_cpu()
             ? RelationalConvolutionByRows(encoded, alpha, relations, basis_, coefficients_)
             : RelationalConvolution(encoded, alpha, relations, basis_, coefficients_)) +
        encoded.matmul(root_) + bias_;
    const Tensor graph = GatherByEdges(relational.matmul(neighbor_weight_), edges) +
                         self_linear_->forward(relational);
    const Tensor nodes = torch::cat({encoded, graph}, 2);
    const Tensor rows = packing.Pack(
        transform_ ? GatherByMatching(nodes, transform_->weight, transform_->bias, batch.context)
                   : nodes);
    const Tensor features = torch::relu(linear_->forward(rows));
    const Tensor dropped = Dropout(features, options_.dropout(), is_training());
    return {torch::log_softmax(Float32(head_->forward(dropped)), 1), features};
  }

  // context [B, R, T] of the utterances from `first` on. The official edge list has the center of a
  // window first, and torch_geometric sends messages from first to second: an utterance gathers
  // from those in whose windows it lies.
  Tensor Edges(const Tensor& context, int64_t first) const {
    const int64_t past = options_.window_past(), future = options_.window_future();
    return official_ ? WindowEdges(context, future, past, first)
                     : WindowEdges(context, past, future, first);
  }

  // G [N, 2 hidden_width] of all batches, one after the other; no utterance sees another
  // conversation or padding. `packing` is that of one batch.
  Tensor EncodePacked(absl::Span<const Batch> batches, const Packing& packing) {
    return EncodeSideBySide(batches, packing, [this](const Tensor& rows, const Tensor& lengths) {
      return Encode(rows, lengths);
    });
  }

  // G [B, T, 2 hidden_width]; padding rows are part of every conversation, as in the official code.
  Tensor EncodePadded(const Batch& batch) {
    const Tensor inputs = MeansSideBySide(batch.modalities);
    return Encode(inputs.flatten(0, 1), torch::full_like(batch.lengths, batch.max_length()))
        .view({inputs.size(0), inputs.size(1), -1});
  }

  Tensor Encode(const Tensor& rows, const Tensor& lengths) {
    return lstm_  ? RunRecurrent(lstm_, rows, lengths)
           : gru_ ? RunRecurrent(gru_, rows, lengths)
                  : base_linear_->forward(rows);
  }

  const DialogueGcnOptions options_;
  const bool official_;
  const bool past_;  // utterances draw on no later one
  // The one that the option `encoder` says is set.
  torch::nn::LSTM lstm_ = nullptr;
  torch::nn::GRU gru_ = nullptr;
  torch::nn::Linear base_linear_ = nullptr;
  torch::nn::Linear edge_attention_ = nullptr;
  Tensor basis_;            // [num_bases, 2 hidden_width, graph_width]
  Tensor coefficients_;     // [2 S^2, num_bases]
  Tensor root_;             // [2 hidden_width, graph_width]
  Tensor bias_;             // [graph_width]
  Tensor neighbor_weight_;  // [graph_width, graph_width]
  torch::nn::Linear self_linear_ = nullptr;
  torch::nn::Linear transform_ = nullptr;  // null without nodal attention
  torch::nn::Linear linear_ = nullptr;
  torch::nn::Linear head_ = nullptr;
};

const Registered<DialogueGcnOptions> kRegistered(Backbones(), DialogueGcn::Create);

}  // namespace
}  // namespace cmerc
