// What a stage of training writes after every epoch.
#ifndef CMERC_CALIBRATION_TRAINING_LOG_H_
#define CMERC_CALIBRATION_TRAINING_LOG_H_

#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/backbone.h"
#include "metrics/report.pb.h"
#include "tensorboard/event_writer.h"

namespace cmerc {

// A file that grows by a line at a time, each with the system before the next.
class LineFile {
 public:
  explicit LineFile(std::string path);
  // Whether all went well so far.
  absl::Status status() const;
  absl::Status Write(const std::string& line);

 private:
  const std::string path_;
  std::ofstream out_;
};

class TrainingLog {
 public:
  // Begins metrics.jsonl, timing.jsonl and, with `tensorboard`, an event file in `folder`.
  static absl::StatusOr<std::unique_ptr<TrainingLog>> Create(const std::string& folder,
                                                             bool tensorboard);

  // The event file gets every number of `report` as loss/..., train/..., valid/... and test/...,
  // and for each parameter of `model` a histogram of the gradient that the epoch's last step left,
  // as gradient/NAME; a parameter without a gradient has none. Internal: a gradient is not finite.
  absl::Status WriteEpoch(const EpochReport& report, const TimingReport& timing,
                          const Backbone& model);

  // The log is whole.
  absl::Status Close();

 private:
  explicit TrainingLog(const std::string& folder);

  LineFile metrics_;
  LineFile timing_;
  std::unique_ptr<EventWriter> events_;  // null without `tensorboard`
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_TRAINING_LOG_H_
