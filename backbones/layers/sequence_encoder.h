// Encoders along the time axis of a conversation: GRU or LSTM, bidirectional unless no utterance
// may see a later one, or a transformer layer.
#ifndef CMERC_BACKBONES_LAYERS_SEQUENCE_ENCODER_H_
#define CMERC_BACKBONES_LAYERS_SEQUENCE_ENCODER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "torch/types.h"

namespace torch::nn {
class GRUImpl;
class LSTMImpl;
class Module;
class TransformerEncoderLayerImpl;
}  // namespace torch::nn

namespace cmerc {

struct RecurrentRows;

// A handle on one module, which its parent owns under the official code's name (model_cm.py, class
// Model): "gru_l", "lstm_a", "trans_v", ...
class SequenceEncoder {
 public:
  enum class Kind { kGru, kLstm, kTransformer };

  // Registers the module as PREFIX_suffix in `parent`. It maps rows of `width` to rows of `width`:
  // even, and a multiple of 4 for a transformer. `dropout` acts between the two recurrent layers;
  // the transformer has its own, 0.1. `past`: no utterance sees a later one; a recurrent network
  // then runs forwards only, `width` wide. Not with padding.
  SequenceEncoder(torch::nn::Module& parent, Kind kind, const std::string& suffix, int64_t width,
                  double dropout, bool past);

  // The module's name in its parent.
  static std::string Name(Kind kind, const std::string& suffix);

  // rows.inputs (recurrent.h) are `width` wide -> [N, width], the utterances. Without padding no
  // utterance sees another conversation; with it, padding is part of every conversation, as in the
  // official code.
  torch::Tensor Encode(const RecurrentRows& rows);

 private:
  torch::Tensor RunTransformer(const RecurrentRows& rows);

  Kind kind_;
  bool past_;
  // The one that `kind_` says is set.
  std::shared_ptr<torch::nn::GRUImpl> gru_;
  std::shared_ptr<torch::nn::LSTMImpl> lstm_;
  std::shared_ptr<torch::nn::TransformerEncoderLayerImpl> transformer_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_SEQUENCE_ENCODER_H_
