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
// recurrent layers see the whole conversation ("partial").
//
// Parameters have the official names.
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include <string>
#include <vector>

#include "backbones/gru/gru.pb.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/matching_attention.h"
#include "backbones/layers/mean_of_streams.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/recurrent.h"
#include "core/backbone.h"
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
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new Gru(options, info)); });
  }

 private:
  Gru(const GruOptions& options, const DatasetInfo& data) : Backbone(data), options_(options) {
    const int64_t width = WidthSideBySide(info());
    // In the official order, so that the same seed draws the official weights.
    if (options.cell() == GruOptions::GRU) {
      gru_ =
          register_module("gru", torch::nn::GRU(torch::nn::GRUOptions(width, options.hidden_width())
                                                    .num_layers(kLayers)
                                                    .bidirectional(true)
                                                    .dropout(options.dropout())));
    } else {
      lstm_ = register_module("lstm",
                              torch::nn::LSTM(torch::nn::LSTMOptions(width, options.hidden_width())
                                                  .num_layers(kLayers)
                                                  .bidirectional(true)
                                                  .dropout(options.dropout())));
    }
    const int64_t encoded = int64_t{2} * options.hidden_width();
    if (options.attention()) {
      auto attention = register_module("matchatt", std::make_shared<torch::nn::Module>());
      transform_ = attention->register_module("transform", torch::nn::Linear(encoded, encoded));
    }
    linear_ = register_module("linear", torch::nn::Linear(encoded, options.linear_width()));
    head_ =
        register_module("smax_fc", torch::nn::Linear(options.linear_width(), info().num_classes()));
  }

  Prediction ForwardImpl(const Batch& batch) override {
    const Packing packing(batch);
    const bool padded = options_.semantics() == OFFICIAL;
    const Tensor encoded = padded ? EncodePadded(batch) : EncodePacked(batch, packing);
    Tensor rows;
    if (transform_) {
      const Tensor memory = padded ? encoded : packing.Pad(encoded);
      const Tensor gathered =
          GatherByMatching(memory, transform_->weight, transform_->bias, batch.context);
      rows = packing.Pack(options_.residual() ? memory + gathered : gathered);
    } else {
      rows = padded ? packing.Pack(encoded) : encoded;
    }
    const Tensor features = torch::relu(linear_->forward(rows));
    const Tensor dropped = Dropout(features, options_.dropout(), is_training());
    return {torch::log_softmax(Float32(head_->forward(dropped)), 1), features};
  }

  // [N, 2 hidden_width]; no utterance sees another conversation or padding.
  Tensor EncodePacked(const Batch& batch, const Packing& packing) {
    return Encode(packing.Pack(MeansSideBySide(batch.modalities)), packing.lengths());
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
