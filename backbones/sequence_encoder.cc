#include "backbones/sequence_encoder.h"

#include <torch/nn/utils/rnn.h>

#include "absl/strings/str_cat.h"

namespace cmerc {

using torch::Tensor;
using torch::nn::utils::rnn::PackedSequence;

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
  if (kind_ == Kind::kTransformer) {
    const Tensor padded = packing.Pad(packed).transpose(0, 1);
    const Tensor encoded = transformer_->forward(padded, /*src_mask=*/{},
                                                 /*src_key_padding_mask=*/~packing.valid());
    return packing.Pack(encoded.transpose(0, 1).contiguous());
  }
  const Packing::TimeMajor time_major = packing.MakeTimeMajor();
  const PackedSequence sequence(SelectRows(packed, time_major.order), time_major.batch_sizes);
  const PackedSequence encoded = kind_ == Kind::kGru
                                     ? std::get<0>(gru_->forward_with_packed_input(sequence))
                                     : std::get<0>(lstm_->forward_with_packed_input(sequence));
  return PlaceRows(encoded.data(), time_major.order, packed.size(0));
}

Tensor SequenceEncoder::EncodePadded(const Tensor& padded) {
  const Tensor input = padded.transpose(0, 1);
  switch (kind_) {
    case Kind::kGru:
      return std::get<0>(gru_->forward(input)).transpose(0, 1);
    case Kind::kLstm:
      return std::get<0>(lstm_->forward(input)).transpose(0, 1);
    case Kind::kTransformer:
      return transformer_->forward(input).transpose(0, 1);
  }
  return padded;
}

}  // namespace cmerc
