// How the streams of the encoded modality are normalized before their mean is taken: by batch
// normalization (BN) or layer normalization (LN) with weights of its own for each stream, over a
// whole conversation (LN2), or not at all.
#ifndef CMERC_BACKBONES_M3NET_STREAM_NORMS_H_
#define CMERC_BACKBONES_M3NET_STREAM_NORMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backbones/layers/packing.h"
#include "backbones/m3net/m3net.pb.h"
#include "core/backbone.h"
#include "core/dataset.h"

namespace torch::nn {
class BatchNorm1dImpl;
class LayerNormImpl;
class Module;
}  // namespace torch::nn

namespace cmerc {

// A handle on modules that their parent owns.
class StreamNorms {
 public:
  // Normalizes nothing: for modalities that are not encoded.
  StreamNorms() = default;

  // Registers a normalization of each stream of `modality` in `parent` where `norm` has weights.
  StreamNorms(M3NetOptions::Norm norm, const ModalityInfo& modality, torch::nn::Module& parent);

  // The name of a stream's module; kind is "BN" or "LN": normBNa, normBNb, ...
  static std::string Name(const std::string& kind, int64_t stream);

  // Whether rows depend on each other: those of a batch (BN in training), or those of a
  // conversation (LN2), for which NormalizeConversations() does the work.
  bool OverBatch(bool training) const { return norm_ == M3NetOptions::BN && training; }
  bool OverConversations() const { return norm_ == M3NetOptions::LN2; }

  // The sum of the normalized streams begin to end - 1, all of which are `rows` [R, D], divided by
  // num_streams, the number of all streams: [R, D]. Without weights, that share of `rows`. Updates
  // running statistics in training.
  torch::Tensor NormalizeRows(const torch::Tensor& rows, size_t begin, size_t end,
                              size_t num_streams, bool training) const;

  // BN: see Backbone::UseBatchStatistics(). All copies of this handle obey.
  void UseBatchStatistics(Backbone::BatchStatistics statistics) const;

  // BN: see Backbone::HoldStatisticsOf(). What is normalized between Begin and End, without
  // gradient, is the whole batch.
  void BeginHold() const;
  void EndHold() const;
  void Release() const;

  // LN2: mean 0 and variance 1 over all features of a conversation, [B, T, D] -> [B, T, D]. Without
  // `count_padding` the result is 0 on padding; with it, as in the official code, padding counts as
  // rows of the conversation.
  static torch::Tensor NormalizeConversations(const torch::Tensor& stream, const Packing& packing,
                                              bool count_padding);

 private:
  // What a pass in training normalized, for the passes that are paired with it.
  struct Pass {
    torch::Tensor rows;        // [R, D]
    torch::Tensor normalized;  // [R, D]; undefined once it is held
    torch::Tensor mean;        // [D]
    torch::Tensor variance;    // [D], as the running one counts it: over R - 1
  };
  struct Passes {
    Backbone::BatchStatistics statistics = Backbone::BatchStatistics::kOwn;
    std::map<size_t, Pass> kept;  // by the first of the streams that were normalized at once
    bool held = false;            // those of a whole batch, which stay until Release()
  };

  // Whether these streams are normalized by statistics that an earlier pass left.
  bool IsKept(size_t begin) const;
  torch::Tensor NormalizeByBatch(const torch::Tensor& rows, size_t begin, size_t end,
                                 size_t num_streams) const;
  torch::Tensor NormalizeByKept(const Pass& kept, const torch::Tensor& rows, size_t begin,
                                size_t end, size_t num_streams) const;
  torch::Tensor NormalizeByRunningStatistics(const torch::Tensor& rows, size_t begin, size_t end,
                                             size_t num_streams) const;
  torch::Tensor NormalizeByLayer(const torch::Tensor& rows, size_t begin, size_t end,
                                 size_t num_streams) const;

  M3NetOptions::Norm norm_ = M3NetOptions::NO_NORM;
  std::vector<std::shared_ptr<torch::nn::BatchNorm1dImpl>> batch_norms_;  // per stream, with BN
  std::vector<std::shared_ptr<torch::nn::LayerNormImpl>> layer_norms_;    // per stream, with LN
  std::shared_ptr<Passes> passes_ = std::make_shared<Passes>();
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_STREAM_NORMS_H_
