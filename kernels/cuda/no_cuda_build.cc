#include "kernels/cuda_build.h"

namespace cmerc::kernels {

std::string CudaBuild() { return "none"; }

}  // namespace cmerc::kernels
