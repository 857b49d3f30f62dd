#include "tests/kernels/gpu.h"

#include <cuda_runtime_api.h>

#include <stdexcept>

namespace cmerc {
namespace {

void Check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

std::string WhyMissing() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(error);
  return count > 0 ? "" : "no GPU";
}

void* Allocate(size_t size) {
  void* memory = nullptr;
  Check(cudaMalloc(&memory, size));
  return memory;
}

void Free(void* memory) { Check(cudaFree(memory)); }

void Copy(const void* from, size_t size, void* to) {
  Check(cudaMemcpy(to, from, size, cudaMemcpyDefault));
}

void Wait() { Check(cudaDeviceSynchronize()); }

constexpr Gpu kGpu = {
    WhyMissing,
    Allocate,
    Free,
    Copy,
    Wait,
    kernels::LaunchGatedAggregation,
    kernels::LaunchGatedAggregationBackward,
    kernels::LaunchHypergraphMean,
    kernels::LaunchHypergraphMeanBackward,
    kernels::LaunchGroupSums,
    kernels::LaunchGroupSumsBackward,
    kernels::GatedAggregationWorkspace,
    kernels::HypergraphMeanWorkspace,
};

}  // namespace

const Gpu* FindGpu() { return &kGpu; }

}  // namespace cmerc
