// What a stage of training writes after every epoch.
#ifndef CMERC_TRAINING_TRAINING_LOG_H_
#define CMERC_TRAINING_TRAINING_LOG_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/backbone.h"
#include "metrics/report.pb.h"
#include "storage/checkpoint.pb.h"
#include "tensorboard/event_writer.h"

namespace cmerc {

// A file that grows by a line at a time, each with the system before the next.
class LineFile {
 public:
  explicit LineFile(std::string path) : path_(std::move(path)) {}
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // Opens the file, or makes it, and keeps the first `bytes` of what is there. DataLoss: it is
  // shorter. Unavailable, here and below: the system refused.
  absl::Status Open(int64_t bytes);
  absl::Status Write(const std::string& line);
  // Brings what was written to the disk, and returns how many bytes that is.
  absl::StatusOr<int64_t> Sync();

 private:
  absl::Status Error() const;

  const std::string path_;
  int file_ = -1;
};

// Every method returns Unavailable where a file cannot be written.
class TrainingLog {
 public:
  // Begins metrics.jsonl, timing.jsonl and, with `tensorboard`, an event file in `folder`.
  static absl::StatusOr<std::unique_ptr<TrainingLog>> Create(const std::string& folder,
                                                             bool tensorboard);
  // Goes on with them where Sync() was. DataLoss: one of them is shorter than it was then.
  static absl::StatusOr<std::unique_ptr<TrainingLog>> Continue(const std::string& folder,
                                                               const LogPosition& position);

  // The epochs of both reports count from 1, and the files go on as they were begun
  // (LogPosition.epochs_from). The event file gets every number of `report` as loss/..., train/...,
  // valid/... and test/..., and for each parameter of `model` a histogram of the gradient that the
  // epoch's last step left, as gradient/NAME; a parameter without a gradient has none. Internal: a
  // gradient is not finite.
  absl::Status WriteEpoch(EpochReport report, TimingReport timing, const Backbone& model);

  // Brings all that was written to the disk, and returns how far that is.
  absl::StatusOr<LogPosition> Sync();

  // Finishes the event file, which is then whole.
  absl::Status Close();

 private:
  explicit TrainingLog(const std::string& folder)
      : metrics_(folder + "/metrics.jsonl"), timing_(folder + "/timing.jsonl") {}

  LineFile metrics_;
  LineFile timing_;
  std::unique_ptr<EventWriter> events_;  // null without `tensorboard`
  int epochs_from_ = 1;                  // as in LogPosition
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_TRAINING_LOG_H_
