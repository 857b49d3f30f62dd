#include <cuda_runtime_api.h>

#include "absl/strings/str_cat.h"
#include "kernels/cuda_build.h"

namespace cmerc::kernels {

std::string CudaBuild() {
  static constexpr int kArchitectures[] = {__CUDA_ARCH_LIST__};  // nvcc's: 800,900
  std::string result = absl::StrCat(CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10, ",");
  for (const int architecture : kArchitectures) absl::StrAppend(&result, " sm_", architecture / 10);
  return absl::StrCat(result, " and PTX for later ones");
}

}  // namespace cmerc::kernels
