// M3Net (Chen et al., "Multivariate, Multi-Frequency and Multimodal: Rethinking Graph Neural
// Networks for Emotion Recognition in Conversation", CVPR 2023), as the official CMERC code has it:
// model_cm.py, class Model, and model_hyper.py, class HyperGCN.
//
//   encoded modality: mean of its normalised streams, linear_l, encoder, + speaker     [N, G]
//   the others: mean of their streams, linear_<m>, encoder on request                  [N, G]
//   X = fc1(nodes)                                                                     [M x N, H]
//   then, both from X: hypergraph_layers of hypergraph.h, high_frequency_layers of high_frequency.h
//   features = per modality [nodes on request | hypergraph | high frequency]     [N, M (2 H + G?)]
//   log_probs = log_softmax(smax_fc(ReLU(Dropout(features))))                    [N, C]
//
// Example:
//   backbone { [type.googleapis.com/cmerc.M3NetOptions] { high_frequency_layers: 3 dropout: 0.4 } }
//
// Parameters have the official names. With semantics: OFFICIAL, what exists in the official state
// dict but never trains is there too, as buffers: optimisers do not see it, checkpoints hold it.
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backbones/layers/distinct_rows.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/memo.h"
#include "backbones/layers/modality_names.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/sequence_encoder.h"
#include "backbones/m3net/graph_features.h"
#include "backbones/m3net/high_frequency.h"
#include "backbones/m3net/hypergraph.h"
#include "backbones/m3net/m3net.pb.h"
#include "core/backbone.h"
#include "core/torch_status.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Sizes that the official code has as constants.
constexpr int64_t kOfficialHyperedges = 1000;
constexpr int64_t kOfficialNodes = 5200;
constexpr int64_t kOfficialStreams = 4;
constexpr int64_t kOfficialTextWidth = 1024;

// A module of the same tensors under the same names, all of them buffers.
std::shared_ptr<torch::nn::Module> AsBuffers(const torch::nn::Module& module) {
  auto copy = std::make_shared<torch::nn::Module>();
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) {
    copy->register_buffer(parameter.key(), parameter.value().detach());
  }
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
    copy->register_buffer(buffer.key(), buffer.value());
  }
  for (const auto& child : module.named_children()) {
    copy->register_module(child.key(), AsBuffers(*child.value()));
  }
  return copy;
}

// normBNa, normBNb, ...
std::string NormName(const std::string& kind, int64_t stream) {
  return absl::StrCat(
      "norm", kind,
      stream < 26 ? std::string(1, static_cast<char>('a' + stream)) : absl::StrCat(stream));
}

std::optional<SequenceEncoder::Kind> EncoderKind(const M3NetOptions& options) {
  switch (options.text_encoder()) {
    case M3NetOptions::GRU:
      return SequenceEncoder::Kind::kGru;
    case M3NetOptions::LSTM:
      return SequenceEncoder::Kind::kLstm;
    case M3NetOptions::TRANSFORMER:
      return SequenceEncoder::Kind::kTransformer;
    case M3NetOptions::NO_ENCODER:
      return std::nullopt;
  }
  return std::nullopt;
}

// Every reason why these options cannot be built for this data.
absl::Status Validate(const M3NetOptions& options, const DatasetInfo& info) {
  std::vector<std::string> errors;
  const auto field = [&](const std::string& name, const auto& value, const std::string& rule) {
    errors.push_back(absl::StrCat("cmerc.M3NetOptions: ", name, " = ", value, ", ", rule));
  };
  const auto at_least = [&](const std::string& name, int64_t value, int64_t least) {
    if (value < least) field(name, value, absl::StrCat("must be >= ", least));
  };
  at_least("input_width", options.input_width(), 2);
  at_least("graph_width", options.graph_width(), 1);
  at_least("hypergraph_layers", options.hypergraph_layers(), 0);
  at_least("high_frequency_layers", options.high_frequency_layers(), 0);
  if (!(options.dropout() >= 0 && options.dropout() < 1)) {
    field("dropout", options.dropout(), "must be >= 0 and < 1");
  }
  if (options.input_width() % 2 != 0) {
    field("input_width", options.input_width(),
          "must be even (half of it for each direction of the encoder)");
  } else if (options.text_encoder() == M3NetOptions::TRANSFORMER &&
             options.input_width() % 4 != 0) {
    field("input_width", options.input_width(),
          "must be a multiple of 4 with text_encoder: TRANSFORMER (it has 4 heads)");
  }
  for (const std::string& error : ModalityNameErrors(info)) {
    errors.push_back(absl::StrCat("cmerc.M3NetOptions: ", error));
  }
  const int64_t encoded = FindModality(info, options.encoded_modality());
  if (encoded < 0) {
    std::vector<std::string> names;
    for (const ModalityInfo& modality : info.modalities) names.push_back(modality.name);
    field("encoded_modality", absl::StrCat("\"", options.encoded_modality(), "\""),
          absl::StrCat("must be a modality of the data: ", absl::StrJoin(names, ", ")));
  } else if (!info.modalities.empty() && !options.text_linear() &&
             info.modalities[encoded].width != options.input_width()) {
    field("text_linear", "false",
          absl::StrCat("needs input_width = ", options.input_width(), " to be the width of ",
                       info.modalities[encoded].name, ", ", info.modalities[encoded].width,
                       "; set text_linear: true"));
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

// Both graphs: the official HyperGCN. Its first modality is the encoded one.
class GraphModel : public torch::nn::Module {
 public:
  GraphModel(const M3NetOptions& options, int64_t num_modalities, int64_t num_speakers)
      : official_(options.semantics() == OFFICIAL), use_residue_(options.use_residue()) {
    const int64_t input_width = options.input_width();
    const int64_t width = options.graph_width();
    // In the official order, and drawing the official random numbers.
    modality_embeddings_ = Embedding("modal_embeddings", num_modalities, input_width,
                                     options.use_modality_embedding());
    speaker_embeddings_ =
        Embedding("speaker_embeddings", num_speakers, input_width, options.use_speaker());
    fc1_ = register_module("fc1", torch::nn::Linear(input_width, width));
    for (int64_t layer = 1; layer <= options.hypergraph_layers(); ++layer) {
      auto convolution = std::make_shared<torch::nn::Module>();
      if (official_) AddUntrainedWeights(width, *convolution);
      biases_.push_back(convolution->register_parameter("bias", torch::zeros({width})));
      register_module(absl::StrCat("hyperconv", layer), convolution);
    }
    if (official_ || options.hypergraph_layers() > 0) {
      hyperedge_weight_ = register_parameter(
          "hyperedge_weight", torch::ones({official_ ? kOfficialHyperedges : num_modalities + 1}));
      node_weight_ = register_parameter("EW_weight",
                                        torch::ones({official_ ? kOfficialNodes : num_modalities}));
    }
    if (official_) {
      register_buffer("hyperedge_attr1", torch::rand({width}));
      register_buffer("hyperedge_attr2", torch::rand({width}));
    }
    for (int64_t layer = 1; layer <= options.high_frequency_layers(); ++layer) {
      auto convolution = std::make_shared<torch::nn::Module>();
      gates_.push_back(convolution->register_module("gate", torch::nn::Linear(2 * width, 1)));
      register_module(absl::StrCat("conv", layer), convolution);
    }
  }

  // A modality's nodes before both graphs.
  struct Nodes {
    Tensor rows;       // [N, G], with their embeddings
    Tensor projected;  // [N, H]
  };

  // rows [N, G] of node type k; speakers [N] int64.
  Nodes MakeNodes(int64_t k, Tensor rows, const Tensor& speakers) {
    if (k == 0 && speaker_embeddings_) rows = rows + speaker_embeddings_->forward(speakers);
    if (modality_embeddings_) {
      // The official order of rows: a, v, l.
      const int64_t last = modality_embeddings_->weight.size(0) - 1;
      rows = rows + modality_embeddings_->weight[k == 0 ? last : k - 1];
    }
    return {rows, fc1_->forward(rows)};
  }

  HypergraphNorms MakeNorms(int64_t num_modalities, const Packing& packing) {
    if (biases_.empty()) return {};
    return official_ ? NormsByPosition(hyperedge_weight_, node_weight_, num_modalities, packing)
                     : NormsByModality(hyperedge_weight_, node_weight_, packing);
  }

  // [N, F]
  Tensor Features(const std::vector<Nodes>& nodes, const HypergraphNorms& norms,
                  const HighFrequencyGraph& graph, const Packing& packing) const {
    GraphLayers layers{biases_, {}, {}};
    for (const torch::nn::Linear& gate : gates_) {
      layers.gate_weights.push_back(gate->weight);
      layers.gate_biases.push_back(gate->bias);
    }
    std::vector<Tensor> projected;
    projected.reserve(nodes.size());
    for (const Nodes& of_modality : nodes) projected.push_back(of_modality.projected);
    Tensor features = GraphFeatures(projected, norms, graph, layers, packing);
    if (!use_residue_) return features;
    const std::vector<Tensor> of_graphs =
        features.chunk(static_cast<int64_t>(nodes.size()), /*dim=*/1);
    std::vector<Tensor> columns;
    for (size_t k = 0; k < nodes.size(); ++k) {
      columns.insert(columns.end(), {nodes[k].rows, of_graphs[k]});
    }
    return torch::cat(columns, 1);
  }

 private:
  // Null unless used; an unused one of the official code is kept as a buffer.
  torch::nn::Embedding Embedding(const std::string& name, int64_t rows, int64_t width, bool used) {
    torch::nn::Embedding embedding = nullptr;
    if (used) {
      embedding = register_module(name, torch::nn::Embedding(rows, width));
    } else if (official_) {
      register_module(name, AsBuffers(*torch::nn::Embedding(rows, width)));
    }
    return embedding;
  }

  static void AddUntrainedWeights(int64_t width, torch::nn::Module& convolution) {
    convolution.register_module("edgefc", AsBuffers(*torch::nn::Linear(width, width)));
    for (const char* name : {"weight", "edgeweight"}) {
      convolution.register_buffer(name,
                                  torch::nn::init::xavier_uniform_(torch::empty({width, width})));
    }
  }

  const bool official_;
  const bool use_residue_;
  torch::nn::Embedding modality_embeddings_ = nullptr;
  torch::nn::Embedding speaker_embeddings_ = nullptr;
  torch::nn::Linear fc1_ = nullptr;
  Tensor hyperedge_weight_;
  Tensor node_weight_;
  std::vector<Tensor> biases_;
  std::vector<torch::nn::Linear> gates_;
};

class M3Net final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const M3NetOptions& options,
                                                          const DatasetInfo& info) {
    const absl::Status valid = Validate(options, info);
    if (!valid.ok()) return valid;
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new M3Net(options, info)); });
  }

 private:
  M3Net(const M3NetOptions& options, const DatasetInfo& data)
      : Backbone(data), options_(options), official_(options.semantics() == OFFICIAL) {
    const auto& modalities = info().modalities;
    const int64_t encoded = FindModality(info(), options.encoded_modality());
    order_.push_back(encoded);
    for (int64_t m = 0; m < static_cast<int64_t>(modalities.size()); ++m) {
      if (m != encoded) order_.push_back(m);
    }
    AddNorms(modalities[encoded]);
    // The official code makes the encoded modality's layers last; random numbers are drawn so.
    linears_.resize(order_.size(), nullptr);
    encoders_.resize(order_.size());
    for (size_t k = 1; k < order_.size(); ++k) AddLayers(k, options.encode_other_modalities());
    AddLayers(0, true);
    const auto num_modalities = static_cast<int64_t>(order_.size());
    const int64_t num_classes = info().num_classes();
    graph_ = register_module(
        "graph_model", std::make_shared<GraphModel>(options, num_modalities, info().num_speakers));
    if (official_) {
      register_module("hidfc", AsBuffers(*torch::nn::Linear(options.graph_width(), num_classes)));
    }
    const int64_t feature_width =
        2 * options.graph_width() + (options.use_residue() ? options.input_width() : 0);
    head_ =
        register_module("smax_fc", torch::nn::Linear(feature_width * num_modalities, num_classes));
  }

  void AddNorms(const ModalityInfo& encoded) {
    for (int64_t s = 0; s < encoded.num_streams; ++s) {
      if (options_.norm() == M3NetOptions::BN) {
        batch_norms_.push_back(
            register_module(NormName("BN", s), torch::nn::BatchNorm1d(encoded.width)));
      } else if (options_.norm() == M3NetOptions::LN) {
        layer_norms_.push_back(register_module(
            NormName("LN", s), torch::nn::LayerNorm(torch::nn::LayerNormOptions({encoded.width}))));
      }
    }
    if (!official_) return;
    for (int64_t s = 0; s < kOfficialStreams; ++s) {
      if (options_.norm() != M3NetOptions::BN) {
        register_module(NormName("BN", s), AsBuffers(*torch::nn::BatchNorm1d(kOfficialTextWidth)));
      }
      if (options_.norm() != M3NetOptions::LN) {
        register_module(
            NormName("LN", s),
            AsBuffers(*torch::nn::LayerNorm(torch::nn::LayerNormOptions({kOfficialTextWidth}))));
      }
    }
  }

  // The linear layer and the encoder of node type k.
  void AddLayers(size_t k, bool encode) {
    const ModalityInfo& modality = info().modalities[order_[k]];
    const std::string suffix = ShortModalityName(modality.name);
    const std::string linear_name = absl::StrCat("linear_", suffix);
    const torch::nn::LinearOptions linear(modality.width, options_.input_width());
    if (k > 0 || options_.text_linear()) {
      linears_[k] = register_module(linear_name, torch::nn::Linear(linear));
    } else if (official_) {
      register_module(linear_name, AsBuffers(*torch::nn::Linear(linear)));
    }
    const std::optional<SequenceEncoder::Kind> kind = EncoderKind(options_);
    if (!kind.has_value()) return;
    if (encode) {
      encoders_[k].emplace(*this, *kind, suffix, options_.input_width(), options_.dropout());
    } else if (official_ && *kind == SequenceEncoder::Kind::kTransformer) {
      // The official code makes this one, and leaves it unused.
      torch::nn::Module owner;
      const SequenceEncoder unused(owner, *kind, suffix, options_.input_width(),
                                   options_.dropout());
      const std::string name = SequenceEncoder::Name(*kind, suffix);
      register_module(name, AsBuffers(*owner.named_children()[name]));
    }
  }

  // A modality's rows before the encoder.
  struct Rows {
    Tensor values;  // [U, G]
    DistinctRows distinct;
    bool padded;
  };

  // What passes over batches that hold the same tensors have in common.
  struct Shared {
    Memo<Packing> packings;
    Memo<HypergraphNorms> norms;
    Memo<HighFrequencyGraph> graphs;
    Memo<Rows> rows;
    Memo<GraphModel::Nodes> nodes;
  };

  Prediction ForwardImpl(const Batch& batch) override {
    Shared shared;
    return Predict(batch, shared);
  }

  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    std::vector<Prediction> predictions;
    Shared shared;
    if (batches.size() > 1 && !is_training() && !torch::GradMode::is_enabled() &&
        options_.text_encoder() != M3NetOptions::TRANSFORMER) {
      EncodeTogether(batches, shared);
    }
    // A GPU starts a kernel for all batches as fast as for one; a processor has them in its cache
    // one by one.
    const bool together = batches.size() > 1 && !is_training() && !batches[0].speakers.is_cpu() &&
                          std::all_of(batches.begin(), batches.end(), [&](const Batch& batch) {
                            return batch.lengths.is_same(batches[0].lengths) &&
                                   batch.speakers.is_same(batches[0].speakers);
                          });
    if (together) return PredictTogether(batches, shared);
    for (const Batch& batch : batches) {
      // In training each pass has dropout masks and batch statistics of its own.
      predictions.push_back(is_training() ? ForwardImpl(batch) : Predict(batch, shared));
    }
    return predictions;
  }

  // Together they say where the utterances are: the longest length is that of the speakers.
  static std::vector<Tensor> Place(const Batch& batch) { return {batch.lengths, batch.speakers}; }

  // What the rows of node type k depend on.
  std::vector<Tensor> KeyOf(int64_t k, const Batch& batch) const {
    std::vector<Tensor> key = Place(batch);
    const std::vector<Tensor>& streams = batch.modalities[order_[k]].streams;
    key.insert(key.end(), streams.begin(), streams.end());
    return key;
  }

  static const Packing& PackingOf(const Batch& batch, Shared& shared) {
    return shared.packings.Get(Place(batch), [&] {
      return Packing(batch.lengths, batch.max_length(), batch.speakers.device());
    });
  }

  const Rows& RowsOf(int64_t k, const Batch& batch, Shared& shared) {
    return shared.rows.Get(
        KeyOf(k, batch),
        [&] { return MakeRows(k, batch.modalities[order_[k]].streams, PackingOf(batch, shared)); },
        k);
  }

  // Runs a recurrent encoder once over the versions of its modality that batches of the same
  // utterances hold: it reads its weights at every time step.
  void EncodeTogether(absl::Span<const Batch> batches, Shared& shared) {
    const ProfileScope scope("encoders");
    for (int64_t k = 0; k < static_cast<int64_t>(encoders_.size()); ++k) {
      if (!encoders_[k].has_value()) continue;
      std::vector<std::pair<const Rows*, const Batch*>> versions;
      for (const Batch& batch : batches) {
        if (!batch.lengths.is_same(batches[0].lengths) ||
            !batch.speakers.is_same(batches[0].speakers)) {
          continue;
        }
        const Rows* rows = &RowsOf(k, batch, shared);
        if (std::none_of(versions.begin(), versions.end(),
                         [&](const auto& version) { return version.first == rows; })) {
          versions.emplace_back(rows, &batch);
        }
      }
      // The first rows have the products of their inputs where they are needed.
      std::stable_sort(versions.begin(), versions.end(), [](const auto& a, const auto& b) {
        return a.first->values.size(0) > b.first->values.size(0);
      });
      const Packing& packing = PackingOf(batches[0], shared);
      std::vector<RecurrentRows> parts;
      parts.reserve(versions.size());
      for (const auto& [rows, batch] : versions) parts.push_back(EncoderInput(*rows, packing));
      const std::vector<Tensor> encoded =
          encoders_[k]->Encode(Join(parts)).split(packing.num_utterances());
      const Tensor speakers = packing.Pack(batches[0].speakers);
      for (size_t v = 0; v < versions.size(); ++v) {
        shared.nodes.Get(
            KeyOf(k, *versions[v].second),
            [&] { return graph_->MakeNodes(k, encoded[v], speakers); }, k);
      }
    }
  }

  // What both graphs of a batch are made of.
  struct GraphInput {
    std::vector<GraphModel::Nodes> nodes;  // [M]
    HypergraphNorms norms;
    HighFrequencyGraph graph;
  };

  GraphInput MakeGraphInput(const Batch& batch, Shared& shared) {
    const Packing& packing = PackingOf(batch, shared);
    const auto num_modalities = static_cast<int64_t>(order_.size());
    GraphInput input;
    for (int64_t k = 0; k < num_modalities; ++k) {
      input.nodes.push_back(shared.nodes.Get(
          KeyOf(k, batch),
          [&] {
            const ProfileScope scope("encoders");
            return MakeNodes(k, RowsOf(k, batch, shared), packing, packing.Pack(batch.speakers));
          },
          k));
    }
    input.norms =
        shared.norms.Get(Place(batch), [&] { return graph_->MakeNorms(num_modalities, packing); });
    input.graph = shared.graphs.Get({batch.context, batch.lengths}, [&] {
      return MakeHighFrequencyGraph(batch.context, num_modalities, packing);
    });
    return input;
  }

  Prediction Predict(const Batch& batch, Shared& shared) {
    const GraphInput input = MakeGraphInput(batch, shared);
    const Tensor features =
        graph_->Features(input.nodes, input.norms, input.graph, PackingOf(batch, shared));
    const ProfileScope scope("classifier");
    return {LogProbs(features), features};
  }

  // Batches of the same lengths, as the conversations of one.
  std::vector<Prediction> PredictTogether(absl::Span<const Batch> batches, Shared& shared) {
    std::vector<GraphInput> inputs;
    inputs.reserve(batches.size());
    for (const Batch& batch : batches) inputs.push_back(MakeGraphInput(batch, shared));
    const auto join = [&](const auto& tensor_of, int64_t axis) {
      std::vector<Tensor> parts;
      parts.reserve(inputs.size());
      for (const GraphInput& input : inputs) parts.push_back(tensor_of(input));
      return parts[0].defined() ? torch::cat(parts, axis) : Tensor();
    };
    GraphInput all;
    for (size_t k = 0; k < order_.size(); ++k) {
      all.nodes.push_back(
          {join([&](const GraphInput& input) { return input.nodes[k].rows; }, 0),
           join([&](const GraphInput& input) { return input.nodes[k].projected; }, 0)});
    }
    all.norms = {join([](const GraphInput& input) { return input.norms.modality; }, 1),
                 join([](const GraphInput& input) { return input.norms.utterance; }, 0),
                 join([](const GraphInput& input) { return input.norms.node; }, 1)};
    all.graph = {join([](const GraphInput& input) { return input.graph.within; }, 0),
                 join([](const GraphInput& input) { return input.graph.between; }, 0)};
    const Packing packing(batches[0].lengths.repeat({static_cast<int64_t>(batches.size())}),
                          batches[0].max_length(), batches[0].speakers.device());
    const Tensor features = graph_->Features(all.nodes, all.norms, all.graph, packing);
    const Tensor log_probs = LogProbs(features);
    std::vector<Prediction> predictions;
    const int64_t num_utterances = packing.num_utterances() / static_cast<int64_t>(batches.size());
    for (size_t b = 0; b < batches.size(); ++b) {
      const int64_t first = static_cast<int64_t>(b) * num_utterances;
      predictions.push_back(
          {log_probs.narrow(0, first, num_utterances), features.narrow(0, first, num_utterances)});
    }
    return predictions;
  }

  // [N, F] -> [N, C]
  Tensor LogProbs(const Tensor& features) {
    if (is_training() || torch::GradMode::is_enabled() || !features.is_cpu()) {
      return torch::log_softmax(
          Float32(head_->forward(DropoutRelu(features, options_.dropout(), is_training()))), 1);
    }
    // Some rows at a time, so that what the ReLU leaves stays in the processor's cache.
    constexpr int64_t kRows = 64;
    std::vector<Tensor> scores;
    for (const Tensor& rows : features.split(kRows)) {
      scores.push_back(head_->forward(torch::relu(rows)));
    }
    return torch::log_softmax(Float32(torch::cat(scores)), 1);
  }

  // streams [B, T, D] of node type k, normalised and projected.
  Rows MakeRows(int64_t k, const std::vector<Tensor>& streams, const Packing& packing) {
    // Official normalisation and encoders see padding; elsewhere it would only cost time.
    const bool padded = official_ && (k == 0 || encoders_[k].has_value());
    const bool whole = k == 0 && options_.norm() == M3NetOptions::LN2;
    // The statistics of a batch are over all rows.
    const bool in_batch = k == 0 && options_.norm() == M3NetOptions::BN && is_training();
    const DistinctRows distinct(streams, packing, padded,
                                /*alike=*/!whole && (padded || !in_batch));
    Tensor rows;  // [U, D]
    for (size_t begin = 0, end = 0; begin < streams.size(); begin = end) {
      // Files often hold one tensor as several streams, which are normalised at once.
      do {
        ++end;
      } while (end < streams.size() && streams[end].is_same(streams[begin]));
      const Tensor stream =
          whole ? NormalizeConversations(streams[begin], packing) : streams[begin];
      const Tensor part =
          k > 0 ? Share(distinct.Select(stream), end - begin, streams.size())
          : in_batch && padded
              ? distinct.Select(NormalizeRows(stream.flatten(0, 1), begin, end, streams.size()))
              : NormalizeRows(distinct.Select(stream), begin, end, streams.size());
      rows = begin == 0 ? part : rows + part;
    }
    if (linears_[k]) rows = linears_[k]->forward(rows);
    return {rows, distinct, padded};
  }

  static RecurrentRows EncoderInput(const Rows& rows, const Packing& packing) {
    return {rows.values, packing.lengths(), rows.padded ? packing.max_length() : 0,
            rows.distinct.input_of()};
  }

  // Node type k before both graphs.
  GraphModel::Nodes MakeNodes(int64_t k, const Rows& rows, const Packing& packing,
                              const Tensor& speakers) {
    if (encoders_[k].has_value()) {
      return graph_->MakeNodes(k, encoders_[k]->Encode(EncoderInput(rows, packing)), speakers);
    }
    const DistinctRows& distinct = rows.distinct;
    if (k == 0 || !distinct.input_of().defined()) {
      return graph_->MakeNodes(k, distinct.Utterances(rows.values), speakers);
    }
    const GraphModel::Nodes nodes = graph_->MakeNodes(k, rows.values, speakers);
    return {distinct.Utterances(nodes.rows), distinct.Utterances(nodes.projected)};
  }

  // rows * part / whole
  static Tensor Share(const Tensor& rows, size_t part, size_t whole) {
    return part == whole ? rows : rows * (static_cast<double>(part) / static_cast<double>(whole));
  }

  // The sum of the normalised streams begin to end - 1, all of which are `rows` [R, D], divided by
  // the number of all streams. Their normalisations differ by a factor and a shift per feature
  // only, so that the sum has the sum of factors and of shifts.
  Tensor NormalizeRows(const Tensor& rows, size_t begin, size_t end, size_t num_streams) {
    if (options_.norm() != M3NetOptions::BN && options_.norm() != M3NetOptions::LN) {
      return Share(rows, end - begin, num_streams);
    }
    const auto mean = [&](const auto& of_stream) {
      Tensor sum = of_stream(begin);
      for (size_t s = begin + 1; s < end; ++s) sum = sum + of_stream(s);
      return sum / static_cast<double>(num_streams);
    };
    if (options_.norm() == M3NetOptions::LN) {
      return torch::layer_norm(rows, {rows.size(1)},
                               mean([&](size_t s) { return layer_norms_[s]->weight; }),
                               mean([&](size_t s) { return layer_norms_[s]->bias; }),
                               layer_norms_[begin]->options.eps());
    }
    // One row has no variance (the official code crashes): as in evaluation.
    if (!is_training() || rows.size(0) == 1) {
      const auto scale = [&](size_t s) {
        const torch::nn::BatchNorm1d& norm = batch_norms_[s];
        return norm->weight * (norm->running_var + norm->options.eps()).rsqrt();
      };
      const Tensor shift = mean([&](size_t s) {
        return batch_norms_[s]->bias - batch_norms_[s]->running_mean * scale(s);
      });
      return torch::addcmul(shift, rows, mean(scale));
    }
    // With a momentum of 1 the running statistics become those of the batch.
    const Tensor batch_mean = torch::zeros_like(batch_norms_[begin]->running_mean);
    const Tensor batch_variance = torch::zeros_like(batch_mean);
    Tensor normalized = torch::batch_norm(
        rows, mean([&](size_t s) { return batch_norms_[s]->weight; }),
        mean([&](size_t s) { return batch_norms_[s]->bias; }), batch_mean, batch_variance,
        /*training=*/true, /*momentum=*/1, batch_norms_[begin]->options.eps(),
        /*cudnn_enabled=*/false);
    const torch::NoGradGuard no_grad;
    for (size_t s = begin; s < end; ++s) {
      torch::nn::BatchNorm1d& norm = batch_norms_[s];
      const double momentum = *norm->options.momentum();
      norm->running_mean.mul_(1 - momentum).add_(batch_mean, momentum);
      norm->running_var.mul_(1 - momentum).add_(batch_variance, momentum);
      norm->num_batches_tracked += 1;
    }
    return normalized;
  }

  // LN2: mean 0 and variance 1 over all features of a conversation; the official code counts its
  // padding. stream [B, T, D].
  Tensor NormalizeConversations(const Tensor& stream, const Packing& packing) const {
    constexpr double kEpsilon = 1e-5;
    const Tensor weights =
        (official_ ? torch::ones_like(packing.weights()) : packing.weights()).unsqueeze(2);
    const Tensor count = weights.sum({1, 2}, /*keepdim=*/true) * stream.size(2);
    const Tensor mean = (stream * weights).sum({1, 2}, /*keepdim=*/true) / count;
    const Tensor centred = (stream - mean) * weights;
    const Tensor variance = centred.square().sum({1, 2}, /*keepdim=*/true) / count;
    return centred * (variance + kEpsilon).rsqrt();
  }

  const M3NetOptions options_;
  const bool official_;
  std::vector<int64_t> order_;  // [M]: modalities of the data in the order of node types
  std::vector<torch::nn::BatchNorm1d> batch_norms_;       // one per stream, with norm BN
  std::vector<torch::nn::LayerNorm> layer_norms_;         // one per stream, with norm LN
  std::vector<torch::nn::Linear> linears_;                // [M]
  std::vector<std::optional<SequenceEncoder>> encoders_;  // [M]
  std::shared_ptr<GraphModel> graph_;
  torch::nn::Linear head_ = nullptr;
};

const Registered<M3NetOptions> kRegistered(Backbones(), M3Net::Create);

}  // namespace
}  // namespace cmerc
