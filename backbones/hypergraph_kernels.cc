#include "backbones/hypergraph_kernels.h"

#include <algorithm>
#include <vector>

#include "backbones/scratch.h"

namespace cmerc {
namespace {

#define CMERC_KERNEL_FILE "backbones/hypergraph_kernels.inc"
#include "backbones/kernel_instances.inc"
#undef CMERC_KERNEL_FILE

}  // namespace

const HypergraphKernels* FindHypergraphKernels(InstructionSet instructions) {
  return InstanceFor(instructions, avx512::kKernels, avx2::kKernels, baseline::kKernels);
}

}  // namespace cmerc
