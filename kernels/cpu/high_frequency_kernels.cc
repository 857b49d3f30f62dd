#include "kernels/cpu/high_frequency_kernels.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/scratch.h"

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/high_frequency_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/high_frequency_kernels-inl.h"

namespace cmerc::kernels {
namespace {

HWY_EXPORT(Kernels);

}  // namespace

const HighFrequencyKernels& BestHighFrequencyKernels() { return *HWY_DYNAMIC_DISPATCH(Kernels)(); }

}  // namespace cmerc::kernels
