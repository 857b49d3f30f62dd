// Where kernels run, memory there, and batches for them: for tests and benchmarks.
#ifndef CMERC_TESTS_KERNELS_PLACE_H_
#define CMERC_TESTS_KERNELS_PLACE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
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
  kernels::Sequences At(const int64_t* first_row_there) const {
    return {count(), num_rows(), longest, first_row_there};
  }

  int64_t longest;
  std::vector<int64_t> first_row;   // [S + 1]
  std::vector<int64_t> first_pair;  // [S + 1]
};

// On the GPU, waits for it.
template <typename Arguments>
absl::Status RunAt(Place place, void (*run)(const Arguments&), Gpu::Launch<Arguments> Gpu::*launch,
                   const Arguments& arguments) {
  if (place == Place::kCpu) {
    run(arguments);
    return absl::OkStatus();
  }
  absl::Status status = (FindGpu()->*launch)(arguments, kernels::CudaStream{});
  if (status.ok()) FindGpu()->wait();
  return status;
}

}  // namespace cmerc

#endif  // CMERC_TESTS_KERNELS_PLACE_H_
