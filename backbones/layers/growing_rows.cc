#include "backbones/layers/growing_rows.h"

namespace cmerc {

void GrowingRows::Append(const torch::Tensor& row) {
  if (!all_.defined()) {
    all_ = torch::empty({kFirst, row.size(1)}, row.options().requires_grad(false));
  } else if (count_ == all_.size(0)) {
    const torch::Tensor larger = torch::empty({2 * count_, all_.size(1)}, all_.options());
    larger.narrow(0, 0, count_).copy_(all_);
    all_ = larger;
  }
  all_.narrow(0, count_, 1).copy_(row);
  ++count_;
}

}  // namespace cmerc
