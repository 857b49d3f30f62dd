#include <c10/cuda/CUDAStream.h>

#include "kernels/run_kernel.h"

namespace cmerc::kernels {

CudaStream CudaStreamOf(const torch::Device& device) {
  return c10::cuda::getCurrentCUDAStream(device.index()).stream();
}

}  // namespace cmerc::kernels
