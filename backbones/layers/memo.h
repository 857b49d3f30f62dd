// What several passes over batches that hold the same tensors have in common.
#ifndef CMERC_BACKBONES_LAYERS_MEMO_H_
#define CMERC_BACKBONES_LAYERS_MEMO_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "torch/types.h"

namespace cmerc {

// Remembers what was computed from which tensors (Tensor::is_same) and of which kind. Lives as long
// as nobody writes to them.
template <typename Value>
class Memo {
 public:
  // The reference stays valid.
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

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_MEMO_H_
