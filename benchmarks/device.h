// The device that benchmarks of LibTorch's tensors run on, and its memory.
#ifndef CMERC_BENCHMARKS_DEVICE_H_
#define CMERC_BENCHMARKS_DEVICE_H_

#include "torch/types.h"

namespace cmerc {

// A GPU where this program is built with --config=cuda and the machine has one, else the CPU.
torch::Device BestDevice();

// Until the device has done what it was asked for.
void WaitFor(const torch::Device& device);

// What LibTorch has of a GPU's memory, in MB of 10^6 bytes: not what CUDA itself takes, which is
// some hundred. All 0 on the CPU.
struct DeviceMemory {
  double in_tensors = 0;
  // Since the last reset.
  double peak_in_tensors = 0;
  double peak = 0;  // with what LibTorch keeps for later tensors
};
DeviceMemory MemoryOf(const torch::Device& device);

// Gives unused memory back and lets the peaks begin anew.
void ResetPeakMemoryOf(const torch::Device& device);

}  // namespace cmerc

#endif  // CMERC_BENCHMARKS_DEVICE_H_
