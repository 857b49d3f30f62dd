#include "kernels/cuda_build.h"

namespace cmerc {

std::string CudaBuild() { return "none"; }

}  // namespace cmerc
