#include "training/training_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

using Scalars = std::vector<std::pair<std::string, double>>;

void AddSplit(const std::string& name, const SplitReport& split, Scalars* scalars) {
  scalars->emplace_back(name + "/loss", split.loss());
  scalars->emplace_back(name + "/accuracy", split.accuracy());
  scalars->emplace_back(name + "/weighted_f1", split.weighted_f1());
  scalars->emplace_back(name + "/macro_f1", split.macro_f1());
}

Scalars ScalarsOf(const EpochReport& report) {
  Scalars scalars = {{"loss/total", report.total_loss()}};
  for (const LossReport& loss : report.losses()) {
    scalars.emplace_back("loss/" + loss.loss(), loss.value());
  }
  scalars.emplace_back("train/accuracy", report.train_accuracy());
  scalars.emplace_back("train/weighted_f1", report.train_weighted_f1());
  if (report.has_skipped_steps()) {
    scalars.emplace_back("train/skipped_steps", report.skipped_steps().value());
  }
  if (report.has_valid()) AddSplit("valid", report.valid(), &scalars);
  if (report.has_test()) AddSplit("test", report.test(), &scalars);
  return scalars;
}

absl::Status WriteGradients(int epoch, const Backbone& model, EventWriter& events) {
  for (const auto& parameter : model.named_parameters()) {
    const torch::Tensor& gradient = parameter.value().grad();
    if (!gradient.defined()) continue;
    const torch::Tensor values = gradient.to(torch::kCPU, torch::kFloat32).contiguous();
    if (!torch::isfinite(values).all().item<bool>()) {
      return absl::InternalError(absl::StrCat("epoch ", epoch + 1, ": the gradient of ",
                                              parameter.key(),
                                              " is not finite; lower training.learning_rate"));
    }
    const absl::Status status = events.WriteHistogram(
        epoch, "gradient/" + parameter.key(),
        absl::MakeConstSpan(values.data_ptr<float>(), static_cast<size_t>(values.numel())));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

LineFile::~LineFile() {
  if (file_ >= 0) close(file_);
}

absl::Status LineFile::Error() const {
  const int error = errno;
  return absl::UnavailableError(absl::StrCat("cannot write ", path_, ": ", std::strerror(error),
                                             "; free some space or choose another --output"));
}

absl::Status LineFile::Open(int64_t bytes) {
  const int begin_anew = bytes == 0 ? O_TRUNC : 0;
  file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | begin_anew, 0666);
  if (file_ < 0) return Error();
  if (bytes == 0) return absl::OkStatus();
  const int64_t size = lseek(file_, 0, SEEK_END);
  if (size < bytes) {
    return absl::DataLossError(absl::StrCat(path_, ": has ", size, " bytes, want the ", bytes,
                                            " that the interrupted run wrote; was it changed "
                                            "since? Begin again: --overwrite"));
  }
  if (ftruncate(file_, bytes) != 0 || lseek(file_, bytes, SEEK_SET) != bytes) return Error();
  return absl::OkStatus();
}

absl::Status LineFile::Write(const std::string& line) {
  errno = WriteAll(file_, absl::StrCat(line, "\n"));
  return errno == 0 ? absl::OkStatus() : Error();
}

absl::StatusOr<int64_t> LineFile::Sync() {
  if (fsync(file_) != 0) return Error();
  return lseek(file_, 0, SEEK_CUR);
}

absl::StatusOr<std::unique_ptr<TrainingLog>> TrainingLog::Create(const std::string& folder,
                                                                 bool tensorboard) {
  absl::StatusOr<std::unique_ptr<TrainingLog>> log = Continue(folder, LogPosition());
  if (!log.ok() || !tensorboard) return log;
  absl::StatusOr<std::unique_ptr<EventWriter>> events = EventWriter::Create(folder);
  if (!events.ok()) return events.status();
  (*log)->events_ = *std::move(events);
  return log;
}

absl::StatusOr<std::unique_ptr<TrainingLog>> TrainingLog::Continue(const std::string& folder,
                                                                   const LogPosition& position) {
  std::unique_ptr<TrainingLog> log(new TrainingLog(folder));
  absl::Status opened = log->metrics_.Open(position.metrics_bytes());
  if (opened.ok()) opened = log->timing_.Open(position.timing_bytes());
  if (!opened.ok()) return opened;
  if (position.has_event_file()) {
    absl::StatusOr<std::unique_ptr<EventWriter>> events =
        EventWriter::Continue(folder, position.event_file(), position.event_bytes());
    if (!events.ok()) return events.status();
    log->events_ = *std::move(events);
  }
  return log;
}

absl::StatusOr<LogPosition> TrainingLog::Sync() {
  LogPosition position;
  const absl::StatusOr<int64_t> metrics = metrics_.Sync();
  const absl::StatusOr<int64_t> timing = timing_.Sync();
  for (const absl::Status& status : {metrics.status(), timing.status()}) {
    if (!status.ok()) return status;
  }
  position.set_metrics_bytes(*metrics);
  position.set_timing_bytes(*timing);
  if (events_ != nullptr) {
    const absl::StatusOr<int64_t> events = events_->Sync();
    if (!events.ok()) return events.status();
    position.set_event_file(events_->name());
    position.set_event_bytes(*events);
  }
  return position;
}

absl::Status TrainingLog::WriteEpoch(const EpochReport& report, const TimingReport& timing,
                                     const Backbone& model) {
  absl::Status status = metrics_.Write(ToJson(report, /*pretty=*/false));
  if (status.ok()) status = timing_.Write(ToJson(timing, /*pretty=*/false));
  if (!status.ok() || events_ == nullptr) return status;
  status = events_->WriteScalars(report.epoch(), ScalarsOf(report));
  return status.ok() ? WriteGradients(report.epoch(), model, *events_) : status;
}

absl::Status TrainingLog::Close() {
  return events_ == nullptr ? absl::OkStatus() : events_->Close();
}

}  // namespace cmerc
