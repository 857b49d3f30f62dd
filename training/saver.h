// When the state of a stage is saved.
#ifndef CMERC_TRAINING_SAVER_H_
#define CMERC_TRAINING_SAVER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "storage/checkpoint.h"
#include "training/resume.h"
#include "training/stopwatch.h"
#include "training/training_log.h"

namespace cmerc {

// Saves a stage's state, so seldom that it takes a small share of the time.
class Saver {
 public:
  // Writes to `path`; `log` and `metadata`, which goes into the file, outlive the saver.
  Saver(std::string path, TrainingLog& log, const CheckpointMetadata& metadata)
      : path_(std::move(path)), log_(log), metadata_(metadata) {}

  // Whether so much time has gone by since the last save that another takes at most 5 % of it.
  bool IsDue() const { return since_saved_.Seconds() * kShare >= took_seconds_; }

  // Saves `state`, and sets in it how long the log is. Errors: those of TrainingLog::Sync() and
  // SaveTrainingState().
  absl::Status Save(TrainingState& state);

 private:
  static constexpr double kShare = 0.05;
  const std::string path_;
  TrainingLog& log_;
  const CheckpointMetadata& metadata_;
  Stopwatch since_saved_;
  double took_seconds_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_SAVER_H_
