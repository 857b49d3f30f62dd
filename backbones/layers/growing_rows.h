// Rows that come one after the other, as a matrix.
#ifndef CMERC_BACKBONES_LAYERS_GROWING_ROWS_H_
#define CMERC_BACKBONES_LAYERS_GROWING_ROWS_H_

#include <cstdint>

#include "torch/types.h"

namespace cmerc {

class GrowingRows {
 public:
  // row [1, W], of the same width and type each time. The memory is at most twice that of the rows,
  // but for the first kFirst of them.
  void Append(const torch::Tensor& row);

  // [n, W], which shares memory with this; only once there is a row.
  torch::Tensor rows() const { return all_.narrow(0, 0, count_); }
  int64_t count() const { return count_; }  // n

 private:
  static constexpr int64_t kFirst = 16;

  torch::Tensor all_;  // [capacity, W]
  int64_t count_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_GROWING_ROWS_H_
