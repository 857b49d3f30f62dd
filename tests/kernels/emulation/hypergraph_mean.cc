// Compiled for this processor.
#include "kernels/cuda/hypergraph_mean.cu"
