#include "kernels/cpu/dropout_kernels.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/instruction_set.h"

namespace cmerc {
namespace {

constexpr int kWords = MersenneTwister::kWords;

// Bodies are compiled once per instruction set, inside a function that has its attribute.
#define CMERC_BODY __attribute__((always_inline)) inline

CMERC_BODY uint32_t Twist(uint32_t high, uint32_t low) {
  return ((high & 0x80000000U) | (low & 0x7FFFFFFFU)) >> 1 ^ ((0 - (low & 1)) & 0x9908B0DFU);
}

// Replaces all words.
CMERC_BODY void Refill(uint32_t* words) {
  constexpr int kFar = 397;
  for (int i = 0; i < kWords - kFar; ++i) {
    words[i] = words[i + kFar] ^ Twist(words[i], words[i + 1]);
  }
  // Each reads what the 227 before it have not written yet: vectors are far shorter.
  for (int i = kWords - kFar; i < kWords - 1; ++i) {
    words[i] = words[i + kFar - kWords] ^ Twist(words[i], words[i + 1]);
  }
  words[kWords - 1] = words[kFar - 1] ^ Twist(words[kWords - 1], words[0]);
}

CMERC_BODY void Temper(const uint32_t* words, int count, uint32_t* numbers) {
  for (int i = 0; i < count; ++i) {
    uint32_t y = words[i];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680U;
    y ^= y << 15 & 0xEFC60000U;
    numbers[i] = y ^ y >> 18;
  }
}

CMERC_BODY void Draw(MersenneTwister& twister, double probability, int64_t count, uint8_t* drawn) {
  // u = k * 2^-53 for an integer k, so u < probability where k < ceil(probability * 2^53). The
  // first random number has the upper 21 bits of k.
  const auto limit = static_cast<uint64_t>(std::ceil(std::ldexp(probability, 53)));
  const auto high_limit = static_cast<uint32_t>(limit >> 32);
  const auto low_limit = static_cast<uint32_t>(limit);
  constexpr int kPairs = 1024;
  uint32_t numbers[2 * kPairs];
  for (int64_t first = 0; first < count; first += kPairs) {
    const int pairs = static_cast<int>(std::min<int64_t>(kPairs, count - first));
    for (int filled = 0; filled < 2 * pairs;) {
      if (twister.left <= 1) {
        Refill(twister.words);
        twister.next = 0;
        twister.left = kWords + 1;
      }
      const int size = std::min(2 * pairs - filled, twister.left - 1);
      Temper(twister.words + twister.next, size, numbers + filled);
      twister.next += static_cast<uint32_t>(size);
      twister.left -= size;
      filled += size;
    }
    for (int i = 0; i < pairs; ++i) {
      const uint32_t high = numbers[2 * i] & 0x1FFFFFU;
      const uint32_t low = numbers[2 * i + 1];
      drawn[first + i] =
          static_cast<uint8_t>((high < high_limit) | ((high == high_limit) & (low < low_limit)));
    }
  }
}

CMERC_BODY void Scale(const float* x, const uint8_t* kept, float scale, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * (static_cast<float>(kept[i]) * scale);
}

CMERC_BODY void ScalePositive(const float* x, float scale, int64_t count, uint8_t* kept, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = x[i] * (static_cast<float>(kept[i]) * scale);
    y[i] = value < 0 ? 0 : value;  // NaN stays
  }
  for (int64_t i = 0; i < count; ++i) kept[i] &= static_cast<uint8_t>(x[i] > 0);
}

#undef CMERC_BODY

struct Kernels {
  void (*draw)(MersenneTwister&, double, int64_t, uint8_t*);
  void (*scale)(const float*, const uint8_t*, float, int64_t, float*);
  void (*scale_positive)(const float*, float, int64_t, uint8_t*, float*);
};

#define CMERC_KERNELS(NAME, TARGET)                                                   \
  constexpr Kernels NAME = {                                                          \
      [](MersenneTwister& twister, double probability, int64_t count, uint8_t* drawn) \
          TARGET { Draw(twister, probability, count, drawn); },                       \
      [](const float* x, const uint8_t* kept, float scale, int64_t count, float* y)   \
          TARGET { Scale(x, kept, scale, count, y); },                                \
      [](const float* x, float scale, int64_t count, uint8_t* kept, float* y)         \
          TARGET { ScalePositive(x, scale, count, kept, y); }}

CMERC_KERNELS(kBaseline, );
#ifdef __x86_64__
CMERC_KERNELS(kAvx2, __attribute__((target("avx2"))));
CMERC_KERNELS(kAvx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))));
#endif  // __x86_64__
#undef CMERC_KERNELS

const Kernels& BestKernels() {
  switch (BestInstructionSet()) {
#ifdef __x86_64__
    case InstructionSet::kAvx512:
      return kAvx512;
    case InstructionSet::kAvx2:
      return kAvx2;
#endif  // __x86_64__
    default:
      return kBaseline;
  }
}

}  // namespace

void DrawBernoulli(MersenneTwister& twister, double probability, int64_t count, uint8_t* drawn) {
  BestKernels().draw(twister, probability, count, drawn);
}

void ScaleKept(const float* x, const uint8_t* kept, float scale, int64_t count, float* y) {
  BestKernels().scale(x, kept, scale, count, y);
}

void ScaleKeptPositive(const float* x, float scale, int64_t count, uint8_t* kept, float* y) {
  BestKernels().scale_positive(x, scale, count, kept, y);
}

}  // namespace cmerc
