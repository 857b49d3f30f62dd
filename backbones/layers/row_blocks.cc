#include "backbones/layers/row_blocks.h"

#include <vector>

namespace cmerc {
namespace {

using torch::Tensor;

// Up to so many numbers, 64 MB of float32, rows are not divided.
constexpr int64_t kMostWhole = int64_t{1} << 24;
// A block has about so many, and a multiple of so many rows: libraries multiply small matrices in
// another way, and so in other bits.
constexpr int64_t kBlock = int64_t{1} << 22;
constexpr int64_t kFewestRows = 64;

int64_t BlockSize(int64_t rows, int64_t row_size, bool divisible) {
  if (!divisible || torch::GradMode::is_enabled() || rows * row_size <= kMostWhole) return rows;
  const int64_t fitting = kBlock / row_size / kFewestRows * kFewestRows;
  return std::min(rows, std::max(kFewestRows, fitting));
}

}  // namespace

RowBlocks::RowBlocks(int64_t rows, int64_t row_size, bool divisible)
    : rows_(rows), block_(BlockSize(rows, row_size, divisible)) {}

void RowBlocks::Put(const Tensor& block, int64_t axis, int64_t first, Tensor& all) const {
  if (!all.defined()) {
    std::vector<int64_t> shape = block.sizes().vec();
    shape[axis] = rows_;
    all = torch::empty(shape, block.options());
  }
  all.narrow(axis, first, block.size(axis)).copy_(block);
}

Tensor RowsOf(const Tensor& x, int64_t axis, int64_t first, int64_t count) {
  return count == x.size(axis) ? x : x.narrow(axis, first, count);
}

LazyRows::LazyRows(const RowBlocks& blocks, Make make) : blocks_(blocks) {
  if (blocks_.whole()) {
    all_ = make(0, blocks_.rows());
  } else {
    make_ = std::move(make);
  }
}

LazyRows::LazyRows(Tensor all)
    : blocks_(all.size(1), /*row_size=*/0, /*divisible=*/false), all_(std::move(all)) {}

Tensor LazyRows::Rows(int64_t first, int64_t count) const {
  return all_.defined() ? RowsOf(all_, 1, first, count) : make_(first, count);
}

}  // namespace cmerc
