// Stands in for CUDA's header of this name, so that a C++ compiler takes the .cu files: their
// threads are threads of control on this processor, one after the other.
//
// Within a block a thread runs until it waits for others, at __syncthreads() or a shuffle; then any
// other may be next, in a random order that is new each time round. So what a missing barrier
// breaks shows in results, and reading or writing outside of memory shows under AddressSanitizer.
// Speed, the GPU's arithmetic and its caches are not emulated.
#ifndef CMERC_TESTS_KERNELS_EMULATION_CUDA_RUNTIME_API_H_
#define CMERC_TESTS_KERNELS_EMULATION_CUDA_RUNTIME_API_H_

#include <cmath>
#include <cstdint>
#include <functional>

#include "kernels/cuda_stream.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one after the other
#define __launch_bounds__(threads)

using cudaStream_t = cmerc::kernels::CudaStream;
using cudaError_t = int;
constexpr cudaError_t cudaSuccess = 0;
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorName(cudaError_t /*error*/) { return ""; }
inline const char* cudaGetErrorString(cudaError_t /*error*/) { return ""; }

namespace cmerc {

struct EmulatedIndex {
  unsigned x;
};
extern EmulatedIndex threadIdx, blockIdx;

void __syncthreads();
float __shfl_xor_sync(unsigned mask, float value, int lanes);

// Runs a kernel to its end. threads: a multiple of 32.
void Emulate(int64_t blocks, int threads, const std::function<void()>& kernel);

}  // namespace cmerc

#endif  // CMERC_TESTS_KERNELS_EMULATION_CUDA_RUNTIME_API_H_
