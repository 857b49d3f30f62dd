// Data as the model of a checkpoint saw it in training.
#ifndef CMERC_CALIBRATION_AS_TRAINED_H_
#define CMERC_CALIBRATION_AS_TRAINED_H_

#include <string>

#include "absl/status/statusor.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/dataset.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

// The conversations and splits of `data`, which `config` describes, with the modalities and the
// standardization of the model that `trained` describes. Where both name their speakers, or their
// classes, in another order, indices are the model's. Reads config.data.dataset again unless `data`
// has these features already. InvalidArgument: the dataset lacks one of the modalities, has them in
// another order, or the standardization does not fit. Other codes: those of the dataset's plugin.
absl::StatusOr<PreparedData> PrepareAsTrained(const RunConfig& config, const PreparedData& data,
                                              const CheckpointMetadata& trained);

// What to warn of where a model is used on data of other classes, or of the same in another order,
// than it was trained on: its weights load, and its scores mean little. "" where they are equal.
std::string OtherClassesWarning(const DatasetDescription& trained_on, const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_AS_TRAINED_H_
