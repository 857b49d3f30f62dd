// MMGCN (Hu et al., "MMGCN: Multimodal Fusion via Deep Graph Convolution Network for Emotion
// Recognition in Conversation", ACL 2021), as the official code has it: hujingwen6666/MMGCN,
// model.py, class DialogueGCNModel with graph_type MMGCN; model_mm.py, class MM_GCN; model_GCN.py,
// class GCNII_lyc.
//
//   X = encoded modality: mean of its streams, linear_l, encoder, + speaker     [N, input_width]
//       the others: mean of their streams, linear_<m>, encoder on request       [N, input_width]
//   A = the normalized similarities of these nodes, of similarity_graph.h
//   X' = Dropout(X), h_0 = ReLU(fcs.0(X'))                                    [M, N, graph_width]
//   h_l = ReLU(theta S W_l + (1 - theta) ((1 - alpha) P + alpha h_0))         [M, N, graph_width]
//         with P = A Dropout(h_(l-1)), theta = log(lambda / l + 1) and S = [P | h_0], or
//         S = (1 - alpha) P + alpha h_0 if variant is false
//   features = per modality [X' if use_residue | Dropout(h_L)]
//                                                        [N, M (input_width? + graph_width)]
//   log_probs = log_softmax(smax_fc(ReLU(Dropout(features))))                              [N, C]
//
// The L = graph_layers layers are those of GCNII (Chen et al., "Simple and Deep Graph Convolutional
// Networks", ICML 2020; with variant GCNII*).
//
// Example:
//   backbone { [type.googleapis.com/cmerc.MmgcnOptions] { graph_layers: 8 alpha: 0.2 } }
//
// Batch.context removes edges within modalities, and degrees are those of the edges that remain: j
// outside the context of i has no direct path to i. Recurrent encoders see the whole conversation
// ("partial"), and the past alone where utterances draw on no more (data.context: PAST).
//
// Modalities are in the order of the data, but for the encoded one, which is the last. Parameters
// have the official names; what never trains in the official code is left out.
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backbones/layers/copies.h"
#include "backbones/layers/distinct_rows.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/mean_of_streams.h"
#include "backbones/layers/memo.h"
#include "backbones/layers/modality_names.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/recurrent.h"
#include "backbones/layers/sequence_encoder.h"
#include "backbones/mmgcn/mmgcn.pb.h"
#include "backbones/mmgcn/similarity_graph.h"
#include "core/backbone.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;

std::optional<SequenceEncoder::Kind> EncoderKind(const MmgcnOptions& options) {
  switch (options.encoder()) {
    case MmgcnOptions::LSTM:
      return SequenceEncoder::Kind::kLstm;
    case MmgcnOptions::GRU:
      return SequenceEncoder::Kind::kGru;
    case MmgcnOptions::TRANSFORMER:
      return SequenceEncoder::Kind::kTransformer;
    case MmgcnOptions::NO_ENCODER:
      return std::nullopt;
  }
  return std::nullopt;
}

template <typename T>
void AddError(const char* name, const T& value, const std::string& rule,
              std::vector<std::string>& errors) {
  errors.push_back(absl::StrCat("cmerc.MmgcnOptions: ", name, " = ", value, ", must be ", rule));
}

// Adds an error where the width does not suit the encoder.
void CheckInputWidth(const MmgcnOptions& options, std::vector<std::string>& errors) {
  if (options.input_width() % 2 != 0) {
    AddError("input_width", options.input_width(),
             "even (half of it for each direction of the encoder)", errors);
  } else if (options.encoder() == MmgcnOptions::TRANSFORMER && options.input_width() % 4 != 0) {
    AddError("input_width", options.input_width(),
             "a multiple of 4 with encoder: TRANSFORMER (it has 4 heads)", errors);
  }
}

// InvalidArgument names every reason why no model can be made with these options for this data.
absl::Status CheckOptions(const MmgcnOptions& options, const DatasetInfo& info) {
  std::vector<std::string> errors;
  CheckInputWidth(options, errors);
  const absl::Status context =
      CheckOfficialContext("cmerc.MmgcnOptions", options.semantics() == OFFICIAL, info);
  if (!context.ok()) errors.emplace_back(context.message());
  for (const std::string& error : ModalityNameErrors(info)) {
    errors.push_back(absl::StrCat("cmerc.MmgcnOptions: ", error));
  }
  if (FindModality(info, options.encoded_modality()) < 0) {
    std::vector<std::string> names;
    for (const ModalityInfo& modality : info.modalities) names.push_back(modality.name);
    AddError("encoded_modality", absl::StrCat("\"", options.encoded_modality(), "\""),
             absl::StrCat("a modality of the data: ", absl::StrJoin(names, ", ")), errors);
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

// What follows the nodes: the official MM_GCN. Its last modality is the encoded one.
class GraphModel : public torch::nn::Module {
 public:
  GraphModel(const MmgcnOptions& options, int64_t num_modalities, int64_t num_speakers)
      : options_(options) {
    const int64_t input_width = options.input_width();
    const int64_t width = options.graph_width();
    auto network = register_module("graph_net", std::make_shared<torch::nn::Module>());
    auto convolutions = network->register_module("convs", std::make_shared<torch::nn::Module>());
    const double bound = 1 / std::sqrt(static_cast<double>(width));
    for (int64_t layer = 0; layer < options.graph_layers(); ++layer) {
      auto convolution =
          convolutions->register_module(absl::StrCat(layer), std::make_shared<torch::nn::Module>());
      weights_.push_back(convolution->register_parameter(
          "weight",
          torch::empty({(options.variant() ? 2 : 1) * width, width}).uniform_(-bound, bound)));
    }
    auto linears = network->register_module("fcs", std::make_shared<torch::nn::Module>());
    linear_ = linears->register_module("0", torch::nn::Linear(input_width, width));
    if (options.use_modality_embedding()) {
      modality_embeddings_ =
          register_module("modal_embeddings", torch::nn::Embedding(num_modalities, input_width));
    }
    if (options.use_speaker()) {
      speaker_embeddings_ =
          register_module("speaker_embeddings", torch::nn::Embedding(num_speakers, input_width));
    }
  }

  // rows [N, input_width] of modality k of num_modalities; speakers [N] int64.
  Tensor AddEmbeddings(Tensor rows, int64_t k, int64_t num_modalities, const Tensor& speakers) {
    if (speaker_embeddings_ && k == num_modalities - 1) {
      rows = rows + speaker_embeddings_->forward(speakers);
    }
    return modality_embeddings_ ? rows + modality_embeddings_->weight[k] : rows;
  }

  // nodes [M, N, input_width] -> [N, M * F]: Prediction.features.
  Tensor Features(const Tensor& nodes, const SimilarityGraph& graph) {
    const Tensor x = Dropped(nodes);
    const Tensor initial = torch::relu(linear_->forward(x));
    Tensor h = initial;
    for (size_t l = 0; l < weights_.size(); ++l) {
      h = torch::relu(Convolve(l, Propagate(Dropped(h), graph), initial));
    }
    h = Dropped(h);
    return (options_.use_residue() ? torch::cat({x, h}, 2) : h).transpose(0, 1).flatten(1);
  }

 private:
  // x [M, N, ...]
  Tensor Dropped(const Tensor& x) const {
    return Dropout(x, options_.dropout(), is_training(), /*axis=*/1);
  }

  // What layer l + 1 makes of P and h_0, both [M, N, H]. The identity goes into the weight, which
  // is smaller than what it is multiplied by.
  Tensor Convolve(size_t l, const Tensor& gathered, const Tensor& initial) const {
    const double alpha = options_.alpha();
    const double theta = std::log(options_.lambda() / static_cast<double>(l + 1) + 1);
    const Tensor identity =
        torch::eye(options_.graph_width(), weights_[l].options().requires_grad(false));
    if (!options_.variant()) {
      return ((1 - alpha) * gathered + alpha * initial)
          .matmul(theta * weights_[l] + (1 - theta) * identity);
    }
    const std::vector<Tensor> halves = weights_[l].chunk(2, 0);
    const Tensor of_gathered = theta * halves[0] + ((1 - theta) * (1 - alpha)) * identity;
    const Tensor of_initial = theta * halves[1] + ((1 - theta) * alpha) * identity;
    return torch::addmm(initial.flatten(0, 1).mm(of_initial), gathered.flatten(0, 1), of_gathered)
        .view(gathered.sizes());
  }

  const MmgcnOptions options_;
  std::vector<Tensor> weights_;  // per layer [2 H, H], or [H, H] without variant
  torch::nn::Linear linear_ = nullptr;
  torch::nn::Embedding modality_embeddings_ = nullptr;
  torch::nn::Embedding speaker_embeddings_ = nullptr;
};

class Mmgcn final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const MmgcnOptions& options,
                                                          const DatasetInfo& info) {
    RETURN_IF_ERROR(CheckOptions(options, info));
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new Mmgcn(options, info)); });
  }

 private:
  Mmgcn(const MmgcnOptions& options, const DatasetInfo& data)
      : Backbone(data), options_(options), official_(options.semantics() == OFFICIAL) {
    const auto num_modalities = static_cast<int64_t>(info().modalities.size());
    const int64_t encoded = FindModality(info(), options.encoded_modality());
    for (int64_t m = 0; m < num_modalities; ++m) {
      if (m != encoded) order_.push_back(m);
    }
    order_.push_back(encoded);
    const std::optional<SequenceEncoder::Kind> kind = EncoderKind(options);
    encoders_.resize(order_.size());
    for (size_t k = 0; k < order_.size(); ++k) {
      const ModalityInfo& modality = info().modalities[order_[k]];
      const std::string suffix = ShortModalityName(modality.name);
      linears_.push_back(register_module(absl::StrCat("linear_", suffix),
                                         torch::nn::Linear(modality.width, options.input_width())));
      if (kind.has_value() && (order_[k] == encoded || options.encode_other_modalities())) {
        encoders_[k].emplace(*this, *kind, suffix, options.input_width(), options.dropout(),
                             DrawsOnPastAlone(info()));
      }
    }
    graph_model_ = register_module(
        "graph_model", std::make_shared<GraphModel>(options, num_modalities, info().num_speakers));
    const int64_t feature_width =
        options.graph_width() + (options.use_residue() ? options.input_width() : 0);
    head_ = register_module(
        "smax_fc", torch::nn::Linear(feature_width * num_modalities, info().num_classes()));
  }

  struct Nodes {
    Tensor rows;  // [N, input_width]
    ModalitySimilarities similarities;
  };

  // What passes over batches that hold the same tensors have in common.
  struct Shared {
    BatchMemo<Packing> packings;
    BatchMemo<Nodes> nodes;
  };

  Prediction ForwardImpl(const Batch& batch) override {
    Shared shared;
    return Predict(batch, shared);
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    // LibTorch's layers draw masks of their own: transformers, and any encoder on a GPU.
    if (official_ || options_.encoder() == MmgcnOptions::TRANSFORMER ||
        !batches[0].speakers.is_cpu()) {
      return std::nullopt;
    }
    const CopiesInPass copies(batches.size());
    const Batch all = JoinWithoutFeatures(batches);
    const Packing packing(batches[0]);
    std::vector<Nodes> nodes;
    for (size_t k = 0; k < order_.size(); ++k) {
      nodes.push_back(NodesOfCopies(k, batches, packing));
    }
    return Classify(nodes, all.context, Packing(all));
  }

  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    std::vector<Prediction> predictions;
    Shared shared;
    for (const Batch& batch : batches) {
      // In training each pass has dropout masks of its own.
      predictions.push_back(is_training() ? ForwardImpl(batch) : Predict(batch, shared));
    }
    return predictions;
  }

  Prediction Predict(const Batch& batch, Shared& shared) {
    const Packing& packing = shared.packings.OfUtterances(batch, [&] { return Packing(batch); });
    std::vector<Nodes> nodes;
    for (size_t k = 0; k < order_.size(); ++k) {
      nodes.push_back(shared.nodes.OfModality(batch, order_[k], [&] {
        return MakeNodes(k, Encode(k, batch.modalities[order_[k]].streams, packing),
                         packing.Pack(batch.speakers), packing);
      }));
    }
    return Classify(nodes, batch.context, packing);
  }

  // nodes: of each modality.
  Prediction Classify(const std::vector<Nodes>& nodes, const Tensor& context,
                      const Packing& packing) {
    std::vector<Tensor> rows;
    std::vector<ModalitySimilarities> similarities;
    for (const Nodes& of_modality : nodes) {
      rows.push_back(of_modality.rows);
      similarities.push_back(of_modality.similarities);
    }
    const Tensor features = graph_model_->Features(
        torch::stack(rows), MakeSimilarityGraph(similarities, context, packing));
    const Tensor dropped = Dropout(features, options_.dropout(), is_training());
    return {torch::log_softmax(Float32(head_->forward(torch::relu(dropped))), 1), features};
  }

  // encoded [N, input_width], speakers [N].
  Nodes MakeNodes(size_t k, const Tensor& encoded, const Tensor& speakers, const Packing& packing) {
    const Tensor rows = graph_model_->AddEmbeddings(encoded, static_cast<int64_t>(k),
                                                    static_cast<int64_t>(order_.size()), speakers);
    return {rows, MakeSimilarities(rows, packing)};
  }

  // The nodes of all batches, one after the other. `packing` is that of one batch.
  Nodes NodesOfCopies(size_t k, absl::Span<const Batch> batches, const Packing& packing) {
    const Versions versions = Versions::OfModality(batches, order_[k]);
    const CopiesInPass copies(versions.count());
    const Packing of_versions(versions.lengths(), packing.max_length(),
                              batches[0].speakers.device());
    Tensor rows =
        versions.MapRows(order_[k], packing, DrawsOnPastAlone(info()),
                         [&](const Tensor& distinct) { return linears_[k]->forward(distinct); });
    if (encoders_[k].has_value()) rows = encoders_[k]->Encode({rows, of_versions.lengths()});
    const Tensor speakers = packing.Pack(batches[0].speakers);
    const Nodes nodes =
        MakeNodes(k, rows, speakers.repeat({static_cast<int64_t>(versions.count())}), of_versions);
    return {versions.ToCopies(nodes.rows),
            {versions.ToCopies(nodes.similarities.directions),
             versions.ToCopies(nodes.similarities.within)}};
  }

  // streams [B, T, D_m] of the k-th modality -> [N, input_width].
  Tensor Encode(size_t k, const std::vector<Tensor>& streams, const Packing& packing) {
    const Tensor mean = MeanOfStreams(streams);
    // Official encoders see padding; elsewhere it would only cost time.
    const bool padded = official_ && encoders_[k].has_value();
    // Where an utterance must not know later ones, it must not know that they are alike either, not
    // by a last digit.
    const DistinctRows distinct({mean}, packing, padded, /*alike=*/!DrawsOnPastAlone(info()));
    const Tensor rows = linears_[k]->forward(distinct.Select(mean));
    if (!encoders_[k].has_value()) return distinct.Utterances(rows);
    return encoders_[k]->Encode(
        {rows, packing.lengths(), padded ? packing.max_length() : 0, distinct.input_of()});
  }

  const MmgcnOptions options_;
  const bool official_;
  std::vector<int64_t> order_;                            // [M]: modalities of the data
  std::vector<torch::nn::Linear> linears_;                // [M], in that order
  std::vector<std::optional<SequenceEncoder>> encoders_;  // [M]
  std::shared_ptr<GraphModel> graph_model_;
  torch::nn::Linear head_ = nullptr;
};

const Registered<MmgcnOptions> kRegistered(Backbones(), Mmgcn::Create);

}  // namespace
}  // namespace cmerc
