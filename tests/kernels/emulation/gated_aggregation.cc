// Compiled for this processor.
#include "kernels/gated_aggregation.cu"
