// What the tests of all kernels share: the same test runs on this processor and on the GPU, against
// a reference in float64.
#ifndef CMERC_TESTS_KERNELS_KERNEL_TESTING_H_
#define CMERC_TESTS_KERNELS_KERNEL_TESTING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/sequences.h"
#include "tests/kernels/gpu.h"

namespace cmerc {

enum class Place { kCpu, kGpu };

inline std::string NameOf(Place place) { return place == Place::kCpu ? "Cpu" : "Gpu"; }

// "" where it can run something.
inline std::string WhyNoGpu() {
  return FindGpu() == nullptr ? "built without a CUDA Toolkit (nvcc)" : FindGpu()->why_missing();
}

// Those where tests can run: one skipped test tells of a missing GPU, not each of its cases.
inline std::vector<Place> Places() {
  std::vector<Place> places = {Place::kCpu};
  if (WhyNoGpu().empty()) places.push_back(Place::kGpu);
  return places;
}

// Some numbers in the memory of a processor.
template <typename T>
class Memory {
 public:
  Memory(Place place, const std::vector<T>& numbers) : place_(place), size_(numbers.size()) {
    if (place == Place::kCpu) {
      here_ = numbers;
      data_ = here_.data();
    } else {
      // Never nothing, for which there is no memory.
      data_ = static_cast<T*>(FindGpu()->allocate(std::max<size_t>(1, size_) * sizeof(T)));
      FindGpu()->copy(numbers.data(), size_ * sizeof(T), data_);
    }
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (place_ == Place::kGpu) FindGpu()->free(data_);
  }

  T* get() const { return data_; }

  std::vector<T> Read() const {
    if (place_ == Place::kCpu) return here_;
    std::vector<T> numbers(size_);
    FindGpu()->copy(data_, size_ * sizeof(T), numbers.data());
    return numbers;
  }

 private:
  const Place place_;
  const size_t size_;
  std::vector<T> here_;
  T* data_;
};

// `size` numbers that a kernel writes before it reads them: NaN shows where it does not.
inline std::vector<float> Unwritten(int64_t size) { return std::vector<float>(size, NAN); }

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // Uniform, multiples of 2^-20: the same with every standard library.
  double In(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 44) / (1 << 20);
  }
  std::vector<float> Numbers(int64_t size, double low = -1, double high = 1) {
    std::vector<float> numbers(size);
    for (float& x : numbers) x = static_cast<float>(In(low, high));
    return numbers;
  }

 private:
  std::mt19937_64 engine_;
};

// The tables of sequences.h for given lengths.
struct Lengths {
  explicit Lengths(const std::vector<int64_t>& lengths) : first_row{0} {
    int64_t pairs = 0;
    for (const int64_t length : lengths) {
      first_pair.push_back(pairs);
      pairs += length * length;
      first_row.push_back(first_row.back() + length);
    }
    first_pair.push_back(pairs);
    longest = *std::max_element(lengths.begin(), lengths.end());
  }
  int64_t count() const { return static_cast<int64_t>(first_row.size()) - 1; }
  int64_t num_rows() const { return first_row.back(); }
  int64_t num_pairs() const { return first_pair.back(); }
  Sequences At(const int64_t* first_row_there) const {
    return {count(), num_rows(), longest, first_row_there};
  }

  int64_t longest;
  std::vector<int64_t> first_row;   // [S + 1]
  std::vector<int64_t> first_pair;  // [S + 1]
};

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

  // On the GPU, waits for it.
  template <typename Arguments>
  void Run(void (*run)(const Arguments&), Gpu::Launch<Arguments> Gpu::*launch,
           const Arguments& arguments) const {
    if (place() == Place::kCpu) {
      run(arguments);
      return;
    }
    const absl::Status status = (FindGpu()->*launch)(arguments, CudaStream{});
    ASSERT_TRUE(status.ok()) << status;
    FindGpu()->wait();
  }
};

// Of a test that runs where there is a GPU.
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
