// LibTorch's stream on a GPU.
#ifndef CMERC_BACKBONES_CUDA_STREAM_OF_H_
#define CMERC_BACKBONES_CUDA_STREAM_OF_H_

#include "kernels/cuda_stream.h"
#include "torch/types.h"

namespace cmerc {

// The stream that LibTorch's operators use now on that GPU. Throws without --config=cuda.
CudaStream CudaStreamOf(const torch::Device& device);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_CUDA_STREAM_OF_H_
