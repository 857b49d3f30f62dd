// M3Net (Chen et al., "Multivariate, Multi-Frequency and Multimodal: Rethinking Graph Neural
// Networks for Emotion Recognition in Conversation", CVPR 2023), as the official CMERC code has it:
// model_cm.py, class Model, and model_hyper.py, class HyperGCN.
//
//   encoded modality: mean of its normalised streams, linear_l, encoder   -> [N, G] + speaker
//   vector the others:       mean of their streams, linear_<m>, encoder on request -> [N, G] X =
//   fc1(nodes) [M x N, H], then from X both
//     hypergraph_layers of hypergraph.h and high_frequency_layers of high_frequency.h
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

#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backbones/high_frequency.h"
#include "backbones/hypergraph.h"
#include "backbones/m3net.pb.h"
#include "backbones/packing.h"
#include "backbones/sequence_encoder.h"
#include "core/backbone.h"
#include "core/torch_status.h"

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

// The official name of a modality's parameters: linear_l, gru_a, ...
std::string Suffix(const std::string& modality) {
  if (modality == "text") return "l";
  if (modality == "audio") return "a";
  if (modality == "visual") return "v";
  return modality;
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

// Index of the modality that is normalised and encoded; -1: there is none of that name.
int64_t EncodedModality(const M3NetOptions& options, const DatasetInfo& info) {
  const std::string& name = options.encoded_modality();
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    if (info.modalities[m].name == (name.empty() ? "text" : name)) return static_cast<int64_t>(m);
  }
  return name.empty() ? 0 : -1;
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
  if (info.modalities.empty()) errors.push_back("cmerc.M3NetOptions: the data has no modality");
  std::vector<std::string> names;
  std::set<std::string> suffixes;
  for (const ModalityInfo& modality : info.modalities) {
    names.push_back(modality.name);
    if (modality.name.empty() || modality.name.find('.') != std::string::npos ||
        !suffixes.insert(Suffix(modality.name)).second) {
      errors.push_back(absl::StrCat("cmerc.M3NetOptions: the data has a modality \"", modality.name,
                                    "\"; parameters are named after modalities, so their names "
                                    "must not be empty, hold a '.', or be another's short name "
                                    "(l for text, a for audio, v for visual)"));
    }
  }
  const int64_t encoded = EncodedModality(options, info);
  if (encoded < 0) {
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

  // nodes: M tensors [N, G]; speakers [N] int64; context [B, T, T] bool. The features [N, F].
  Tensor Forward(std::vector<Tensor> nodes, const Tensor& speakers, const Tensor& context,
                 const Packing& packing) {
    const int64_t num_modalities = static_cast<int64_t>(nodes.size());
    if (speaker_embeddings_) nodes[0] = nodes[0] + speaker_embeddings_->forward(speakers);
    if (modality_embeddings_) {
      // The official order of rows: a, v, l.
      for (int64_t k = 0; k < num_modalities; ++k) {
        nodes[k] = nodes[k] + modality_embeddings_->weight[k == 0 ? num_modalities - 1 : k - 1];
      }
    }
    std::vector<Tensor> low;
    for (const Tensor& node : nodes) low.push_back(packing.Pad(fc1_->forward(node)));
    std::vector<Tensor> high = low;
    if (!biases_.empty()) {
      const HypergraphNorms norms =
          official_ ? NormsByPosition(hyperedge_weight_, node_weight_, num_modalities, packing)
                    : NormsByModality(hyperedge_weight_, node_weight_, packing);
      for (const Tensor& bias : biases_) low = HypergraphLayer(low, norms, bias, packing);
    }
    const HighFrequencyGraph graph = MakeHighFrequencyGraph(context, num_modalities, packing);
    for (torch::nn::Linear& gate : gates_) {
      high = HighFrequencyLayer(high, graph, gate->weight, gate->bias);
    }
    std::vector<Tensor> features;
    for (int64_t k = 0; k < num_modalities; ++k) {
      if (use_residue_) features.push_back(nodes[k]);
      features.push_back(packing.Pack(low[k]));
      features.push_back(packing.Pack(high[k]));
    }
    return torch::cat(features, 1);
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
    const int64_t encoded = EncodedModality(options, info());
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
    const std::string suffix = Suffix(modality.name);
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

  Prediction ForwardImpl(const Batch& batch) override {
    const Packing packing(batch.lengths, batch.max_length(), batch.speakers.device());
    const Tensor features = graph_->Forward(Encode(batch, packing), packing.Pack(batch.speakers),
                                            batch.context, packing);
    const Tensor dropped = torch::dropout(features, options_.dropout(), is_training());
    return {torch::log_softmax(head_->forward(torch::relu(dropped)), 1), features};
  }

  // The nodes before both graphs, without embeddings: M tensors [N, G], the encoded modality first.
  std::vector<Tensor> Encode(const Batch& batch, const Packing& packing) {
    std::vector<Tensor> nodes;
    for (size_t k = 0; k < order_.size(); ++k) {
      const std::vector<Tensor>& streams = batch.modalities[order_[k]].streams;
      // Official normalisation and encoders see padding; elsewhere it would only cost time.
      const bool padded = official_ && (k == 0 || encoders_[k].has_value());
      Tensor sum, rows;
      for (size_t s = 0; s < streams.size(); ++s) {
        // Files often hold one tensor as several streams.
        if (s == 0 || !streams[s].is_same(streams[s - 1])) {
          const bool whole = k == 0 && options_.norm() == M3NetOptions::LN2;
          const Tensor stream = whole ? NormalizeConversations(streams[s], packing) : streams[s];
          rows = padded ? stream.flatten(0, 1) : packing.Pack(stream);
        }
        const Tensor normalized = k == 0 ? NormalizeRows(rows, s) : rows;
        sum = s == 0 ? normalized : sum + normalized;
      }
      Tensor node = streams.size() == 1 ? sum : sum / static_cast<double>(streams.size());
      if (linears_[k]) node = linears_[k]->forward(node);
      if (padded) {
        node = node.view({packing.num_conversations(), packing.max_length(), -1});
        if (encoders_[k].has_value()) node = encoders_[k]->EncodePadded(node);
        node = packing.Pack(node);
      } else if (encoders_[k].has_value()) {
        node = encoders_[k]->EncodePacked(node, packing);
      }
      nodes.push_back(node);
    }
    return nodes;
  }

  // BN or LN of stream s; rows [R, D].
  Tensor NormalizeRows(const Tensor& rows, size_t s) {
    if (options_.norm() == M3NetOptions::LN) return layer_norms_[s]->forward(rows);
    if (options_.norm() != M3NetOptions::BN) return rows;
    torch::nn::BatchNorm1d& norm = batch_norms_[s];
    if (!norm->is_training() || rows.size(0) > 1) return norm->forward(rows);
    // One row has no variance (the official code crashes): as in evaluation.
    return torch::batch_norm(rows, norm->weight, norm->bias, norm->running_mean, norm->running_var,
                             /*training=*/false, *norm->options.momentum(), norm->options.eps(),
                             /*cudnn_enabled=*/false);
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
