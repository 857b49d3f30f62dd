#include "backbones/sequence_encoder.h"

#include "absl/strings/str_cat.h"
#include "backbones/recurrent.h"

namespace cmerc {

using torch::Tensor;

SequenceEncoder::SequenceEncoder(torch::nn::Module& parent, Kind kind, const std::string& suffix,
                                 int64_t width, double dropout)
    : kind_(kind) {
  const std::string name = Name(kind, suffix);
  switch (kind) {
    case Kind::kGru:
      gru_ = parent.register_module(name, torch::nn::GRU(torch::nn::GRUOptions(width, width / 2)
                                                             .num_layers(2)
                                                             .bidirectional(true)
                                                             .dropout(dropout)));
      return;
    case Kind::kLstm:
      lstm_ = parent.register_module(name, torch::nn::LSTM(torch::nn::LSTMOptions(width, width / 2)
                                                               .num_layers(2)
                                                               .bidirectional(true)
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

Tensor SequenceEncoder::EncodePacked(const Tensor& packed, const Packing& packing) {
  switch (kind_) {
    case Kind::kGru:
      return RunRecurrent(gru_, packed, packing.lengths());
    case Kind::kLstm:
      return RunRecurrent(lstm_, packed, packing.lengths());
    case Kind::kTransformer: {
      const Tensor padded = packing.Pad(packed).transpose(0, 1);
      const Tensor encoded = transformer_->forward(padded, /*src_mask=*/{},
                                                   /*src_key_padding_mask=*/~packing.valid());
      return packing.Pack(encoded.transpose(0, 1).contiguous());
    }
  }
  return packed;
}

Tensor SequenceEncoder::EncodePadded(const Tensor& padded) {
  if (kind_ == Kind::kTransformer) {
    return transformer_->forward(padded.transpose(0, 1)).transpose(0, 1);
  }
  // Whole conversations of T utterances, some of them padding.
  const Tensor rows = padded.flatten(0, 1);
  const Tensor lengths = torch::full({padded.size(0)}, padded.size(1), torch::kInt64);
  const Tensor encoded =
      kind_ == Kind::kGru ? RunRecurrent(gru_, rows, lengths) : RunRecurrent(lstm_, rows, lengths);
  return encoded.view(padded.sizes());
}

}  // namespace cmerc
