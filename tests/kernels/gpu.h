// The GPU of this machine and the kernels for it, where the build found a CUDA Toolkit.
#ifndef CMERC_TESTS_KERNELS_GPU_H_
#define CMERC_TESTS_KERNELS_GPU_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "kernels/cuda_stream.h"
#include "kernels/gated_aggregation.h"
#include "kernels/group_sums.h"
#include "kernels/hypergraph_mean.h"

namespace cmerc {

struct Gpu {
  // Why nothing can run; "" where it can.
  std::string (*why_missing)();

  // Throw std::runtime_error.
  void* (*allocate)(size_t size);
  void (*free)(void* memory);
  void (*copy)(const void* from, size_t size, void* to);  // from and to either side
  void (*wait)();

  template <typename Arguments>
  using Launch = absl::Status (*)(const Arguments& arguments, kernels::CudaStream stream);
  Launch<kernels::GatedAggregation> gated_aggregation, gated_aggregation_backward;
  Launch<kernels::HypergraphMean> hypergraph_mean, hypergraph_mean_backward;
  Launch<kernels::GroupSums> group_sums, group_sums_backward;
  int64_t (*gated_aggregation_workspace)(const kernels::Sequences& sequences,
                                         int64_t num_modalities);
  int64_t (*hypergraph_mean_workspace)(const kernels::Sequences& sequences, int64_t num_modalities,
                                       int64_t width);
};

// Null where there was no CUDA Toolkit.
const Gpu* FindGpu();

}  // namespace cmerc

#endif  // CMERC_TESTS_KERNELS_GPU_H_
