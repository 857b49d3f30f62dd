#include "calibration/allocator.h"

#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace cmerc {

void KeepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kLargestThreshold = 32 << 20;  // that mallopt() takes
  mallopt(M_MMAP_THRESHOLD, kLargestThreshold);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif  // __GLIBC__
}

}  // namespace cmerc
