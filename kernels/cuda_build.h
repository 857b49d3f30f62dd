// Whether this program has kernels for GPUs.
#ifndef CMERC_KERNELS_CUDA_BUILD_H_
#define CMERC_KERNELS_CUDA_BUILD_H_

#include <string>

namespace cmerc::kernels {

// The CUDA Toolkit and the architectures that kernels were compiled for, "13.0, sm_80 sm_90 and PTX
// for later ones"; "none" without --config=cuda.
std::string CudaBuild();

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CUDA_BUILD_H_
