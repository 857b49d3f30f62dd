// A model with the weights of a checkpoint.
#ifndef CMERC_CALIBRATION_TRAINED_BACKBONE_H_
#define CMERC_CALIBRATION_TRAINED_BACKBONE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/checkpoint.h"
#include "config/experiment.pb.h"
#include "core/backbone.h"

namespace cmerc {

// config.backbone for data of this shape, with the weights in `state`; `source` is their file, for
// the message. InvalidArgument when they are not the weights of this model. A model whose tensors
// would take more than 16 times the weights (and 16 MiB) is refused before they are made: a small
// file must not ask for the memory of a large model.
absl::StatusOr<std::shared_ptr<Backbone>> MakeTrainedBackbone(const ExperimentConfig& config,
                                                              const DatasetInfo& info,
                                                              const StateDict& state,
                                                              const std::string& source);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_TRAINED_BACKBONE_H_
