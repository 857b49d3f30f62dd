// What stands for the features of a modality that an utterance lacks (docs/evidence.md).
#ifndef CMERC_CALIBRATION_MISSING_H_
#define CMERC_CALIBRATION_MISSING_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "storage/checkpoint.pb.h"
#include "torch/types.h"

namespace cmerc {

// [m][s]: [D_m], the mean of each feature over the utterances of the training split that have it,
// as the model sees features. Streams of the same means share them. Empty: it is not known.
using FeatureMeans = std::vector<std::vector<torch::Tensor>>;

// The means of standardized features: 0.
FeatureMeans ZeroMeans(const DatasetInfo& info);
// InvalidArgument: it has not one finite mean for every feature of `info`.
absl::StatusOr<FeatureMeans> MeansOf(const TrainingMeans& means, const DatasetInfo& info);
TrainingMeans Describe(const FeatureMeans& means);

// [K] int64: the utterances that have modality m.
torch::Tensor RowsWith(const Conversation& conversation, size_t m);
// Whether an utterance of the conversation lacks a modality.
bool LacksAny(const Conversation& conversation);

// Replaces the features of a modality by their mean over the utterances of the conversation that
// have it, as a view does, wherever `present` says that an utterance lacks it; where
// `info.context` is the past, by the mean over those before it. Where there are none, `means`
// stand for it. What is there keeps its bits; tensors are replaced, not written to.
// InvalidArgument: means are needed and not known; the message names the modality.
absl::Status FillMissing(const FeatureMeans& means, const DatasetInfo& info,
                         Conversation& conversation);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_MISSING_H_
