#include "kernels/cpu/row_kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/instruction_set.h"

namespace cmerc {
namespace {

std::vector<float> Random(int64_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(size);
  for (float& number : numbers) number = normal(generator);
  return numbers;
}

// In the order that row_kernels.h promises.
double EightSums(const std::vector<float>& numbers) {
  std::array<double, 8> sums{};
  const size_t whole = numbers.size() / 8 * 8;
  for (size_t i = 0; i < whole; ++i) sums[i % 8] += static_cast<double>(numbers[i]) * numbers[i];
  double sum = 0;
  for (size_t i = whole; i < numbers.size(); ++i) {
    sum += static_cast<double>(numbers[i]) * numbers[i];
  }
  for (const double one : sums) sum += one;
  return sum;
}

class RowKernelsTest : public testing::TestWithParam<int64_t /*instruction set*/> {
 protected:
  RowKernelsTest() { kernels::UseInstructionSet(GetParam()); }
  ~RowKernelsTest() override { kernels::UseInstructionSet(0); }
};

TEST_P(RowKernelsTest, SumsOfSquaresAreTheSameBitsOnEveryInstructionSet) {
  for (const int64_t size : {0, 1, 7, 8, 15, 1003}) {
    const std::vector<float> numbers = Random(size, 1);
    EXPECT_EQ(kernels::SumOfSquares(numbers.data(), size), EightSums(numbers)) << size;
  }
}

TEST_P(RowKernelsTest, ASquareThatFloat32CannotHold) {
  const std::vector<float> numbers(9, 1e30F);
  EXPECT_DOUBLE_EQ(kernels::SumOfSquares(numbers.data(), 9),
                   9 * std::pow(static_cast<double>(1e30F), 2));
}

TEST_P(RowKernelsTest, DotAndAddAreExactToRounding) {
  for (const int64_t width : {1, 5, 16, 33, 100}) {
    const std::vector<float> a = Random(width, 2), b = Random(width, 3);
    double want = 0;
    std::vector<float> sum = b;
    for (int64_t h = 0; h < width; ++h) want += static_cast<double>(a[h]) * b[h];
    EXPECT_NEAR(kernels::DotOfRows(a.data(), b.data(), width), want, 1e-5) << width;
    kernels::AddRow(0.5F, a.data(), sum.data(), width);
    for (int64_t h = 0; h < width; ++h) EXPECT_NEAR(sum[h], b[h] + 0.5 * a[h], 1e-6) << h;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RowKernelsTest, testing::ValuesIn(kernels::InstructionSets()));

}  // namespace
}  // namespace cmerc
