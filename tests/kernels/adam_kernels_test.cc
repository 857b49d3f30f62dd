#include "kernels/cpu/adam_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/instruction_set.h"

namespace cmerc {
namespace {

std::vector<float> Random(int64_t size, unsigned seed, bool positive = false) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(size);
  for (float& number : numbers) number = positive ? std::abs(normal(generator)) : normal(generator);
  return numbers;
}

// Keeps the compiler from fusing a product with what is added to it.
float Rounded(float x) {
  volatile float rounded = x;
  return rounded;
}

struct State {
  std::vector<float> parameter, first_moment, second_moment;
};

State RandomState(int64_t size) {
  return {Random(size, 1), Random(size, 2), Random(size, 3, /*positive=*/true)};
}

// Weight decay in the gradient, and decoupled from it.
constexpr kernels::AdamFactors kFactors[] = {
    {1, 3e-5F, 0.9F, 0.1F, 0.999F, 0.001F, 1e-3F, 1.7F, 1e-8F},
    {0.99F, 0, 0.9F, 0.1F, 0.999F, 0.001F, 1e-3F, 1.7F, 1e-8F},
};

// The formulas of adam_kernels.h, number by number.
void Reference(const kernels::AdamFactors& f, const float* gradient, int64_t begin, int64_t end,
               State& state) {
  for (int64_t i = begin; i < end; ++i) {
    float& parameter = state.parameter[i];
    parameter = Rounded(f.keep * parameter);
    const float g = (gradient != nullptr ? gradient[i] : 0) + Rounded(f.decay * parameter);
    float& m = state.first_moment[i];
    m = Rounded(f.keep1 * m) + Rounded(f.add1 * g);
    float& v = state.second_moment[i];
    v = Rounded(f.keep2 * v) + Rounded(Rounded(f.add2 * g) * g);
    const float root = Rounded(std::sqrt(v) * f.correction) + f.epsilon;
    parameter -= Rounded(Rounded(f.rate * m) / root);
  }
}

class AdamKernelsTest : public testing::TestWithParam<int64_t /*instruction set*/> {
 protected:
  AdamKernelsTest() { kernels::UseInstructionSet(GetParam()); }
  ~AdamKernelsTest() override { kernels::UseInstructionSet(0); }
};

TEST_P(AdamKernelsTest, RoundsEveryOperationByItself) {
  constexpr int64_t kSize = 1003;
  const std::vector<float> gradient = Random(kSize, 4);
  for (const kernels::AdamFactors& factors : kFactors) {
    for (const float* const numbers : {gradient.data(), static_cast<const float*>(nullptr)}) {
      State want = RandomState(kSize), got = want;
      Reference(factors, numbers, 1, kSize - 1, want);
      kernels::UpdateAdam(
          factors,
          {numbers, got.parameter.data(), got.first_moment.data(), got.second_moment.data()}, 1,
          kSize - 1);
      EXPECT_EQ(got.parameter, want.parameter);
      EXPECT_EQ(got.first_moment, want.first_moment);
      EXPECT_EQ(got.second_moment, want.second_moment);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, AdamKernelsTest, testing::ValuesIn(kernels::InstructionSets()));

}  // namespace
}  // namespace cmerc
