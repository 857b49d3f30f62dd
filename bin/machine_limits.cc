#include "bin/machine_limits.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "core/status.h"

namespace cmerc {
namespace {

// What the engine takes for the least of work beside OpenBLAS's buffers, and what a thread takes,
// measured with `ulimit` (docs/dependencies.md).
constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kAddressSpace = 768 * kMiB;
constexpr size_t kData = 256 * kMiB;
constexpr size_t kStack = 256 * 1024;
constexpr size_t kAddressSpacePerThread = 96 * kMiB;
// What OpenBLAS maps for each of its threads, at once when it is loaded.
constexpr size_t kBlasBuffer = 128 * kMiB;

// Bytes for every pair of utterances that a backbone takes of which nothing is known: those that
// compute with all pairs at once took 15 to 24. And those of PyTorch's transformer layer.
constexpr double kOfOtherBackbones = 24;
constexpr double kOfTransformerEncoder = 45;

// Those that divide such work.
constexpr absl::string_view kBackbones[] = {"cmerc.DialogueGcnOptions", "cmerc.DialogueRnnOptions",
                                            "cmerc.EvidentialOptions",  "cmerc.GruOptions",
                                            "cmerc.M3NetOptions",       "cmerc.MmgcnOptions",
                                            "cmerc.TransformerOptions"};

// The bytes that a batch takes for every pair of utterances, docs/predict.md.
double BytesPerPair(const BatchSize& batch) {
  const bool is_known = std::find(std::begin(kBackbones), std::end(kBackbones), batch.backbone) !=
                        std::end(kBackbones);
  if (!is_known) return kOfOtherBackbones;
  // Which pairs there are: not of one conversation as a whole; and of two views.
  const double contexts = (batch.conversations > 1 ? 1 : 0) + (batch.views ? 2 : 0);
  const double similarities = batch.backbone == "cmerc.MmgcnOptions"
                                  ? sizeof(float) * static_cast<double>(batch.modalities)
                                  : 0;
  return contexts + similarities * (batch.views ? 2 : 1) +
         (batch.transformer_encoder ? kOfTransformerEncoder : 0);
}

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
  return absl::InvalidArgumentError(
      absl::StrCat("too little ", what, " for LibTorch: ", bytes / 1024, " kB more cannot be had (",
                   std::strerror(error), "; ulimit ", shell, " is ",
                   InKilobytes(LimitOf(resource).rlim_cur), "); raise the limit (ulimit ", shell,
                   " unlimited), or set OMP_NUM_THREADS=1, since OpenBLAS "
                   "takes ",
                   kBlasBuffer / 1024, " kB for every processor"));
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

int BlasThreadsAtStart() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  int threads = sched_getaffinity(0, sizeof(processors), &processors) == 0
                    ? CPU_COUNT(&processors)
                    : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const char* const variable = std::getenv("OMP_NUM_THREADS");
  int wanted = 0;  // of the outermost of nested teams
  if (variable != nullptr &&
      absl::SimpleAtoi(std::string(variable, std::strcspn(variable, ",")), &wanted) &&
      wanted >= 1) {
    threads = std::min(threads, wanted);
  }
  return std::max(threads, 1);
}

absl::Status CheckMemoryLimits() {
  const size_t buffers = static_cast<size_t>(BlasThreadsAtStart()) * kBlasBuffer;
  RETURN_IF_ERROR(
      CheckMapping(kAddressSpace + buffers, PROT_NONE, RLIMIT_AS, "-v", "address space"));
  RETURN_IF_ERROR(
      CheckMapping(kData + buffers, PROT_READ | PROT_WRITE, RLIMIT_DATA, "-d", "memory for data"));
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
  const int without_buffer = std::max(0, threads + 1 - BlasThreadsAtStart());
  return Annotate(CheckMapping(static_cast<size_t>(threads) * kAddressSpacePerThread +
                                   static_cast<size_t>(without_buffer) * kBlasBuffer,
                               PROT_NONE, RLIMIT_AS, "-v", "address space"),
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

std::string LengthWarning(const BatchSize& batch, int64_t free) {
  const double length = static_cast<double>(batch.length);
  const double bytes =
      BytesPerPair(batch) * static_cast<double>(batch.conversations) * length * length;
  if (free == 0 || bytes <= static_cast<double>(free)) return "";
  return absl::StrFormat(
      "%d conversation%s of up to %d utterances in one batch: %s may take %.1f GB for their pairs, "
      "and %.1f GB are free; divide long conversations%s",
      batch.conversations, batch.conversations == 1 ? "" : "s", batch.length, batch.backbone,
      bytes / 1e9, static_cast<double>(free) / 1e9,
      batch.conversations == 1 ? "" : ", or set training { batch_size: 1 }");
}

int ThreadsOfPool() { return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))) - 1; }

}  // namespace cmerc
