// What several passes over batches that hold the same tensors compute once.
#ifndef CMERC_BACKBONES_LAYERS_MEMO_H_
#define CMERC_BACKBONES_LAYERS_MEMO_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "core/batch.h"

namespace cmerc {

// Remembers what was computed from which tensors (Tensor::is_same) and of which kind. It must not
// outlive the numbers in them: use one for one call.
template <typename Value>
class Memo {
 public:
  // The value for this key and kind: compute(), called when it is asked for the first time. The
  // reference stays valid as long as the memo.
  template <typename Compute>
  const Value& Get(std::vector<torch::Tensor> key, const Compute& compute, int64_t kind = 0) {
    for (const Entry& entry : entries_) {
      if (entry.kind == kind &&
          std::equal(entry.key.begin(), entry.key.end(), key.begin(), key.end(),
                     [](const torch::Tensor& a, const torch::Tensor& b) { return a.is_same(b); })) {
        return entry.value;
      }
    }
    entries_.push_back({std::move(key), kind, compute()});
    return entries_.back().value;
  }

 private:
  struct Entry {
    std::vector<torch::Tensor> key;
    int64_t kind;
    Value value;
  };
  std::deque<Entry> entries_;
};

// Whether the utterances of both are at the same places and by the same speakers, told by their
// tensors: lengths say how many there are, and speakers [B, T] how long the longest one counts.
inline bool HaveSameUtterances(const Batch& a, const Batch& b) {
  return a.lengths.is_same(b.lengths) && a.speakers.is_same(b.speakers);
}

// A Memo whose keys are parts of a batch. Views of one batch share all parts that they leave alone.
template <typename Value>
class BatchMemo {
 public:
  // compute() depends on where the utterances are and on their speakers (HaveSameUtterances()).
  template <typename Compute>
  const Value& OfUtterances(const Batch& batch, const Compute& compute) {
    return memo_.Get({batch.lengths, batch.speakers}, compute, /*kind=*/-1);
  }

  // compute() depends on that and on modality m, the number and its streams.
  template <typename Compute>
  const Value& OfModality(const Batch& batch, int64_t m, const Compute& compute) {
    std::vector<torch::Tensor> key = {batch.lengths, batch.speakers};
    const std::vector<torch::Tensor>& streams = batch.modalities[m].streams;
    key.insert(key.end(), streams.begin(), streams.end());
    return memo_.Get(std::move(key), compute, /*kind=*/m);
  }

 private:
  Memo<Value> memo_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_MEMO_H_
