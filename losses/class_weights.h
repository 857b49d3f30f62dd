// Weights of the classes, for losses over corpora where some emotions are rare.
#ifndef CMERC_LOSSES_CLASS_WEIGHTS_H_
#define CMERC_LOSSES_CLASS_WEIGHTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/dataset.h"
#include "losses/class_weights.pb.h"
#include "torch/types.h"

namespace cmerc {

// [C] float64, or undefined for NONE. The formulas are in losses/class_weights.proto.
// given: for GIVEN, C of them, above 0 and finite; empty for all others. beta: in [0, 1), read for
// CLASS_BALANCED. InvalidArgument: those are not so, or `info` lacks the counts that `source`
// needs; the message starts with `options_name` ("cmerc.NllOptions").
absl::StatusOr<torch::Tensor> MakeClassWeights(const std::string& options_name,
                                               ClassWeights::Source source,
                                               absl::Span<const double> given, double beta,
                                               const DatasetInfo& info);

// Such weights as `like` is, of its type and on its device; undefined stays undefined.
torch::Tensor WeightsLike(const torch::Tensor& weights, const torch::Tensor& like);

}  // namespace cmerc

#endif  // CMERC_LOSSES_CLASS_WEIGHTS_H_
