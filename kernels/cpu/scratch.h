// Memory for a while, aligned for the widest vectors.
#ifndef CMERC_KERNELS_CPU_SCRATCH_H_
#define CMERC_KERNELS_CPU_SCRATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace cmerc::kernels {

class Scratch {
 public:
  // `size` floats. May throw std::bad_alloc.
  explicit Scratch(int64_t size)
      : data_(static_cast<float*>(
            ::operator new(static_cast<size_t>(size) * sizeof(float), kAlignment))) {}
  float* get() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(float* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<float, Free> data_;
};

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_SCRATCH_H_
