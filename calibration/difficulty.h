// Difficulty of a conversation: how far a trained model is from being surest with all evidence.
#ifndef CMERC_CALIBRATION_DIFFICULTY_H_
#define CMERC_CALIBRATION_DIFFICULTY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/backbone.h"

namespace cmerc {

// (conversation id, difficulty), in some order: equally difficult conversations keep it.
using DifficultyTable = std::vector<std::pair<std::string, float>>;

// (ranking + S') / (S' + n) for one conversation of n utterances, alone in its batch (B = 1):
// ranking = sum over utterances and all views of max(0, l(view) - l), l the log-probability of the
// true class; S' = highest speaker index + 1. Source: METHOD "Difficulty and curriculum", official
// caldiff/cal_diff.py. `backbone` is left in evaluation mode.
absl::StatusOr<float> DifficultyOf(Backbone& backbone, const Batch& conversation,
                                   const CalibrationConfig& config);

// Difficulties of the training split, in its order. Shows progress.
absl::StatusOr<DifficultyTable> MeasureDifficulties(Backbone& backbone, const PreparedData& data,
                                                    const CalibrationConfig& config);

// Reads our own file or an official .pkl (a dict id -> float), told apart by content. Errors name
// the file and the entry: not finite, not a number, an id twice.
absl::StatusOr<DifficultyTable> ReadDifficulties(const std::string& path);

// Writes `table`: a Python dict for a path that ends in ".pkl" (ids that are numbers in the dataset
// are ints there), JSON otherwise.
absl::Status WriteDifficulties(const std::string& path, const DifficultyTable& table,
                               bool numeric_ids);

// The table with ids replaced by positions in data.train. InvalidArgument: a training conversation
// without a difficulty, or an id that the dataset does not have.
absl::StatusOr<std::vector<std::pair<int64_t, float>>> AlignDifficulties(
    const DifficultyTable& table, const PreparedData& data, const std::string& source);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_DIFFICULTY_H_
