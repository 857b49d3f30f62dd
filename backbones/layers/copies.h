// Passes over several batches at once that hold the same utterances, in pairs
// (Backbone::ForwardPaired()): a batch as it is, and without sources of evidence.
//
// Each batch is a copy of their utterances. Copies lie one after the other, as if their
// conversations were as many more of one batch: what is done conversation by conversation, or row
// by row, knows nothing of them. Of what only a few copies differ by, such as the features of a
// modality, there are fewer versions than copies, and what is made of it is made once for each.
#ifndef CMERC_BACKBONES_LAYERS_COPIES_H_
#define CMERC_BACKBONES_LAYERS_COPIES_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "backbones/layers/packing.h"
#include "core/batch.h"

namespace cmerc {

// While it lives, the rows that layers of this thread work on are those of so many copies, one copy
// after the other: dropout draws for the first copy what it would draw for that alone, and leaves
// the same out of all (dropout.h, recurrent.h).
class CopiesInPass {
 public:
  explicit CopiesInPass(size_t copies);
  ~CopiesInPass();
  CopiesInPass(const CopiesInPass&) = delete;
  CopiesInPass& operator=(const CopiesInPass&) = delete;

  // How many there are now, by the one that was made last; 1 where none lives.
  static int64_t Now();

 private:
  const int64_t before_;
};

// Where the utterances of the first of these batches are; `packing` is that of all.
inline Packing PackingOfFirst(absl::Span<const Batch> batches, const Packing& packing) {
  return batches.size() == 1 ? packing : Packing(batches[0]);
}

// The conversations of all batches as those of one, but for their features: it has no modalities.
// Just one batch is itself.
Batch JoinWithoutFeatures(absl::Span<const Batch> batches);

// The versions of a part of these batches, told apart by its tensors (Tensor::is_same). The first
// is that of the first batch. Batches must outlive this.
class Versions {
 public:
  // Of the features of modality m.
  static Versions OfModality(absl::Span<const Batch> batches, int64_t m);
  // Of the features of all modalities.
  static Versions OfFeatures(absl::Span<const Batch> batches);

  size_t count() const { return batches_.size(); }  // V

  // [V B] on the CPU: the lengths of the conversations of all versions.
  torch::Tensor lengths() const;

  // make(batch) [R, ...] for a batch of each version, one after the other: [V R, ...].
  torch::Tensor Join(absl::FunctionRef<torch::Tensor(const Batch&)> make) const;

  // Join() of layer(rows of the utterances of modality m, the mean of its streams [N, D_m]), where
  // `layer` maps rows one by one: [V N, ...]. Where a version has one row all through a
  // conversation, as one without the modality has, that goes through it once. `packing` is that of
  // one batch. `past`: rows may not count as one, see DistinctRows.
  torch::Tensor MapRows(int64_t m, const Packing& packing, bool past,
                        absl::FunctionRef<torch::Tensor(const torch::Tensor&)> layer) const;

  // rows [V R, ...] -> [C R, ...]: for each batch those of its version.
  torch::Tensor ToCopies(const torch::Tensor& rows) const;

 private:
  Versions(absl::Span<const Batch> batches, std::vector<int64_t> modalities);

  std::vector<const Batch*> batches_;  // [V], one of each
  std::vector<int64_t> of_copy_;       // [C]
};

// What `encode` makes of the features of all batches, all modalities side by side: rows [V N, sum
// D_m] of the versions, packed, and their lengths [V B] -> [V N, H]. Returns [C N, H], for each
// batch that of its version; dropout in `encode` knows of versions. `packing` is that of one batch.
torch::Tensor EncodeSideBySide(
    absl::Span<const Batch> batches, const Packing& packing,
    absl::FunctionRef<torch::Tensor(const torch::Tensor& rows, const torch::Tensor& lengths)>
        encode);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_COPIES_H_
