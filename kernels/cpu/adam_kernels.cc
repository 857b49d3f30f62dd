#include "kernels/cpu/adam_kernels.h"

#include "kernels/cpu/highway_targets.h"

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/adam_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/adam_kernels-inl.h"

namespace cmerc::kernels {
namespace {

HWY_EXPORT(Update);

}  // namespace

void UpdateAdam(const AdamFactors& factors, const AdamNumbers& numbers, int64_t begin,
                int64_t end) {
  HWY_DYNAMIC_DISPATCH(Update)(factors, numbers, begin, end);
}

}  // namespace cmerc::kernels
