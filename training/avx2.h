// Loops that are compiled once more for wider vectors: twice the width of x86-64's own, and no
// fused multiplication and addition, so that results are the same bits.
#ifndef CMERC_TRAINING_AVX2_H_
#define CMERC_TRAINING_AVX2_H_

namespace cmerc {

#ifdef __x86_64__
#define CMERC_AVX2 __attribute__((target("avx2")))
inline bool HasAvx2() { return __builtin_cpu_supports("avx2"); }
#else
#define CMERC_AVX2
inline bool HasAvx2() { return false; }
#endif  // __x86_64__

}  // namespace cmerc

#endif  // CMERC_TRAINING_AVX2_H_
