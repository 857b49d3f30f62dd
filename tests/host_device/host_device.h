// A device for tests that is not the CPU, made of the CPU: tensors of it must not be mixed with
// those of the CPU, and waiting for it is counted.
#ifndef CMERC_TESTS_HOST_DEVICE_HOST_DEVICE_H_
#define CMERC_TESTS_HOST_DEVICE_HOST_DEVICE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "torch/types.h"

namespace cmerc {

// The device: "hip:0", with LibTorch 2 "mtia:0". They are none of LibTorch's here, and it has
// fewer operators of its own for them than for "xpu". The memory is the processor's, so a
// data_ptr() can be used as it is, and so are the operators: results are the same bits wherever
// LibTorch does not ask whether a tensor is on the CPU, as it does for GRU and LSTM.
//
// Throws, naming the operator and both devices, where tensors of both meet. As on a GPU a CPU
// tensor without dimensions may do so, unless it is in a list or written to; unlike there no
// index may. Random numbers are those of the CPU's default generator; any generator that is
// passed throws. An operator that has no kernel for the CPU has none here.
//
// The first call makes the device usable.
torch::Device HostDevice();

// How often the host had to wait for the device since ResetWaits(), in all threads: for copies
// between the two unless they are non_blocking, for item() and equal(), and for operators whose
// result has a shape that depends on values, such as indexing with a mask. Kernels for GPUs may
// wait in more cases, which are not known here.
int64_t Waits();

// The operators that Waits() counts, in order: "aten::copy_".
std::vector<std::string> WaitingOperators();

// How many tensors have been copied there from the CPU, waiting or not, since ResetWaits().
int64_t CopiesFromCpu();

void ResetWaits();

}  // namespace cmerc

#endif  // CMERC_TESTS_HOST_DEVICE_HOST_DEVICE_H_
