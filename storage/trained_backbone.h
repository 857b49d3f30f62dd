// A model as a config says, with random weights or those of a checkpoint.
#ifndef CMERC_STORAGE_TRAINED_BACKBONE_H_
#define CMERC_STORAGE_TRAINED_BACKBONE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "storage/checkpoint.h"

namespace cmerc {

// Makes config.backbone for data of this shape, its weights drawn from training.seed: the same seed
// gives the same weights, and leaves LibTorch's default generator in the same state. With
// calibration.evidence_flags it shows evidence (Backbone::ShowEvidence()).
// InvalidArgument, with "backbone: " in front: what the plugin or the registry says of its options.
// Internal or ResourceExhausted: what LibTorch threw.
absl::StatusOr<std::shared_ptr<Backbone>> MakeBackbone(const RunConfig& config,
                                                       const DatasetInfo& info);

// Makes config.backbone for data of this shape, with the weights of `checkpoint`; `source` is its
// file, for the message. InvalidArgument: these are not the weights of this model (and, where one
// or a few options of the backbone are the cause, what to set), or its tensors would take more than
// 16 times as much as the weights and 16 MiB. That is refused before they are made: a small file
// must not ask for the memory of a large model. Of weights that Python saved also: the official
// code has no model like this one (core/official_model.h); `doubt`, where given, is set to what
// else speaks against the options. Other errors are those of MakeBackbone().
absl::StatusOr<std::shared_ptr<Backbone>> MakeTrainedBackbone(const RunConfig& config,
                                                              const DatasetInfo& info,
                                                              const Checkpoint& checkpoint,
                                                              const std::string& source,
                                                              std::string* doubt = nullptr);

// Whether the model of MakeTrainedBackbone() has the names and shapes of `state`.
bool HasWeightsOf(const RunConfig& config, const DatasetInfo& info, const StateDict& state);

}  // namespace cmerc

#endif  // CMERC_STORAGE_TRAINED_BACKBONE_H_
