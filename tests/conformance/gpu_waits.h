// Counts how often the host waits for a GPU, as LibTorch's own debug mode sees it.
#ifndef CMERC_TESTS_CONFORMANCE_GPU_WAITS_H_
#define CMERC_TESTS_CONFORMANCE_GPU_WAITS_H_

#include <cstdint>

namespace cmerc::conformance {

// From now on, on this thread and on those that compute its gradients. Without --config=cuda
// nothing is counted.
void CountGpuWaits();

// Since then; nothing is counted any more.
int64_t StopCountingGpuWaits();

}  // namespace cmerc::conformance

#endif  // CMERC_TESTS_CONFORMANCE_GPU_WAITS_H_
