// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// row_kernels.cc once for each.
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

using Doubles = hn::ScalableTag<double>;
constexpr int64_t kDoubles = hn::MaxLanes(Doubles());
// Sums beside each other, whatever the width of vectors.
constexpr int64_t kSums = 8;
constexpr int64_t kVectors = kSums / kDoubles;

// The square of a float32 is exact in float64, so that fusing it with the addition would change no
// bit, but an addition alone is done sooner.
double SquaresInRow(const float* numbers, int64_t size) {
  const hn::Rebind<float, Doubles> narrow;
  hn::Vec<Doubles> vectors[kVectors];
  for (auto& vector : vectors) vector = hn::Zero(Doubles());
  int64_t i = 0;
  for (; i + kSums <= size; i += kSums) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const auto values = hn::PromoteTo(Doubles(), hn::LoadU(narrow, numbers + i + v * kDoubles));
      vectors[v] = hn::Add(vectors[v], hn::Mul(values, values));
    }
  }
  double sum = 0;
  for (; i < size; ++i) sum += static_cast<double>(numbers[i]) * numbers[i];
  double sums[kSums];
  for (int64_t v = 0; v < kVectors; ++v) hn::StoreU(vectors[v], Doubles(), sums + v * kDoubles);
  for (const double one : sums) sum += one;
  return sum;
}

float DotInRows(const float* a, const float* b, int64_t width) { return Dot(a, b, width); }

void AddInRow(float factor, const float* from, float* to, int64_t width) {
  Add(factor, from, to, width);
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
