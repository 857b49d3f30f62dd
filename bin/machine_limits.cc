#include "bin/machine_limits.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/status.h"

namespace cmerc {
namespace {

// What the engine takes for the least of work, measured with `ulimit` (docs/dependencies.md).
constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kAddressSpace = 1024 * kMiB;
constexpr size_t kData = 512 * kMiB;
constexpr size_t kStack = 256 * 1024;
constexpr size_t kAddressSpacePerThread = 224 * kMiB;

// Bytes per conversation and square of its length: of M3Net and of DialogueGcn, at 20 000
// utterances.
constexpr double kLeastPerSquare = 15;
constexpr double kMostPerSquare = 24;

// "614400 kB" or "unlimited", of a limit in bytes.
std::string InKilobytes(rlim_t bytes) {
  return bytes == RLIM_INFINITY ? "unlimited" : absl::StrCat(bytes / 1024, " kB");
}

rlimit LimitOf(__rlimit_resource resource) {
  rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(resource, &limit);
  return limit;
}

// InvalidArgument: so many bytes cannot be mapped in this way. `shell` is the option of `ulimit`
// for `resource`, and `what` says what there is too little of.
absl::Status CheckMapping(size_t bytes, int protection, __rlimit_resource resource,
                          const char* shell, const char* what) {
  void* const memory =
      mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) {
    munmap(memory, bytes);
    return absl::OkStatus();
  }
  const int error = errno;
  return absl::InvalidArgumentError(absl::StrCat(
      "too little ", what, " for LibTorch: ", bytes / 1024, " kB more cannot be had (",
      std::strerror(error), "; ulimit ", shell, " is ", InKilobytes(LimitOf(resource).rlim_cur),
      "); raise the limit (ulimit ", shell, " unlimited)"));
}

absl::Status RaiseStack() {
  rlimit limit = LimitOf(RLIMIT_STACK);
  if (limit.rlim_cur >= kStack) return absl::OkStatus();
  const rlim_t found = limit.rlim_cur;
  limit.rlim_cur = std::min(rlim_t{8 * kMiB}, limit.rlim_max);
  if (limit.rlim_cur >= kStack && setrlimit(RLIMIT_STACK, &limit) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("too small a stack for LibTorch: ulimit -s is ", InKilobytes(found), ", and ",
                   kStack / 1024, " kB are needed; raise the limit (ulimit -s 8192)"));
}

// A thread that waits until it may end.
void* Wait(void* gate) {
  auto* const mutex = static_cast<pthread_mutex_t*>(gate);
  pthread_mutex_lock(mutex);
  pthread_mutex_unlock(mutex);
  return nullptr;
}

}  // namespace

absl::Status CheckMemoryLimits() {
  RETURN_IF_ERROR(CheckMapping(kAddressSpace, PROT_NONE, RLIMIT_AS, "-v", "address space"));
  RETURN_IF_ERROR(
      CheckMapping(kData, PROT_READ | PROT_WRITE, RLIMIT_DATA, "-d", "memory for data"));
  return RaiseStack();
}

absl::Status CheckThreads(int threads) {
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&gate);
  std::vector<pthread_t> started;
  int error = 0;
  while (error == 0 && static_cast<int>(started.size()) < threads) {
    pthread_t thread;
    error = pthread_create(&thread, nullptr, Wait, &gate);
    if (error == 0) started.push_back(thread);
  }
  pthread_mutex_unlock(&gate);
  for (const pthread_t thread : started) pthread_join(thread, nullptr);
  if (error == 0) return absl::OkStatus();
  const rlim_t processes = LimitOf(RLIMIT_NPROC).rlim_cur;
  return absl::InvalidArgumentError(
      absl::StrCat("too few threads can be started for LibTorch: ", started.size(), " more of ",
                   threads, " (", std::strerror(error), "; ulimit -u is ",
                   processes == RLIM_INFINITY ? "unlimited" : absl::StrCat(processes),
                   "); raise the limit (ulimit -u and -v, or that of the container or the service: "
                   "pids.max), or "
                   "end other programs of this user"));
}

absl::Status CheckMemoryOfThreads(int threads) {
  if (threads == 0) return absl::OkStatus();
  return Annotate(CheckMapping(static_cast<size_t>(threads) * kAddressSpacePerThread, PROT_NONE,
                               RLIMIT_AS, "-v", "address space"),
                  absl::StrCat(threads + 1, " threads (training.threads)"));
}

int64_t FreeMemory() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (int64_t kilobytes = 0; file >> name >> kilobytes && std::getline(file, unit);) {
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

std::string LengthWarning(int64_t conversations, int64_t length, int64_t free) {
  const double square = static_cast<double>(conversations) * length * length;
  if (free == 0 || kMostPerSquare * square <= static_cast<double>(free)) return "";
  return absl::StrFormat(
      "%d conversation%s of up to %d utterances in one batch: the backbones that come with cmerc "
      "take %.1f to %.1f GB for them, and %.1f GB are free; divide long conversations, or set "
      "training { batch_size: 1 }",
      conversations, conversations == 1 ? "" : "s", length, kLeastPerSquare * square / 1e9,
      kMostPerSquare * square / 1e9, static_cast<double>(free) / 1e9);
}

int ThreadsOfPool() { return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))) - 1; }

}  // namespace cmerc
