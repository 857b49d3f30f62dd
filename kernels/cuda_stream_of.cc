#include "kernels/run_kernel.h"

#include <c10/cuda/CUDAStream.h>

namespace cmerc {

CudaStream CudaStreamOf(const torch::Device& device) {
  return c10::cuda::getCurrentCUDAStream(device.index()).stream();
}

}  // namespace cmerc
