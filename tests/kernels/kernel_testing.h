// What the tests of all kernels share: the same test runs on this processor and on the GPU, against
// a reference in float64.
#ifndef CMERC_TESTS_KERNELS_KERNEL_TESTING_H_
#define CMERC_TESTS_KERNELS_KERNEL_TESTING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "tests/kernels/place.h"

namespace cmerc {

// A number of the reference, and the sum of the absolute values of all it was added up from, which
// its error in float32 is in proportion to.
struct Exact {
  double value = 0;
  double magnitude = 0;

  void Add(double term) { Add(term, std::abs(term)); }
  void Add(double term, double term_magnitude) {
    value += term;
    magnitude += term_magnitude;
  }
  // The product of two sums has the error of each, times the value of the other.
  void AddProduct(const Exact& a, const Exact& b) {
    Add(a.value * b.value, std::abs(a.value) * b.magnitude + a.magnitude * std::abs(b.value));
  }
};

// Half a unit in the last place of float32.
constexpr double kRounding = 0x1p-24;

// A sum of `terms` terms, some of which are products of rounded factors or tanh() and exp() with
// errors of 2 units in the last place. Errors of single roundings have either sign, so their sum
// grows like the root of their number; factor 2 is more than any seed and order has needed.
inline double RelativeTolerance(int64_t terms) {
  return (4 + std::sqrt(static_cast<double>(terms))) * kRounding;
}

// Shows the first few that differ.
inline void ExpectNear(const std::string& what, const std::vector<float>& actual,
                       const std::vector<Exact>& expected, double relative_tolerance) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  int shown = 0;
  for (size_t i = 0; i < actual.size() && shown < 3; ++i) {
    const double tolerance = relative_tolerance * expected[i].magnitude;
    if (std::abs(actual[i] - expected[i].value) <= tolerance) continue;
    ++shown;
    ADD_FAILURE() << what << "[" << i << "] = " << actual[i] << ", expected " << expected[i].value
                  << " within " << tolerance;
  }
}

// The largest difference between `gradient` and central differences of f in the numbers x points
// to, relative to the largest of the gradient.
template <typename F>
double GradientError(std::vector<double>& x, const std::vector<double>& gradient, const F& f) {
  constexpr double kStep = 1e-5;
  double error = 0, largest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double before = x[i];
    x[i] = before + kStep;
    const double above = f();
    x[i] = before - kStep;
    const double below = f();
    x[i] = before;
    error = std::max(error, std::abs((above - below) / (2 * kStep) - gradient[i]));
    largest = std::max(largest, std::abs(gradient[i]));
  }
  return error / largest;
}

// The step squared, times third derivatives of a few units, and roundings of 1e-16 / 1e-5.
constexpr double kGradientError = 1e-8;

inline std::vector<double> ToDouble(const std::vector<float>& numbers) {
  return {numbers.begin(), numbers.end()};
}

inline std::vector<double> Values(const std::vector<Exact>& numbers) {
  std::vector<double> values;
  values.reserve(numbers.size());
  for (const Exact& number : numbers) values.push_back(number.value);
  return values;
}

// The lengths of the sequences of a batch, and the width of their rows: below, at and above the
// sizes of tiles.
struct Shape {
  std::vector<int64_t> lengths;
  int64_t width;
};

inline std::vector<Shape> Shapes() {
  return {{{1}, 1},     {{7}, 3},     {{16}, 32},  {{33}, 65},
          {{110}, 130}, {{257}, 100}, {{2000}, 4}, {{33, 1, 128, 7, 65}, 129}};
}

using KernelParam = std::tuple<Place, Shape>;

class KernelTest : public testing::TestWithParam<KernelParam> {
 protected:
  Place place() const { return std::get<0>(GetParam()); }
  const Shape& shape() const { return std::get<1>(GetParam()); }

  template <typename Arguments>
  void Run(void (*run)(const Arguments&), Gpu::Launch<Arguments> Gpu::*launch,
           const Arguments& arguments) const {
    const absl::Status status = RunAt(place(), run, launch, arguments);
    ASSERT_TRUE(status.ok()) << status;
  }
};

// Skips the test where there is no GPU.
inline void SkipWithoutGpu() {
  const std::string missing = WhyNoGpu();
  if (!missing.empty()) GTEST_SKIP() << missing;
}

inline std::string NameOfParam(const testing::TestParamInfo<KernelParam>& info) {
  std::string name = NameOf(std::get<0>(info.param));
  for (const int64_t length : std::get<1>(info.param).lengths) {
    name += "_" + std::to_string(length);
  }
  return name + "_wide" + std::to_string(std::get<1>(info.param).width);
}

}  // namespace cmerc

#endif  // CMERC_TESTS_KERNELS_KERNEL_TESTING_H_
