// Arithmetic that stays in float32 with training { precision: BF16 }: what has no other kernels,
// and what rounding to 8 bits would spoil.
#ifndef CMERC_BACKBONES_LAYERS_FLOAT32_H_
#define CMERC_BACKBONES_LAYERS_FLOAT32_H_

#include <c10/core/impl/LocalDispatchKeySet.h>

#include "torch/types.h"

namespace cmerc {

// What a product left in bfloat16, in float32; anything else is itself.
inline torch::Tensor Float32(const torch::Tensor& x) {
  return x.scalar_type() == torch::kBFloat16 ? x.to(torch::kFloat32) : x;
}

// While it lives, LibTorch's products take their operands as they are.
class WithoutAutocast {
 public:
  WithoutAutocast() : guard_(c10::autocast_dispatch_keyset) {}

 private:
  c10::impl::ExcludeDispatchKeyGuard guard_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_FLOAT32_H_
