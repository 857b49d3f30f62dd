#include "kernels/cpu/hypergraph_kernels.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/scratch.h"

namespace cmerc {
namespace {

#define CMERC_KERNEL_FILE "kernels/cpu/hypergraph_kernels.inc"
#include "kernels/cpu/kernel_instances.inc"
#undef CMERC_KERNEL_FILE

}  // namespace

const HypergraphKernels* FindHypergraphKernels(InstructionSet instructions) {
  return InstanceFor(instructions, avx512::kKernels, avx2::kKernels, baseline::kKernels);
}

}  // namespace cmerc
