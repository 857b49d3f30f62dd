// M3Net (Chen et al., "Multivariate, Multi-Frequency and Multimodal: Rethinking Graph Neural
// Networks for Emotion Recognition in Conversation", CVPR 2023), as the official CMERC code has it:
// model_cm.py, class Model, and model_hyper.py, class HyperGCN.
//
//   encoded modality: mean of its normalized streams, linear_l, encoder, + speaker     [N, G]
//   the others: mean of their streams, linear_<m>, encoder on request                  [N, G]
//   X = fc1(nodes)                                                                     [M x N, H]
//   then, both from X: hypergraph_layers of hypergraph.h, high_frequency_layers of high_frequency.h
//   features = per modality [nodes on request | hypergraph | high frequency]     [N, M (2 H + G?)]
//   log_probs = log_softmax(smax_fc(ReLU(Dropout(features))))                    [N, C]
//
// Example:
//   backbone { [type.googleapis.com/cmerc.M3NetOptions] { high_frequency_layers: 3 dropout: 0.4 } }
//
// The first two lines are modality_encoder.h with stream_norms.h, the next three graph_model.h;
// shared_passes.h runs them for one batch or several. Here are the head and the order of it all.
//
// Where utterances draw on the past alone (data.context: PAST), encoders run forwards only and the
// hypergraph is past_hypergraph.h.
//
// Parameters have the official names, and layers are made in the official order, so that the same
// seed draws the official weights. With semantics: OFFICIAL, what exists in the official state dict
// but never trains is there too (official_leftovers.h).
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backbones/layers/copies.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/memo.h"
#include "backbones/layers/modality_names.h"
#include "backbones/layers/past_context.h"
#include "backbones/m3net/graph_model.h"
#include "backbones/m3net/m3net.pb.h"
#include "backbones/m3net/modality_encoder.h"
#include "backbones/m3net/official_check.h"
#include "backbones/m3net/official_leftovers.h"
#include "backbones/m3net/options.h"
#include "backbones/m3net/shared_passes.h"
#include "backbones/m3net/stream_norms.h"
#include "core/backbone.h"
#include "core/batch_limit.h"
#include "core/official_model.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;

// While it lives, encoders normalize by the statistics of what they see before Keep().
class StatisticsOfFirst {
 public:
  explicit StatisticsOfFirst(const std::vector<ModalityEncoder>& encoders) : encoders_(encoders) {
    Use(Backbone::BatchStatistics::kOwnAndKeep);
  }
  ~StatisticsOfFirst() { Use(Backbone::BatchStatistics::kOwn); }
  StatisticsOfFirst(const StatisticsOfFirst&) = delete;
  StatisticsOfFirst& operator=(const StatisticsOfFirst&) = delete;

  void Keep() { Use(Backbone::BatchStatistics::kKept); }

 private:
  void Use(Backbone::BatchStatistics statistics) {
    for (const ModalityEncoder& encoder : encoders_) encoder.UseBatchStatistics(statistics);
  }

  const std::vector<ModalityEncoder>& encoders_;
};

class M3Net final : public Backbone, public OfficialModel, public BatchLimit {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const M3NetOptions& options,
                                                          const DatasetInfo& info) {
    RETURN_IF_ERROR(CheckM3NetOptions(options, info));
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new M3Net(options, info)); });
  }

  void UseBatchStatistics(BatchStatistics statistics) override {
    for (const ModalityEncoder& encoder : encoders_) encoder.UseBatchStatistics(statistics);
  }

  bool HoldStatisticsOf(const Batch& batch) override {
    const Packing packing(batch);
    bool holds = false;
    for (const ModalityEncoder& encoder : encoders_) {
      const std::vector<Tensor>& streams = batch.modalities[encoder.modality()].streams;
      holds = encoder.HoldStatisticsOf(streams, packing) || holds;
    }
    return holds;
  }
  void ReleaseStatistics() override {
    for (const ModalityEncoder& encoder : encoders_) encoder.ReleaseStatistics();
  }

  std::string Departure() const override { return M3NetDeparture(options_); }
  std::string Doubt(const std::map<std::string, Tensor>& state) const override {
    return M3NetDoubt(options_, info(), state);
  }
  std::string WhyTooLarge(absl::Span<const int64_t> lengths) const override {
    return graph_model_->WhyTooLarge(lengths);
  }

 private:
  M3Net(const M3NetOptions& options, const DatasetInfo& data) : Backbone(data), options_(options) {
    AddEncoders();
    const auto num_modalities = static_cast<int64_t>(info().modalities.size());
    const int64_t num_classes = info().num_classes();
    graph_model_ = register_module(
        "graph_model", std::make_shared<GraphModel>(options, num_modalities, info().num_speakers,
                                                    DrawsOnPastAlone(info())));
    if (official()) {
      RegisterAsBuffers("hidfc", *torch::nn::Linear(options.graph_width(), num_classes), *this);
    }
    const int64_t feature_width =
        2 * options.graph_width() + (options.use_residue() ? options.input_width() : 0);
    head_ =
        register_module("smax_fc", torch::nn::Linear(feature_width * num_modalities, num_classes));
  }

  // The official code makes the layers of the encoded modality last; in encoders_ it is the first.
  void AddEncoders() {
    using Role = ModalityEncoder::Role;
    const auto num_modalities = static_cast<int64_t>(info().modalities.size());
    const int64_t encoded = FindModality(info(), options_.encoded_modality());
    const StreamNorms norms(options_.norm(), info().modalities[encoded], *this);
    if (official()) AddUnusedNorms(options_.norm(), *this);
    for (int64_t m = 0; m < num_modalities; ++m) {
      if (m != encoded) {
        encoders_.emplace_back(m, Role::kOther, StreamNorms(), options_, info(), *this);
      }
    }
    encoders_.insert(encoders_.begin(),
                     ModalityEncoder(encoded, Role::kEncoded, norms, options_, info(), *this));
  }

  bool official() const { return options_.semantics() == OFFICIAL; }

  Prediction ForwardImpl(const Batch& batch) override {
    SharedPasses passes(encoders_, *graph_model_, is_training());
    return Predict(batch, passes);
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    // LibTorch's layers draw masks of their own: transformers, and any encoder on a GPU.
    if (official() || options_.text_encoder() == M3NetOptions::TRANSFORMER ||
        !batches[0].speakers.is_cpu()) {
      return std::nullopt;
    }
    const CopiesInPass copies(batches.size());
    SharedPasses passes(encoders_, *graph_model_, is_training());
    StatisticsOfFirst statistics(encoders_);
    passes.MakeRows(batches[0]);
    statistics.Keep();
    passes.EncodeTogether(batches);
    const Tensor features = passes.FeaturesTogether(batches);
    return Prediction{LogProbs(features), features};
  }

  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    std::vector<Prediction> predictions;
    if (is_training()) {
      for (const Batch& batch : batches) predictions.push_back(ForwardImpl(batch));
      return predictions;
    }
    SharedPasses passes(encoders_, *graph_model_, /*training=*/false);
    if (batches.size() > 1 && !torch::GradMode::is_enabled() &&
        options_.text_encoder() != M3NetOptions::TRANSFORMER) {
      passes.EncodeTogether(batches);
    }
    // A GPU starts a kernel for all batches as fast as for one; a processor has them in its cache
    // one by one.
    if (batches.size() > 1 && !batches[0].speakers.is_cpu() &&
        std::all_of(batches.begin(), batches.end(),
                    [&](const Batch& batch) { return HaveSameUtterances(batch, batches[0]); })) {
      return PredictTogether(batches, passes);
    }
    for (const Batch& batch : batches) predictions.push_back(Predict(batch, passes));
    return predictions;
  }

  Prediction Predict(const Batch& batch, SharedPasses& passes) {
    const Tensor features = passes.Features(batch);
    const ProfileScope scope("classifier");
    return {LogProbs(features), features};
  }

  // For batches that have the same utterances.
  std::vector<Prediction> PredictTogether(absl::Span<const Batch> batches, SharedPasses& passes) {
    const Tensor features = passes.FeaturesTogether(batches);
    const Tensor log_probs = LogProbs(features);
    const int64_t num_utterances = features.size(0) / static_cast<int64_t>(batches.size());
    std::vector<Prediction> predictions;
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

  const M3NetOptions options_;
  std::vector<ModalityEncoder> encoders_;  // [M], the encoded modality first
  std::shared_ptr<GraphModel> graph_model_;
  torch::nn::Linear head_ = nullptr;
};

const Registered<M3NetOptions> kRegistered(Backbones(), M3Net::Create);

}  // namespace
}  // namespace cmerc
