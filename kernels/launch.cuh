// What the kernels' launches and reductions have in common. Included by .cu files alone.
#ifndef CMERC_KERNELS_LAUNCH_CUH_
#define CMERC_KERNELS_LAUNCH_CUH_

#include <cuda_runtime_api.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/cuda_stream.h"

namespace cmerc {

static_assert(std::is_same_v<CudaStream, cudaStream_t>, "kernels/cuda_stream.h");

constexpr int kWarp = 32;

__host__ __device__ constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// What became of the launch just before. `kernel`: for the message.
inline absl::Status LaunchStatus(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("CUDA refuses to start ", kernel, ": ",
                                          cudaGetErrorString(error), " (", cudaGetErrorName(error),
                                          ")"));
}

// Whether a grid may have so many blocks in a row.
inline absl::Status CheckBlocks(const char* kernel, int64_t blocks) {
  if (blocks <= std::numeric_limits<int32_t>::max()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(kernel, " would need ", blocks,
                   " blocks, and a grid has at most 2^31 - 1; use smaller batches"));
}

// In every lane, and in the same order for all of them.
__device__ inline float WarpSum(float x) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(~0U, x, lanes);
  return x;
}

__device__ inline float WarpMax(float x) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    x = fmaxf(x, __shfl_xor_sync(~0U, x, lanes));
  }
  return x;
}

}  // namespace cmerc

#endif  // CMERC_KERNELS_LAUNCH_CUH_
