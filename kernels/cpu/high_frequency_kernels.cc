#include "kernels/cpu/high_frequency_kernels.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/scratch.h"

namespace cmerc {
namespace {

#define CMERC_KERNEL_FILE "kernels/cpu/high_frequency_kernels.inc"
#include "kernels/cpu/kernel_instances.inc"
#undef CMERC_KERNEL_FILE

}  // namespace

const HighFrequencyKernels* FindHighFrequencyKernels(InstructionSet instructions) {
  return InstanceFor(instructions, avx512::kKernels, avx2::kKernels, baseline::kKernels);
}

}  // namespace cmerc
