// What the system must grant before LibTorch can work. Where it does not, LibTorch and the
// libraries below it wait for ever, spin or crash, some before main(); so the small program asks
// first.
#ifndef CMERC_BIN_MACHINE_LIMITS_H_
#define CMERC_BIN_MACHINE_LIMITS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace cmerc {

// Whether the engine can be loaded: address space, memory for data, and the stack, whose soft limit
// is raised to what is needed where the hard one allows it. InvalidArgument says what was found,
// what is needed, and what to do.
absl::Status CheckMemoryLimits();

// Whether this process can have `threads` more threads at once: it starts them and lets them end.
// InvalidArgument as above.
absl::Status CheckThreads(int threads);

// Whether there is the address space that `threads` more of OpenMP's threads take: stacks, and what
// OpenBLAS and malloc map for each. InvalidArgument as above.
absl::Status CheckMemoryOfThreads(int threads);

// Bytes of memory that can be had without swapping; 0: the system does not say.
int64_t FreeMemory();

// What to say before a batch of `conversations` is predicted, the longest of `length` utterances,
// with `free` bytes of memory: the backbones' tensors grow with its square. "" where they fit.
std::string LengthWarning(int64_t conversations, int64_t length, int64_t free);

// How many threads LibTorch starts for a pool of its own, whatever training.threads says: one per
// processor with the first.
int ThreadsOfPool();

}  // namespace cmerc

#endif  // CMERC_BIN_MACHINE_LIMITS_H_
