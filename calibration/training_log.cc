#include "calibration/training_log.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "metrics/json.h"

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

LineFile::LineFile(std::string path) : path_(std::move(path)), out_(path_, std::ios::trunc) {}

absl::Status LineFile::status() const {
  if (out_.good()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path_, ": ", std::strerror(errno),
                                             "; free some space or choose another --output"));
}

absl::Status LineFile::Write(const std::string& line) {
  out_ << line << "\n" << std::flush;
  return status();
}

TrainingLog::TrainingLog(const std::string& folder)
    : metrics_(folder + "/metrics.jsonl"), timing_(folder + "/timing.jsonl") {}

absl::StatusOr<std::unique_ptr<TrainingLog>> TrainingLog::Create(const std::string& folder,
                                                                 bool tensorboard) {
  std::unique_ptr<TrainingLog> log(new TrainingLog(folder));
  for (const LineFile* file : {&log->metrics_, &log->timing_}) {
    if (!file->status().ok()) return file->status();
  }
  if (tensorboard) {
    absl::StatusOr<std::unique_ptr<EventWriter>> events = EventWriter::Create(folder);
    if (!events.ok()) return events.status();
    log->events_ = *std::move(events);
  }
  return log;
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
