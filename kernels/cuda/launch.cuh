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

namespace cmerc::kernels {

static_assert(std::is_same_v<CudaStream, cudaStream_t>, "kernels/cuda_stream.h");

constexpr int kWarp = 32;

__host__ __device__ constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Starts kernel(arguments...) on so many blocks and threads of each. Internal, with `name` in the
// message: CUDA refuses it. No blocks: nothing happens.
template <typename... Parameters>
absl::Status Start(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads,
                   CudaStream stream, const std::common_type_t<Parameters>&... arguments) {
  if (blocks == 0) return absl::OkStatus();
  if (blocks > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " would need ", blocks,
                     " blocks, and a grid has at most 2^31 - 1; use smaller batches"));
  }
#ifdef __CUDACC__
  kernel<<<static_cast<unsigned>(blocks), threads, 0, stream>>>(arguments...);
#else  // tests/kernels/emulation, which has no streams
  static_cast<void>(stream);
  Emulate(blocks, threads, [&] { kernel(arguments...); });
#endif
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("CUDA refuses to start ", name, ": ",
                                          cudaGetErrorString(error), " (", cudaGetErrorName(error),
                                          ")"));
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

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_LAUNCH_CUH_
