#include "kernels/cpu/dropout_kernels.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/highway_targets.h"

namespace cmerc::kernels {
namespace {

constexpr int kWords = MersenneTwister::kWords;

uint32_t Twist(uint32_t high, uint32_t low) {
  return ((high & 0x80000000U) | (low & 0x7FFFFFFFU)) >> 1 ^ ((0 - (low & 1)) & 0x9908B0DFU);
}

}  // namespace
}  // namespace cmerc::kernels

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/dropout_kernels-inl.h"

namespace cmerc::kernels {
namespace {

HWY_EXPORT(Draw);
HWY_EXPORT(Scale);
HWY_EXPORT(ScalePositive);

}  // namespace

void DrawBernoulli(MersenneTwister& twister, double probability, int64_t count, uint8_t* drawn) {
  HWY_DYNAMIC_DISPATCH(Draw)(twister, probability, count, drawn);
}

void ScaleKept(const float* x, const uint8_t* kept, float scale, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(Scale)(x, kept, scale, count, y);
}

void ScaleKeptPositive(const float* x, float scale, int64_t count, uint8_t* kept, float* y) {
  HWY_DYNAMIC_DISPATCH(ScalePositive)(x, scale, count, kept, y);
}

}  // namespace cmerc::kernels
