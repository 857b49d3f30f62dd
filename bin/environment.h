// What this program runs on: versions of what is linked in, threads, BLAS.
#ifndef CMERC_BIN_ENVIRONMENT_H_
#define CMERC_BIN_ENVIRONMENT_H_

#include <map>
#include <string>

namespace cmerc {

// Every library that is linked in, by name ("libtorch"), and its version where the library that
// runs can say it, else that of its headers; the compiler; and under "kernels" the instruction sets
// that were chosen on this processor. "cuda": kernels/cuda_build.h. No commit of this project: it
// would link anew after each.
std::map<std::string, std::string> Versions();

// What is wrong with the BLAS that is bound, and what to do; "" when nothing is. OpenBLAS built
// with its own threads makes LibTorch's GRU ten times slower (its threads fight OpenMP's).
std::string BlasWarning();

// Sets the threads of LibTorch and OpenMP; 0: OMP_NUM_THREADS where it is set, else one per
// processor.
void SetThreads(int threads);

}  // namespace cmerc

#endif  // CMERC_BIN_ENVIRONMENT_H_
