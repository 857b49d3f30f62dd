// The loops of dropout.h, vectorized for what the processor offers. No LibTorch here.
#ifndef CMERC_KERNELS_CPU_DROPOUT_KERNELS_H_
#define CMERC_KERNELS_CPU_DROPOUT_KERNELS_H_

#include <cstdint>

namespace cmerc::kernels {

// The state of a Mersenne Twister, MT19937 (Matsumoto and Nishimura, "Mersenne Twister", ACM
// TOMACS 1998), as LibTorch's at::mt19937 keeps it.
struct MersenneTwister {
  static constexpr int kWords = 624;
  uint32_t* words;  // [kWords]
  uint32_t next;    // the word that makes the next random number, if there is one
  int left;         // 1 + random numbers that are left before all words are replaced
};

// drawn[i] = u < probability for i < count, where u is uniform over the multiples of 2^-53 in
// [0, 1): two random numbers each, the same as at::bernoulli_distribution<double> takes from the
// same state, which becomes the same too.
void DrawBernoulli(MersenneTwister& twister, double probability, int64_t count, uint8_t* drawn);

// y[i] = x[i] * (kept[i] * scale), where kept[i] is 0 or 1.
void ScaleKept(const float* x, const uint8_t* kept, float scale, int64_t count, float* y);

// y becomes what ScaleKept() writes, with 0 instead of anything below; kept[i] becomes 0 where x[i]
// is not above 0.
void ScaleKeptPositive(const float* x, float scale, int64_t count, uint8_t* kept, float* y);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_DROPOUT_KERNELS_H_
