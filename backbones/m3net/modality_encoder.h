// What M3Net makes of one modality before its graphs: the mean of the normalized streams, a linear
// layer, an encoder along the conversation.
#ifndef CMERC_BACKBONES_M3NET_MODALITY_ENCODER_H_
#define CMERC_BACKBONES_M3NET_MODALITY_ENCODER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "backbones/layers/distinct_rows.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/sequence_encoder.h"
#include "backbones/m3net/m3net.pb.h"
#include "backbones/m3net/stream_norms.h"
#include "core/backbone.h"
#include "core/dataset.h"

namespace torch::nn {
class LinearImpl;
class Module;
}  // namespace torch::nn

namespace cmerc {

// A handle on modules that their parent owns.
class ModalityEncoder {
 public:
  // The encoded modality has norms and, unless options say otherwise, a linear layer and an
  // encoder; another one has a linear layer, and an encoder only on request.
  enum class Role { kEncoded, kOther };

  // Registers the layers of modality m of the data in `parent`, which has the norms already.
  ModalityEncoder(int64_t m, Role role, StreamNorms norms, const M3NetOptions& options,
                  const DatasetInfo& info, torch::nn::Module& parent);

  // The number of the modality in the data.
  int64_t modality() const { return modality_; }
  Role role() const { return role_; }
  bool has_encoder() const { return encoder_.has_value(); }

  // What the encoder reads, or what there is without one.
  struct Rows {
    torch::Tensor values;  // [U, G]: one of each that differ
    DistinctRows distinct;
    bool padded;  // rows of padding are among them
  };

  // The streams [B, T, D], normalized and projected. Updates running statistics in training.
  Rows MakeRows(const std::vector<torch::Tensor>& streams, const Packing& packing,
                bool training) const;

  // See Backbone::UseBatchStatistics().
  void UseBatchStatistics(Backbone::BatchStatistics statistics) const {
    norms_.UseBatchStatistics(statistics);
  }

  // The statistics of a whole batch, which hold until Release(); false: it has none. See
  // Backbone::HoldStatisticsOf().
  bool HoldStatisticsOf(const std::vector<torch::Tensor>& streams, const Packing& packing) const;
  void ReleaseStatistics() const { norms_.Release(); }

  // The rows as recurrent.h wants them.
  static RecurrentRows EncoderInput(const Rows& rows, const Packing& packing);

  // [N, G]: what the encoder makes of EncoderInput(). Not without an encoder.
  torch::Tensor Encode(const RecurrentRows& rows) { return encoder_->Encode(rows); }

 private:
  int64_t modality_;
  Role role_;
  bool official_;
  bool past_;  // an utterance sees no later one
  StreamNorms norms_;
  std::shared_ptr<torch::nn::LinearImpl> linear_;  // null where the streams go on as they are
  std::optional<SequenceEncoder> encoder_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_MODALITY_ENCODER_H_
