// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// adam_kernels.cc once for each.
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

// The numbers [i, i + count), at most a vector.
HWY_INLINE void UpdateVector(const AdamFactors& f, const AdamNumbers& numbers, int64_t i,
                             int64_t count) {
  float* const parameter = numbers.parameter + i;
  float* const first_moment = numbers.first_moment + i;
  float* const second_moment = numbers.second_moment + i;
  const Vec gradient = numbers.gradient != nullptr ? Load(numbers.gradient + i, count) : Zero();
  const Vec value = hn::Mul(All(f.keep), Load(parameter, count));
  const Vec g = hn::Add(gradient, hn::Mul(All(f.decay), value));
  const Vec m = hn::Add(hn::Mul(All(f.keep1), Load(first_moment, count)), hn::Mul(All(f.add1), g));
  const Vec v = hn::Add(hn::Mul(All(f.keep2), Load(second_moment, count)),
                        hn::Mul(hn::Mul(All(f.add2), g), g));
  const Vec root = hn::Add(hn::Mul(hn::Sqrt(v), All(f.correction)), All(f.epsilon));
  Store(first_moment, m, count);
  Store(second_moment, v, count);
  Store(parameter, hn::Sub(value, hn::Div(hn::Mul(All(f.rate), m), root)), count);
}

void Update(const AdamFactors& factors, const AdamNumbers& numbers, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) UpdateVector(factors, numbers, i, kLanes);
  if (i < end) UpdateVector(factors, numbers, i, end - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
