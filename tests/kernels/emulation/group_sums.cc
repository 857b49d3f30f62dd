// Compiled for this processor.
#include "kernels/cuda/group_sums.cu"
