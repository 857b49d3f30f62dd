// Where the difficulties of a curriculum come from.
#ifndef CMERC_CALIBRATION_DIFFICULTY_SOURCE_H_
#define CMERC_CALIBRATION_DIFFICULTY_SOURCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "calibration/difficulty.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/scheduler.h"

namespace cmerc {

struct SourcedDifficulties {
  DifficultyTable table;
  std::string source;   // a path, or words
  std::string warning;  // that the test split had a say in them, or may have had one; or ""
};

// Difficulties for `scheduler` from the file or the checkpoint that config.curriculum names, or
// else from `uncalibrated`, the model of the stage before, if there was one. A checkpoint measures
// them on features prepared as in its own training, as `cmerc difficulty` does. A scheduler that
// needs none gets zeros. InvalidArgument: a scheduler that needs difficulties has none, or the
// checkpoint does not fit the data. Other codes: those of ReadDifficulties(), ReadCheckpoint(),
// PrepareAsTrained(), MakeTrainedBackbone() and MeasureDifficulties().
absl::StatusOr<SourcedDifficulties> FindDifficulties(const RunConfig& config,
                                                     const PreparedData& data,
                                                     const Scheduler& scheduler,
                                                     Backbone* uncalibrated);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_DIFFICULTY_SOURCE_H_
