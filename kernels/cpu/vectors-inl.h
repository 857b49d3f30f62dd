// Vectors of float32 on Google Highway, and tiles of them: what the kernels of one instruction set
// have in common. Included once for each instruction set, by the -inl.h file of the kernels.
//
// A multiplication and an addition are fused (MulAdd) where the instruction set can.
#if defined(CMERC_KERNELS_CPU_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CMERC_KERNELS_CPU_VECTORS_INL_H_
#undef CMERC_KERNELS_CPU_VECTORS_INL_H_
#else
#define CMERC_KERNELS_CPU_VECTORS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vec = hn::Vec<Floats>;
constexpr int64_t kLanes = hn::MaxLanes(Floats());

// A tile of accumulators, with what multiplies into it, fills the registers: 32 of them or 16.
constexpr int kAccumulators = kLanes == 16 ? 24 : 12;
// Vectors side by side in a tile, where gates do not say it.
constexpr int kTileVectors = 2;
constexpr int kTileRows = kAccumulators / kTileVectors;
constexpr int64_t kTileColumns = kTileVectors * kLanes;

HWY_INLINE Vec Zero() { return hn::Zero(Floats()); }

// `value` in every lane.
HWY_INLINE Vec All(float value) { return hn::Set(Floats(), value); }

HWY_INLINE Vec Load(const float* source) { return hn::LoadU(Floats(), source); }

HWY_INLINE void Store(float* target, Vec v) { hn::StoreU(v, Floats(), target); }

// The first `count` lanes; zero elsewhere.
HWY_INLINE Vec Load(const float* source, int64_t count) {
  if (count >= kLanes) return Load(source);
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = source[i];
  return Load(lanes);
}

// Stores the first `count` lanes.
HWY_INLINE void Store(float* target, Vec v, int64_t count) {
  if (count >= kLanes) return Store(target, v);
  float lanes[kLanes];
  Store(lanes, v);
  for (int64_t i = 0; i < count; ++i) target[i] = lanes[i];
}

// Within 2 units in the last place of the exact value in [-87, 87], clamped outside; NaN stays NaN.
// Reduction to |r| <= ln(2) / 2 in two parts and the polynomial of Cephes' expf.
HWY_INLINE Vec Exp(Vec x) {
  constexpr float kLimit = 87.0F;
  const Vec rounder = All(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  x = hn::IfThenElse(hn::Gt(x, All(kLimit)), All(kLimit), x);
  x = hn::IfThenElse(hn::Lt(x, All(-kLimit)), All(-kLimit), x);
  const Vec shifted = hn::MulAdd(x, All(1.44269504F), rounder);
  const Vec n = hn::Sub(shifted, rounder);
  const Vec r = hn::NegMulAdd(n, All(-2.12194440e-4F), hn::NegMulAdd(n, All(0.693359375F), x));
  Vec p = hn::MulAdd(r, All(1.9875691500e-4F), All(1.3981999507e-3F));
  p = hn::MulAdd(p, r, All(8.3334519073e-3F));
  p = hn::MulAdd(p, r, All(4.1665795894e-2F));
  p = hn::MulAdd(p, r, All(1.6666665459e-1F));
  p = hn::MulAdd(p, r, All(5.0000001201e-1F));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), All(1.0F));
  const hn::RebindToSigned<Floats> integers;
  const auto exponent =
      hn::Sub(hn::BitCast(integers, shifted), hn::Set(integers, 0x4B400000 - 127));
  return hn::Mul(p, hn::BitCast(Floats(), hn::ShiftLeft<23>(exponent)));  // times 2^n
}

HWY_INLINE Vec Sigmoid(Vec x) { return hn::Div(All(1.0F), hn::Add(All(1.0F), Exp(hn::Neg(x)))); }

// Cephes' tanhf: an odd polynomial near zero, where the other form would lose digits.
HWY_INLINE Vec Tanh(Vec x) {
  const auto negative = hn::Lt(x, Zero());
  const Vec size = hn::IfThenElse(negative, hn::Neg(x), x);
  const Vec far =
      hn::Sub(All(1.0F), hn::Div(All(2.0F), hn::Add(Exp(hn::Mul(All(2.0F), size)), All(1.0F))));
  const Vec square = hn::Mul(x, x);
  Vec p = hn::MulAdd(square, All(-5.70498872745e-3F), All(2.06390887954e-2F));
  p = hn::MulAdd(p, square, All(-5.37397155531e-2F));
  p = hn::MulAdd(p, square, All(1.33314422036e-1F));
  p = hn::MulAdd(p, square, All(-3.33332819422e-1F));
  const Vec near = hn::MulAdd(hn::Mul(p, square), x, x);
  return hn::IfThenElse(hn::Lt(size, All(0.625F)), near,
                        hn::IfThenElse(negative, hn::Neg(far), far));
}

using Quad = hn::CappedTag<float, 4>;

// The quads of a vector, added one after the other.
HWY_INLINE hn::Vec<Quad> SumOfQuads(hn::Vec<Quad> v) { return v; }

#if HWY_MAX_BYTES >= 32
using Octet = hn::CappedTag<float, 8>;

HWY_INLINE hn::Vec<Quad> SumOfQuads(hn::Vec<Octet> v) {
  return hn::Add(hn::LowerHalf(Quad(), v), hn::UpperHalf(Quad(), v));
}
#endif

#if HWY_MAX_BYTES >= 64
HWY_INLINE hn::Vec<Quad> SumOfQuads(Vec v) {
  const auto upper = hn::UpperHalf(Octet(), v);
  const auto three = hn::Add(SumOfQuads(hn::LowerHalf(Octet(), v)), hn::LowerHalf(Quad(), upper));
  return hn::Add(three, hn::UpperHalf(Quad(), upper));
}
#endif

// The sum of all lanes: of lane i of every four first.
HWY_INLINE float Sum(Vec v) {
#if HWY_MAX_BYTES >= 16
  const auto quad = SumOfQuads(v);
  const auto pair = hn::Add(quad, hn::Shuffle1032(quad));
  return hn::GetLane(hn::Add(pair, hn::Shuffle2301(pair)));
#else
  return hn::GetLane(v);
#endif
}

// a . b
HWY_INLINE float Dot(const float* a, const float* b, int64_t width) {
  constexpr int64_t kChains = 4;  // of additions, beside each other
  Vec sums[kChains] = {Zero(), Zero(), Zero(), Zero()};
  int64_t h = 0;
  for (; h + kChains * kLanes <= width; h += kChains * kLanes) {
    for (int64_t c = 0; c < kChains; ++c) {
      sums[c] = hn::MulAdd(Load(a + h + c * kLanes), Load(b + h + c * kLanes), sums[c]);
    }
  }
  for (; h + kLanes <= width; h += kLanes) sums[0] = hn::MulAdd(Load(a + h), Load(b + h), sums[0]);
  if (h < width) sums[0] = hn::MulAdd(Load(a + h, width - h), Load(b + h, width - h), sums[0]);
  return Sum(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])));
}

// to += factor * from
HWY_INLINE void Add(float factor, const float* from, float* to, int64_t width) {
  const Vec factors = All(factor);
  int64_t h = 0;
  for (; h + kLanes <= width; h += kLanes) {
    Store(to + h, hn::MulAdd(Load(from + h), factors, Load(to + h)));
  }
  if (h < width) {
    Store(to + h, hn::MulAdd(Load(from + h, width - h), factors, Load(to + h, width - h)),
          width - h);
  }
}

template <int kRows, int kVectors>
HWY_INLINE void Clear(Vec (&tile)[kRows][kVectors]) {
  for (auto& row : tile) {
    for (Vec& v : row) v = Zero();
  }
}

// tile[i] += a[i][0..depth) * panel [depth, kVectors * kLanes]. Each element is one chain of
// additions in the order of depth, whatever the tile.
template <int kRows, int kVectors>
HWY_INLINE void Multiply(const float* a, int64_t row_stride, int64_t depth_stride, int64_t depth,
                         const float* panel, Vec (&tile)[kRows][kVectors]) {
  for (int64_t k = 0; k < depth; ++k) {
    Vec b[kVectors];
    for (int v = 0; v < kVectors; ++v) b[v] = Load(panel + (k * kVectors + v) * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const Vec factor = All(a[i * row_stride + k * depth_stride]);
      for (int v = 0; v < kVectors; ++v) tile[i][v] = hn::MulAdd(b[v], factor, tile[i][v]);
    }
  }
}

// Calls block.template Run<n>(first row) for blocks of n <= kMaxRows rows, about equal in size.
template <int kMaxRows, typename Block>
void RunBlock(const Block& block, int64_t first, int64_t size) {
  if constexpr (kMaxRows > 0) {
    if (size == kMaxRows) {
      block.template Run<kMaxRows>(first);
    } else {
      RunBlock<kMaxRows - 1>(block, first, size);
    }
  }
}

template <int kMaxRows, typename Block>
void ForEachBlock(int64_t rows, const Block& block) {
  const int64_t blocks = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t first = rows * i / blocks;
    RunBlock<kMaxRows>(block, first, rows * (i + 1) / blocks - first);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();

#endif  // CMERC_KERNELS_CPU_VECTORS_INL_H_
