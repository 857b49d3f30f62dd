// Work on all pairs of a conversation's utterances, in memory that does not grow with their number:
// without gradients, what is computed for a row of pairs is needed only until its result is known.
#ifndef CMERC_BACKBONES_LAYERS_ROW_BLOCKS_H_
#define CMERC_BACKBONES_LAYERS_ROW_BLOCKS_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "torch/types.h"

namespace cmerc {

// How rows are divided: not at all where gradients are wanted or the pairs are few.
class RowBlocks {
 public:
  // `rows` rows of `row_size` numbers each. One block where `divisible` is false.
  RowBlocks(int64_t rows, int64_t row_size, bool divisible = true);

  int64_t rows() const { return rows_; }
  bool whole() const { return block_ == rows_; }

  // Calls f(first, count) for each block of rows.
  template <typename F>
  void ForEach(const F& f) const {
    for (int64_t first = 0; first < rows_; first += block_) {
      f(first, std::min(block_, rows_ - first));
    }
  }

  // The tensors f(first, count), which have `count` rows, one after the other along `axis`.
  template <typename F>
  torch::Tensor Gather(int64_t axis, const F& f) const {
    if (whole()) return f(0, rows_);
    torch::Tensor all;
    ForEach([&](int64_t first, int64_t count) { Put(f(first, count), axis, first, all); });
    return all;
  }

 private:
  // Writes a block to its place in `all`, which is made for the first one.
  void Put(const torch::Tensor& block, int64_t axis, int64_t first, torch::Tensor& all) const;

  int64_t rows_;
  int64_t block_;
};

// x with rows [first, first + count) of `axis`: x itself where that is all of them.
torch::Tensor RowsOf(const torch::Tensor& x, int64_t axis, int64_t first, int64_t count);

// A tensor [A, rows, ...] whose rows are computed when they are asked for, unless they are not
// divided: then all of them are at once, and kept.
class LazyRows {
 public:
  using Make = std::function<torch::Tensor(int64_t first, int64_t count)>;

  LazyRows(const RowBlocks& blocks, Make make);
  // Rows that are there already. Not explicit: such a tensor serves wherever rows are asked for.
  LazyRows(torch::Tensor all);

  const RowBlocks& blocks() const { return blocks_; }

  // [A, count, ...]
  torch::Tensor Rows(int64_t first, int64_t count) const;
  torch::Tensor All() const { return Rows(0, blocks_.rows()); }

 private:
  RowBlocks blocks_;
  Make make_;
  torch::Tensor all_;  // undefined where rows are divided
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_ROW_BLOCKS_H_
