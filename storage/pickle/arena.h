// Memory that is released all at once.
#ifndef CMERC_STORAGE_PICKLE_ARENA_H_
#define CMERC_STORAGE_PICKLE_ARENA_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace cmerc::pickle {

class Arena {
 public:
  // Room for n objects, which are not initialized.
  template <typename T>
  T* New(size_t n = 1) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    // Not sizeof(T): where T is a pointer, clang-tidy takes that for a mistake.
    struct Element {
      T value;
    };
    return reinterpret_cast<T*>(Allocate(n * sizeof(Element)));
  }

  // Bytes taken from the heap.
  uint64_t used() const { return used_; }

 private:
  static constexpr size_t kSmallestChunk = size_t{4} << 10, kLargestChunk = size_t{1} << 20;

  char* Allocate(size_t bytes) {
    bytes = (bytes + 7) & ~size_t{7};
    if (bytes <= left_) {
      left_ -= bytes;
      next_ += bytes;
      return next_ - bytes;
    }
    if (bytes >= chunk_ / 4) return NewChunk(bytes);
    next_ = NewChunk(chunk_) + bytes;
    left_ = chunk_ - bytes;
    chunk_ = std::min(2 * chunk_, kLargestChunk);
    return next_ - bytes;
  }

  char* NewChunk(size_t bytes) {
    chunks_.emplace_back(new char[bytes]);
    used_ += bytes;
    return chunks_.back().get();
  }

  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t chunk_ = kSmallestChunk;
  uint64_t used_ = 0;
};

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_ARENA_H_
