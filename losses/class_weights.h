// Weights of the classes, for losses over corpora where some emotions are rare.
#ifndef CMERC_LOSSES_CLASS_WEIGHTS_H_
#define CMERC_LOSSES_CLASS_WEIGHTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/dataset.h"
#include "losses/class_weights.pb.h"
#include "torch/types.h"

namespace cmerc {

// The weights, [C] float64; undefined for NONE. The formulas are in losses/class_weights.proto.
// `given` is read for GIVEN, `beta` for CLASS_BALANCED; their values are in the ranges of the
// .proto files. InvalidArgument: `given` has not one value for each class, or has any where
// `source` is another, or `info` lacks the counts that `source` needs; the message starts with
// `options_name`
// ("cmerc.NllOptions").
absl::StatusOr<torch::Tensor> MakeClassWeights(const std::string& options_name,
                                               ClassWeights::Source source,
                                               absl::Span<const double> given, double beta,
                                               const DatasetInfo& info);

// `weights` with the type of `like`, on its device; undefined weights stay undefined.
torch::Tensor WeightsLike(const torch::Tensor& weights, const torch::Tensor& like);

// The values of [C] float64 weights; empty for undefined ones.
std::vector<double> WeightsOf(const torch::Tensor& weights);

}  // namespace cmerc

#endif  // CMERC_LOSSES_CLASS_WEIGHTS_H_
