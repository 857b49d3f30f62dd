#include "backbones/layers/sequence_encoder.h"

#include <torch/nn/modules/rnn.h>
#include <torch/nn/modules/transformerlayer.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/recurrent.h"
#include "core/batch.h"
#include "core/to_device.h"

namespace cmerc {

using torch::Tensor;

SequenceEncoder::SequenceEncoder(torch::nn::Module& parent, Kind kind, const std::string& suffix,
                                 int64_t width, double dropout, bool past)
    : kind_(kind), past_(past) {
  const std::string name = Name(kind, suffix);
  const int64_t state = past ? width : width / 2;
  switch (kind) {
    case Kind::kGru:
      gru_ = parent.register_module(name, torch::nn::GRU(torch::nn::GRUOptions(width, state)
                                                             .num_layers(2)
                                                             .bidirectional(!past)
                                                             .dropout(dropout)));
      return;
    case Kind::kLstm:
      lstm_ = parent.register_module(name, torch::nn::LSTM(torch::nn::LSTMOptions(width, state)
                                                               .num_layers(2)
                                                               .bidirectional(!past)
                                                               .dropout(dropout)));
      return;
    case Kind::kTransformer:
      transformer_ = parent.register_module(
          name, torch::nn::TransformerEncoderLayer(
                    torch::nn::TransformerEncoderLayerOptions(width, /*nhead=*/4)));
      return;
  }
}

std::string SequenceEncoder::Name(Kind kind, const std::string& suffix) {
  switch (kind) {
    case Kind::kGru:
      return absl::StrCat("gru_", suffix);
    case Kind::kLstm:
      return absl::StrCat("lstm_", suffix);
    case Kind::kTransformer:
      return absl::StrCat("trans_", suffix);
  }
  return suffix;
}

Tensor SequenceEncoder::Encode(const RecurrentRows& rows) {
  switch (kind_) {
    case Kind::kGru: {
      torch::nn::GRU gru(gru_);
      return RunRecurrent(gru, rows);
    }
    case Kind::kLstm: {
      torch::nn::LSTM lstm(lstm_);
      return RunRecurrent(lstm, rows);
    }
    case Kind::kTransformer:
      return RunTransformer(rows);
  }
  return rows.inputs;
}

Tensor SequenceEncoder::RunTransformer(const RecurrentRows& rows) {
  const WithoutAutocast float32;
  const torch::Device device = rows.inputs.device();
  const Tensor inputs = Float32(rows.inputs);
  const Tensor all =
      rows.input_of.defined() ? inputs.index_select(0, ToDevice(rows.input_of, device)) : inputs;
  const int64_t longest =
      rows.padded_length > 0 ? rows.padded_length : rows.lengths.max().item<int64_t>();
  const Packing packing(rows.lengths, longest, device);
  const int64_t num_utterances = packing.num_utterances();
  Tensor padded = packing.Pad(all.narrow(0, 0, num_utterances));  // [B, T, width]
  if (rows.padded_length == 0) {
    // Minus infinity where the second utterance comes after the first one.
    const Tensor later =
        past_ ? torch::full({longest, longest}, -std::numeric_limits<float>::infinity(),
                            inputs.options().requires_grad(false))
                    .triu(1)
              : Tensor();
    return packing.Pack(transformer_
                            ->forward(padded.transpose(0, 1), /*src_mask=*/later,
                                      /*src_key_padding_mask=*/packing.valid().logical_not())
                            .transpose(0, 1)
                            .contiguous());
  }
  const int64_t num_padding = all.size(0) - num_utterances;
  if (num_padding > 0) {
    const Tensor positions = ToDevice(
        ValidRows(rows.lengths, longest).flatten().logical_not().nonzero().squeeze(1), device);
    padded = padded + PlaceRows(all.narrow(0, num_utterances, num_padding), positions,
                                padded.size(0) * longest)
                          .view(padded.sizes());
  }
  return packing.Pack(transformer_->forward(padded.transpose(0, 1)).transpose(0, 1).contiguous());
}

}  // namespace cmerc
