// Compiled for this processor.
#include "kernels/cuda/gated_aggregation.cu"
