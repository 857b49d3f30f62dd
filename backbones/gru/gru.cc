// GRU and LSTM: the official CMERC code's GRUModel and LSTMModel (model_cm.py).
//
//   U = the modalities side by side, each the mean of its streams    [B, T, sum of D_m]
//   E = two bidirectional recurrent layers over U                    [B, T, 2 hidden_width]
//   P_i = E_i + sum_j alpha_ij E_j, alpha of matching_attention.h    [B, T, 2 hidden_width]
//         without E_i if residual is false (official), without the sum if attention is false
//   features = ReLU(linear(P))                                            [N, linear_width]
//   log_probs = log_softmax(smax_fc(Dropout(features)))                            [N, C]
//
// Example:
//   backbone { [type.googleapis.com/cmerc.GruOptions] { cell: LSTM hidden_width: 200 } }
//
// Batch.context restricts the attention: j outside the context of i has no direct path to i. The
// recurrent layers see the whole conversation ("partial"). Where utterances draw on the past alone
// (data.context: PAST) they run forwards only, 2 hidden_width wide, and a conversation that goes on
// is continued from their states and from all E_i.
//
// Parameters have the official names.
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backbones/gru/gru.pb.h"
#include "backbones/layers/copies.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/growing_rows.h"
#include "backbones/layers/matching_attention.h"
#include "backbones/layers/mean_of_streams.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/recurrent.h"
#include "backbones/layers/recurrent_state.h"
#include "core/backbone.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kLayers = 2;

class Gru final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const GruOptions& options,
                                                          const DatasetInfo& info) {
    if (info.modalities.empty()) {
      return absl::InvalidArgumentError("cmerc.GruOptions: the data has no modality");
    }
    RETURN_IF_ERROR(
        CheckOfficialContext("cmerc.GruOptions", options.semantics() == OFFICIAL, info));
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new Gru(options, info)); });
  }

  std::unique_ptr<Memory> NewMemory() const override {
    return DrawsOnPastAlone(info()) ? std::make_unique<GruMemory>() : nullptr;
  }

 private:
  struct GruMemory final : Memory {
    RecurrentState state;
    GrowingRows encoded;  // E, with attention
  };

  Gru(const GruOptions& options, const DatasetInfo& data) : Backbone(data), options_(options) {
    const int64_t width = WidthSideBySide(info());
    const int64_t encoded = int64_t{2} * options.hidden_width();
    const bool both_ways = !DrawsOnPastAlone(info());
    const int64_t state = both_ways ? options.hidden_width() : encoded;
    // In the official order, so that the same seed draws the official weights.
    if (options.cell() == GruOptions::GRU) {
      gru_ = register_module("gru", torch::nn::GRU(torch::nn::GRUOptions(width, state)
                                                       .num_layers(kLayers)
                                                       .bidirectional(both_ways)
                                                       .dropout(options.dropout())));
    } else {
      lstm_ = register_module("lstm", torch::nn::LSTM(torch::nn::LSTMOptions(width, state)
                                                          .num_layers(kLayers)
                                                          .bidirectional(both_ways)
                                                          .dropout(options.dropout())));
    }
    if (options.attention()) {
      auto attention = register_module("matchatt", std::make_shared<torch::nn::Module>());
      transform_ = attention->register_module("transform", torch::nn::Linear(encoded, encoded));
    }
    linear_ = register_module("linear", torch::nn::Linear(encoded, options.linear_width()));
    head_ =
        register_module("smax_fc", torch::nn::Linear(options.linear_width(), info().num_classes()));
  }

  Prediction ForwardImpl(const Batch& batch) override {
    return Predict(absl::MakeConstSpan(&batch, 1));
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    // On a GPU recurrent layers are LibTorch's, which draw masks of their own.
    if (options_.semantics() == OFFICIAL || !batches[0].speakers.is_cpu()) return std::nullopt;
    const CopiesInPass copies(batches.size());
    return Predict(batches);
  }

  // What the batches say, one after the other. Just one of them where semantics is OFFICIAL.
  Prediction Predict(absl::Span<const Batch> batches) {
    const Batch batch = JoinWithoutFeatures(batches);
    const Packing packing(batch);
    const bool padded = options_.semantics() == OFFICIAL;
    const Tensor encoded =
        padded ? EncodePadded(batches[0]) : EncodePacked(batches, PackingOfFirst(batches, packing));
    Tensor rows;
    if (transform_) {
      const Tensor memory = padded ? encoded : packing.Pad(encoded);
      const Tensor gathered =
          GatherByMatching(memory, transform_->weight, transform_->bias, batch.context);
      rows = packing.Pack(options_.residual() ? memory + gathered : gathered);
    } else {
      rows = padded ? packing.Pack(encoded) : encoded;
    }
    return Classify(rows);
  }

  Prediction ContinueImpl(const Batch& utterance, const Tensor& sources, Memory& memory) override {
    auto& past = dynamic_cast<GruMemory&>(memory);
    const Tensor input = MeansSideBySide(utterance.modalities)[0];
    const Tensor encoded = gru_ ? past.state.Step(gru_, input) : past.state.Step(lstm_, input);
    if (!transform_) return Classify(encoded);
    past.encoded.Append(encoded);
    const Tensor all = past.encoded.rows().unsqueeze(0);
    const Tensor query = transform_->forward(encoded).unsqueeze(0);
    const Tensor gathered =
        MatchingAttention(query, all, sources.view({1, 1, -1})).bmm(all).squeeze(0);
    return Classify(options_.residual() ? encoded + gathered : gathered);
  }

  // rows [N, 2 hidden_width]: P.
  Prediction Classify(const Tensor& rows) {
    const Tensor features = torch::relu(linear_->forward(rows));
    const Tensor dropped = Dropout(features, options_.dropout(), is_training());
    return {torch::log_softmax(Float32(head_->forward(dropped)), 1), features};
  }

  // [N, 2 hidden_width] of all batches, one after the other; no utterance sees another conversation
  // or padding. `packing` is that of one batch.
  Tensor EncodePacked(absl::Span<const Batch> batches, const Packing& packing) {
    return EncodeSideBySide(batches, packing, [this](const Tensor& rows, const Tensor& lengths) {
      return Encode(rows, lengths);
    });
  }

  // [B, T, 2 hidden_width]; padding rows are part of every conversation, as in the official code.
  Tensor EncodePadded(const Batch& batch) {
    const Tensor lengths = torch::full_like(batch.lengths, batch.max_length());
    const Tensor rows = Encode(MeansSideBySide(batch.modalities).flatten(0, 1), lengths);
    return rows.view({batch.num_conversations(), batch.max_length(), rows.size(1)});
  }

  Tensor Encode(const Tensor& rows, const Tensor& lengths) {
    return gru_ ? RunRecurrent(gru_, rows, lengths) : RunRecurrent(lstm_, rows, lengths);
  }

  const GruOptions options_;
  // The one that the option `cell` says is set.
  torch::nn::GRU gru_ = nullptr;
  torch::nn::LSTM lstm_ = nullptr;
  torch::nn::Linear transform_ = nullptr;  // null without attention
  torch::nn::Linear linear_ = nullptr;
  torch::nn::Linear head_ = nullptr;
};

const Registered<GruOptions> kRegistered(Backbones(), Gru::Create);

}  // namespace
}  // namespace cmerc
