#include "training/allocator.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace cmerc {
namespace {

// Page faults of a step that fills 80 MB and frees it.
int64_t FaultsOfStep() {
  constexpr size_t kBytes = 8 << 20;
  rusage before{}, after{};
  getrusage(RUSAGE_THREAD, &before);
  std::vector<std::unique_ptr<char[]>> tensors;
  for (int i = 0; i < 10; ++i) {
    tensors.emplace_back(new char[kBytes]);
    std::memset(tensors.back().get(), i + 1, kBytes);
    EXPECT_EQ(tensors.back()[kBytes - 1], i + 1);  // so that it is written
  }
  tensors.clear();
  getrusage(RUSAGE_THREAD, &after);
  return after.ru_minflt - before.ru_minflt;
}

// Sanitizers bring their own.
bool AllocatesWithGlibc() {
#ifdef __GLIBC__
  constexpr size_t kBytes = 100000;
  const size_t before = mallinfo2().uordblks;
  void* const volatile block = std::malloc(kBytes);
  const bool counted = mallinfo2().uordblks >= before + kBytes;
  std::free(block);
  return counted;
#else
  return false;
#endif
}

TEST(AllocatorTest, ASecondStepHasItsMemoryAlready) {
  if (!AllocatesWithGlibc()) GTEST_SKIP() << "not glibc's allocator";
  KeepFreedMemory();
  FaultsOfStep();
  // 80 MB are 20480 pages of 4 kB, or 40 of 2 MB.
  EXPECT_LT(FaultsOfStep(), 20);
}

}  // namespace
}  // namespace cmerc
