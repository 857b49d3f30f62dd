// What this program runs on: versions of what is linked in, threads, BLAS.
#ifndef CMERC_BIN_ENVIRONMENT_H_
#define CMERC_BIN_ENVIRONMENT_H_

#include <map>
#include <string>

#include "absl/status/status.h"

namespace cmerc {

// Name -> version of this project ("cmerc"), of every library that is linked in ("libtorch"; the
// version of its headers where the library that runs cannot say its own) and of the compiler; under
// "kernels" the instruction sets that were chosen on this processor, under "cuda" what
// kernels/cuda_build.h says. There is no commit of this project: it would link anew after each.
std::map<std::string, std::string> Versions();

// What is wrong with the BLAS that is bound, and what to do; "" when nothing is. OpenBLAS built
// with its own threads makes LibTorch's GRU ten times slower (its threads fight OpenMP's).
std::string BlasWarning();

// Sets the threads of LibTorch and OpenMP; 0: OMP_NUM_THREADS where it is set, else one per
// processor. InvalidArgument: the system does not grant so many; LibTorch would wait for them for
// ever.
absl::Status SetThreads(int threads);

}  // namespace cmerc

#endif  // CMERC_BIN_ENVIRONMENT_H_
