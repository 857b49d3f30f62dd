// Compiled for this processor.
#include "kernels/group_sums.cu"
