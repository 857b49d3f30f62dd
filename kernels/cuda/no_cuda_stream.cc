#include "kernels/run_kernel.h"

namespace cmerc::kernels {

CudaStream CudaStreamOf(const torch::Device& device) {
  TORCH_CHECK_VALUE(false, "a tensor is on ", device,
                    ", and this program was built without kernels for GPUs; build it with "
                    "--config=cuda (docs/cuda.md)");
}

}  // namespace cmerc::kernels
