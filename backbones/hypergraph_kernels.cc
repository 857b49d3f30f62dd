#include "backbones/hypergraph_kernels.h"

#include <algorithm>
#include <vector>

#include "backbones/scratch.h"

namespace cmerc {
namespace {

// One instance per instruction set, by attributes: see recurrent_kernels.cc.
#define CMERC_LANES 4
#define CMERC_TARGET
namespace baseline {
#include "backbones/hypergraph_kernels.inc"
}  // namespace baseline
#undef CMERC_LANES
#undef CMERC_TARGET

#ifdef __x86_64__
#define CMERC_LANES 8
#define CMERC_TARGET __attribute__((target("avx2,fma")))
namespace avx2 {
#include "backbones/hypergraph_kernels.inc"
}  // namespace avx2
#undef CMERC_LANES
#undef CMERC_TARGET

#define CMERC_LANES 16
#define CMERC_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")))
namespace avx512 {
#include "backbones/hypergraph_kernels.inc"
}  // namespace avx512
#undef CMERC_LANES
#undef CMERC_TARGET
#endif  // __x86_64__

}  // namespace

const HypergraphKernels* FindHypergraphKernels(InstructionSet instructions) {
  if (!ProcessorHas(instructions)) return nullptr;
  switch (instructions) {
#ifdef __x86_64__
    case InstructionSet::kAvx512:
      return &avx512::kKernels;
    case InstructionSet::kAvx2:
      return &avx2::kKernels;
#endif  // __x86_64__
    default:
      return &baseline::kKernels;
  }
}

}  // namespace cmerc
