// The way of one or more batches through M3Net up to its features. What batches have in common, as
// the views of one batch do, is computed once.
#ifndef CMERC_BACKBONES_M3NET_SHARED_PASSES_H_
#define CMERC_BACKBONES_M3NET_SHARED_PASSES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "backbones/layers/memo.h"
#include "backbones/layers/packing.h"
#include "backbones/m3net/graph_model.h"
#include "backbones/m3net/modality_encoder.h"
#include "core/batch.h"

namespace cmerc {

// For one call: it remembers what it computed from which tensors. In training each batch needs one
// of its own, since each pass has dropout masks and batch statistics of its own, unless they are in
// pairs (Backbone::ForwardPaired()).
class SharedPasses {
 public:
  // encoders: one per modality, the encoded one first. Both must outlive this.
  SharedPasses(std::vector<ModalityEncoder>& encoders, GraphModel& graph_model, bool training)
      : encoders_(encoders), graph_model_(graph_model), training_(training) {}

  // Normalizes and projects the features of a batch before those of all others.
  void MakeRows(const Batch& batch);

  // Runs recurrent encoders, which read their weights at every time step, once over all versions of
  // their modality that are in batches with the utterances of the first.
  void EncodeTogether(absl::Span<const Batch> batches);

  // [N, F]
  torch::Tensor Features(const Batch& batch);

  // The features of batches that have the same utterances, one batch after the other, by one run of
  // the graphs: [batches * N, F].
  torch::Tensor FeaturesTogether(absl::Span<const Batch> batches);

 private:
  using Rows = ModalityEncoder::Rows;
  // Rows, and one of the batches that have them.
  using Version = std::pair<const Rows*, const Batch*>;

  const Packing& PackingOf(const Batch& batch);
  const Rows& RowsOf(int64_t k, const Batch& batch);
  const ModalityNodes& NodesOf(int64_t k, const Batch& batch);
  ModalityNodes MakeNodes(int64_t k, const Batch& batch);
  GraphInput GraphInputOf(const Batch& batch);
  // The rows of modality k that differ among these batches; the one with most rows comes first.
  std::vector<Version> VersionsOf(int64_t k, absl::Span<const Batch> batches);

  std::vector<ModalityEncoder>& encoders_;
  GraphModel& graph_model_;
  const bool training_;
  BatchMemo<Packing> packings_;
  BatchMemo<Rows> rows_;
  BatchMemo<ModalityNodes> nodes_;
  BatchMemo<HypergraphNorms> norms_;
  Memo<HighFrequencyGraph> graphs_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_SHARED_PASSES_H_
