// Whether a model can be trained in parts (training.parts).
#ifndef CMERC_TRAINING_PARTS_CHECK_H_
#define CMERC_TRAINING_PARTS_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "config/run.pb.h"
#include "core/backbone.h"

namespace cmerc {

// InvalidArgument: answers to a conversation depend on the others of its batch, told by random
// conversations in a batch and by themselves, with random weights; or `backbone`, called `name`,
// normalizes over its batch in training and cannot take the statistics of a whole batch
// (Backbone::HoldStatisticsOf()), or not with calibration.evidence_flags, whose parameters change
// them; or a parameter is not of type float32. Leaves the model as it was. Other errors: those of
// Backbone::Forward().
absl::Status CheckParts(Backbone& backbone, const std::string& name, const RunConfig& config);

}  // namespace cmerc

#endif  // CMERC_TRAINING_PARTS_CHECK_H_
