// What this program runs on: versions of what is linked in, threads, BLAS.
#ifndef CMERC_BIN_ENVIRONMENT_H_
#define CMERC_BIN_ENVIRONMENT_H_

#include <map>
#include <string>

namespace cmerc {

// "cmerc", "libtorch", "blas", "protobuf", "abseil", "compiler" -> version.
std::map<std::string, std::string> Versions();

// What is wrong with the BLAS that is bound, and what to do; "" when nothing is. OpenBLAS built
// with its own threads makes LibTorch's GRU ten times slower (its threads fight OpenMP's).
std::string BlasWarning();

// Sets the threads of LibTorch and OpenMP; 0: OMP_NUM_THREADS where it is set, else one per
// processor.
void SetThreads(int threads);

}  // namespace cmerc

#endif  // CMERC_BIN_ENVIRONMENT_H_
