// Which instruction sets Google Highway compiles the kernels for. Every file that includes another
// of Highway's headers includes this one before.
#ifndef CMERC_KERNELS_CPU_HIGHWAY_TARGETS_H_
#define CMERC_KERNELS_CPU_HIGHWAY_TARGETS_H_

// What is left: SSSE3, AVX2 and AVX-512 on x86-64, NEON on arm64, and single numbers for processors
// without any of them. Sets with instructions that the kernels have no use for would only cost
// compile time. The vectors of SVE have no size that the compiler knows, so that there can be no
// array of them, and no tile of registers.
#define HWY_DISABLED_TARGETS \
  (HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#include "hwy/targets.h"

#endif  // CMERC_KERNELS_CPU_HIGHWAY_TARGETS_H_
