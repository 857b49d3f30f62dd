// What ThreadSanitizer must know of GCC's OpenMP runtime, which is not instrumented: what a thread
// did before a parallel region happens before the region, and the region before what follows.
// Preloaded by tsan_run.sh, under which `#pragma omp parallel` is a call of this GOMP_parallel.
#include <dlfcn.h>

// Functions of libtsan; null where this is built without --config=tsan.
extern "C" [[gnu::weak]] void __tsan_acquire(void* address);
extern "C" [[gnu::weak]] void __tsan_release(void* address);

namespace {

void Acquire(void* address) {
  if (__tsan_acquire != nullptr) __tsan_acquire(address);
}
void Release(void* address) {
  if (__tsan_release != nullptr) __tsan_release(address);
}

struct Region {
  void (*function)(void*);
  void* data;
};

void RunRegion(void* pointer) {
  Acquire(pointer);
  const auto* const region = static_cast<const Region*>(pointer);
  region->function(region->data);
  Release(pointer);
}

}  // namespace

extern "C" void GOMP_parallel(void (*function)(void*), void* data, unsigned num_threads,
                              unsigned flags) {
  using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
  static const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_NEXT, "GOMP_parallel"));
  Region region{function, data};
  Release(&region);
  parallel(RunRegion, &region, num_threads, flags);
  Acquire(&region);
}
