// Compiled for this processor.
#include "kernels/hypergraph_mean.cu"
