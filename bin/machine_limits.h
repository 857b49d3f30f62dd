// What the system must grant before LibTorch can work. Where it does not, LibTorch and the
// libraries below it wait for ever, spin or crash, some before main(); so the small program asks
// first.
#ifndef CMERC_BIN_MACHINE_LIMITS_H_
#define CMERC_BIN_MACHINE_LIMITS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace cmerc {

// For how many threads OpenBLAS maps memory when it is loaded: one per processor that this process
// may use, or OMP_NUM_THREADS where that is less. Its OpenMP flavour does not look at
// OPENBLAS_NUM_THREADS.
int BlasThreadsAtStart();

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

// A batch that is to be predicted.
struct BatchSize {
  std::string backbone;      // "cmerc.GruOptions"
  bool transformer_encoder;  // of M3Net or Mmgcn
  int64_t modalities;        // of the data
  bool views;                // also without each source of evidence
  int64_t conversations;     // in the batch
  int64_t length;            // utterances of the longest
};

// What to say before a batch is predicted where its tensors that grow with the square of the length
// may not fit into `free` bytes of memory, 0: not known; "" where they do.
std::string LengthWarning(const BatchSize& batch, int64_t free);

// How many threads LibTorch starts for a pool of its own, whatever training.threads says: one per
// processor with the first.
int ThreadsOfPool();

}  // namespace cmerc

#endif  // CMERC_BIN_MACHINE_LIMITS_H_
