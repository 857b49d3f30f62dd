// A stream of the CUDA runtime, without its headers: what <cuda_runtime_api.h> calls cudaStream_t
// is a pointer to this struct, so one converts to the other. Null is the default stream.
#ifndef CMERC_KERNELS_CUDA_STREAM_H_
#define CMERC_KERNELS_CUDA_STREAM_H_

struct CUstream_st;

namespace cmerc::kernels {

using CudaStream = CUstream_st*;

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CUDA_STREAM_H_
