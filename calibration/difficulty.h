// Difficulty of a conversation: how far a trained model is from being surest with all evidence.
#ifndef CMERC_CALIBRATION_DIFFICULTY_H_
#define CMERC_CALIBRATION_DIFFICULTY_H_

#include <cstdint>
#include <optional>
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

// (position in PreparedData::train, difficulty), in the order of the table they come from.
using Difficulties = std::vector<std::pair<int64_t, float>>;

// (ranking + S') / (S' + n) for one conversation of n labelled utterances, alone in its batch
// (B = 1): ranking = sum over these utterances and all views of max(0, l(view) - l), l the
// log-probability of the true class; S' = highest speaker index + 1. So a conversation without
// labels, which teaches nothing, has difficulty 1. Source: METHOD "Difficulty and curriculum",
// official caldiff/cal_diff.py. `backbone` is left in evaluation mode. Errors: those of
// PredictFullAndViews().
absl::StatusOr<float> DifficultyOf(Backbone& backbone, const Batch& conversation,
                                   const CalibrationConfig& config);

// Difficulties of the training split, in its order. Shows progress. InvalidArgument: no utterance
// of it has a label. Internal: a difficulty is not finite. Other codes: those of DifficultyOf() and
// PreparedData::MakeBatch(). The last two name the conversation.
absl::StatusOr<DifficultyTable> MeasureDifficulties(Backbone& backbone, const PreparedData& data,
                                                    const CalibrationConfig& config);

// Difficulties, and the protocol that their model was trained under where that is known.
struct MeasuredDifficulties {
  DifficultyTable table;
  std::optional<DataConfig::Protocol> protocol;
};

// Reads our own file or an official .pkl (a dict id -> float, which does not say the protocol),
// told apart by content. NotFound: there is no such file. InvalidArgument, with the file and the
// entry: it is neither of the two, a difficulty is not a finite number, an id occurs twice, or
// there is no such protocol. Unavailable: it cannot be read.
absl::StatusOr<MeasuredDifficulties> ReadDifficulties(const std::string& path);

// Writes `measured`: the table as a Python dict for a path that ends in ".pkl" (ids that are
// numbers in the dataset are ints there), JSON otherwise. Unavailable: the file cannot be written.
absl::Status WriteDifficulties(const std::string& path, const MeasuredDifficulties& measured,
                               bool numeric_ids);

// The table with ids replaced by positions in data.train. InvalidArgument: a training conversation
// without a difficulty, or an id that the dataset does not have.
absl::StatusOr<Difficulties> AlignDifficulties(const DifficultyTable& table,
                                               const PreparedData& data, const std::string& source);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_DIFFICULTY_H_
