// The Launch functions of a program that is built without CUDA.
#include "kernels/gated_aggregation.h"
#include "kernels/group_sums.h"
#include "kernels/hypergraph_mean.h"

namespace cmerc::kernels {
namespace {

absl::Status WithoutCuda() {
  return absl::UnimplementedError("this program was built without kernels for GPUs");
}

}  // namespace

absl::Status LaunchGatedAggregation(const GatedAggregation&, CudaStream) { return WithoutCuda(); }
absl::Status LaunchGatedAggregationBackward(const GatedAggregation&, CudaStream) {
  return WithoutCuda();
}
int64_t GatedAggregationWorkspace(const Sequences&, int64_t) { return 0; }

absl::Status LaunchHypergraphMean(const HypergraphMean&, CudaStream) { return WithoutCuda(); }
absl::Status LaunchHypergraphMeanBackward(const HypergraphMean&, CudaStream) {
  return WithoutCuda();
}
int64_t HypergraphMeanWorkspace(const Sequences&, int64_t, int64_t) { return 0; }

absl::Status LaunchGroupSums(const GroupSums&, CudaStream) { return WithoutCuda(); }
absl::Status LaunchGroupSumsBackward(const GroupSums&, CudaStream) { return WithoutCuda(); }

}  // namespace cmerc::kernels
