#include "training/training_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status.h"
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
  if (split.has_f1_without()) {
    scalars->emplace_back(name + "/micro_f1_without", split.f1_without().micro_f1());
    scalars->emplace_back(name + "/macro_f1_without", split.f1_without().macro_f1());
    scalars->emplace_back(name + "/weighted_f1_without", split.f1_without().weighted_f1());
  }
  if (split.has_calibration()) scalars->emplace_back(name + "/ece", split.calibration().ece());
}

Scalars ScalarsOf(const EpochReport& report) {
  Scalars scalars = {{"loss/total", report.total_loss()}};
  for (const LossReport& loss : report.losses()) {
    scalars.emplace_back("loss/" + loss.loss(), loss.value());
    // Sorted: the order of a map is that of its hash.
    const auto& numbers = loss.state().numbers();
    for (const auto& [name, number] :
         std::map<std::string, double>(numbers.begin(), numbers.end())) {
      scalars.emplace_back(absl::StrCat("loss/", loss.loss(), "/", name), number);
    }
  }
  scalars.emplace_back("train/accuracy", report.train_accuracy());
  scalars.emplace_back("train/weighted_f1", report.train_weighted_f1());
  if (report.has_learning_rate()) {
    scalars.emplace_back("train/learning_rate", report.learning_rate().value());
  }
  if (report.has_skipped_steps()) {
    scalars.emplace_back("train/skipped_steps", report.skipped_steps().value());
  }
  if (report.has_steps_without_labels()) {
    scalars.emplace_back("train/steps_without_labels", report.steps_without_labels().value());
  }
  if (report.has_valid()) AddSplit("valid", report.valid(), &scalars);
  if (report.has_test()) AddSplit("test", report.test(), &scalars);
  return scalars;
}

// `step` is what the event file calls `epoch`.
absl::Status WriteGradients(int epoch, int step, const Backbone& model, EventWriter& events) {
  for (const auto& parameter : model.named_parameters()) {
    const torch::Tensor& gradient = parameter.value().grad();
    if (!gradient.defined()) continue;
    const torch::Tensor values = gradient.to(torch::kCPU, torch::kFloat32).contiguous();
    if (!torch::isfinite(values).all().item<bool>()) {
      return absl::InternalError(absl::StrCat("epoch ", epoch, ": the gradient of ",
                                              parameter.key(),
                                              " is not finite; lower training.learning_rate"));
    }
    RETURN_IF_ERROR(events.WriteHistogram(
        step, "gradient/" + parameter.key(),
        absl::MakeConstSpan(values.data_ptr<float>(), static_cast<size_t>(values.numel()))));
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
  LogPosition beginning;
  beginning.set_epochs_from(1);
  ASSIGN_OR_RETURN(std::unique_ptr<TrainingLog> log, Continue(folder, beginning));
  if (tensorboard) {
    ASSIGN_OR_RETURN(log->events_, EventWriter::Create(folder));
  }
  return log;
}

absl::StatusOr<std::unique_ptr<TrainingLog>> TrainingLog::Continue(const std::string& folder,
                                                                   const LogPosition& position) {
  std::unique_ptr<TrainingLog> log(new TrainingLog(folder));
  log->epochs_from_ = position.epochs_from();
  RETURN_IF_ERROR(log->metrics_.Open(position.metrics_bytes()));
  RETURN_IF_ERROR(log->timing_.Open(position.timing_bytes()));
  if (position.has_event_file()) {
    ASSIGN_OR_RETURN(log->events_,
                     EventWriter::Continue(folder, position.event_file(), position.event_bytes()));
  }
  return log;
}

absl::StatusOr<LogPosition> TrainingLog::Sync() {
  LogPosition position;
  position.set_epochs_from(epochs_from_);
  ASSIGN_OR_RETURN(const int64_t metrics_bytes, metrics_.Sync());
  ASSIGN_OR_RETURN(const int64_t timing_bytes, timing_.Sync());
  position.set_metrics_bytes(metrics_bytes);
  position.set_timing_bytes(timing_bytes);
  if (events_ != nullptr) {
    ASSIGN_OR_RETURN(const int64_t event_bytes, events_->Sync());
    position.set_event_file(events_->name());
    position.set_event_bytes(event_bytes);
  }
  return position;
}

absl::Status TrainingLog::WriteEpoch(EpochReport report, TimingReport timing,
                                     const Backbone& model) {
  const int epoch = report.epoch();
  const int step = epoch - 1 + epochs_from_;
  report.set_epoch(step);
  timing.set_epoch(step);
  RETURN_IF_ERROR(metrics_.Write(ToJson(report, /*pretty=*/false)));
  RETURN_IF_ERROR(timing_.Write(ToJson(timing, /*pretty=*/false)));
  if (events_ == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(events_->WriteScalars(step, ScalarsOf(report)));
  return WriteGradients(epoch, step, model, *events_);
}

absl::Status TrainingLog::Close() {
  return events_ == nullptr ? absl::OkStatus() : events_->Close();
}

}  // namespace cmerc
