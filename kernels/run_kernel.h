// Runs a kernel of this folder where a tensor is. The one header here that knows LibTorch.
#ifndef CMERC_KERNELS_RUN_KERNEL_H_
#define CMERC_KERNELS_RUN_KERNEL_H_

#include <c10/core/DeviceGuard.h>

#include <string>

#include "absl/status/status.h"
#include "kernels/cuda_stream.h"
#include "torch/types.h"

namespace cmerc::kernels {

// The stream that LibTorch's operators use now on that GPU. Throws without --config=cuda.
CudaStream CudaStreamOf(const torch::Device& device);

// `launch` on LibTorch's stream if `place` is on a GPU, without waiting for it; else `run`, its
// twin. All pointers of the arguments are to memory of that device. Throws where the kernel cannot
// start.
template <typename Arguments>
void RunKernel(const torch::Tensor& place, void (*run)(const Arguments&),
               absl::Status (*launch)(const Arguments&, CudaStream), const Arguments& arguments) {
  if (!place.is_cuda()) {
    run(arguments);
    return;
  }
  const c10::DeviceGuard guard(place.device());
  const absl::Status status = launch(arguments, CudaStreamOf(place.device()));
  TORCH_CHECK(status.ok(), std::string(status.message()));
}

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_RUN_KERNEL_H_
