#include "training/allocator.h"

#include <cstdint>
#include <cstdlib>
#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace cmerc {

void KeepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kLargestThreshold = 32 << 20;  // that mallopt() takes
  mallopt(M_MMAP_THRESHOLD, kLargestThreshold);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  // The heap grows once, by addresses alone, and is asked to have huge pages. Where either is
  // refused, nothing changes.
  constexpr int kHeap = 1 << 30;
  constexpr int kUsualPad = 128 << 10;
  constexpr uintptr_t kHugePage = 2 << 20;
  const auto before = reinterpret_cast<uintptr_t>(sbrk(0));
  mallopt(M_TOP_PAD, kHeap);
  void* volatile grown = std::malloc(kLargestThreshold / 2);
  std::free(grown);
  mallopt(M_TOP_PAD, kUsualPad);
  const auto after = reinterpret_cast<uintptr_t>(sbrk(0));
  const uintptr_t first = (before + kHugePage - 1) / kHugePage * kHugePage;
  if (after > first) madvise(reinterpret_cast<void*>(first), after - first, MADV_HUGEPAGE);
#endif  // __GLIBC__
}

}  // namespace cmerc
