#include <c10/cuda/CUDACachingAllocator.h>
#include <torch/cuda.h>

#include "benchmarks/device.h"

namespace cmerc {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

double Megabytes(int64_t bytes) { return static_cast<double>(bytes) * 1e-6; }

}  // namespace

torch::Device BestDevice() {
  return torch::cuda::is_available() ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
}

void WaitFor(const torch::Device& device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

DeviceMemory MemoryOf(const torch::Device& device) {
  if (!device.is_cuda()) return {};
  const auto stats = allocator::getDeviceStats(device.index());
  // The first of each is of small and large blocks together.
  return {Megabytes(stats.allocated_bytes.front().current),
          Megabytes(stats.allocated_bytes.front().peak),
          Megabytes(stats.reserved_bytes.front().peak)};
}

void ResetPeakMemoryOf(const torch::Device& device) {
  if (!device.is_cuda()) return;
  allocator::emptyCache();
  allocator::resetPeakStats(device.index());
}

}  // namespace cmerc
