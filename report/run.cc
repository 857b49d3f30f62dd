#include "report/run.h"

#include <filesystem>
#include <limits>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "core/status.h"
#include "report/json_file.h"

namespace cmerc {
namespace {

constexpr char kRemedy[] = "name a folder that `cmerc train` has written, or repeat the run";

absl::Status MalformedRun(const std::string& place, absl::string_view problem) {
  return Malformed(place, problem, kRemedy);
}

bool IsShare(double value) { return value >= 0 && value <= 1; }

// These check what a drawing relies on. InvalidArgument names the field that is wrong.
absl::Status CheckCalibration(const std::string& field, const CalibrationReport& calibration) {
  for (int i = 0; i < calibration.bins_size(); ++i) {
    const ReliabilityBin& bin = calibration.bins(i);
    if (bin.utterances() >= 0 && IsShare(bin.confidence()) && IsShare(bin.accuracy())) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".bins[", i, "]: ", bin.ShortDebugString(),
                     "; want utterances >= 0, confidence and accuracy in [0, 1]"));
  }
  return absl::OkStatus();
}

absl::Status CheckSplit(const std::string& field, const SplitReport& split) {
  const int classes = split.classes_size();
  if (split.confusion_size() != 0 && split.confusion_size() != classes) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".confusion has ", split.confusion_size(),
                                                   " rows, want ", classes, " as ", field,
                                                   ".classes"));
  }
  for (int i = 0; i < classes; ++i) {
    if (split.classes(i).support() >= 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        field, ".classes[", i, "].support = ", split.classes(i).support(), ", must be >= 0"));
  }
  for (int i = 0; i < split.confusion_size(); ++i) {
    const std::string row = absl::StrCat(field, ".confusion[", i, "].predicted");
    if (split.confusion(i).predicted_size() != classes) {
      return absl::InvalidArgumentError(absl::StrCat(
          row, " has ", split.confusion(i).predicted_size(), " numbers, want ", classes));
    }
    for (const int count : split.confusion(i).predicted()) {
      if (count >= 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(row, ": ", count, ", must be >= 0"));
    }
  }
  for (const ConfusionCount& one : split.sparse_confusion().counts()) {
    if (std::min({one.label(), one.predicted(), one.utterances()}) >= 0 &&
        std::max(one.label(), one.predicted()) < classes) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".sparse_confusion.counts: ", one.ShortDebugString(),
                     "; want classes from 0 to ", classes - 1, " and utterances >= 0"));
  }
  double before = -1;
  for (const RiskCoveragePoint& point : split.risk_coverage().points()) {
    if (IsShare(point.threshold()) && point.threshold() > before) {
      before = point.threshold();
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".risk_coverage.points: threshold = ", point.threshold(),
                     ", must be in [0, 1], in ascending order"));
  }
  absl::Status status = CheckCalibration(field + ".calibration", split.calibration());
  for (int i = 0; status.ok() && i < split.views_size(); ++i) {
    status = CheckCalibration(absl::StrCat(field, ".views[", i, "].calibration"),
                              split.views(i).calibration());
  }
  for (int i = 0; status.ok() && i < split.post_hoc_size(); ++i) {
    status = CheckCalibration(absl::StrCat(field, ".post_hoc[", i, "].calibration"),
                              split.post_hoc(i).calibration());
  }
  return status;
}

absl::Status CheckSummary(const std::string& prefix, const RunSummary& summary) {
  if (!summary.has_test() && !summary.has_valid()) {
    return absl::InvalidArgumentError(absl::StrCat(prefix, "test is missing"));
  }
  absl::Status status = CheckSplit(prefix + "test", summary.test());
  if (status.ok()) status = CheckSplit(prefix + "train", summary.train());
  if (status.ok()) status = CheckSplit(prefix + "valid", summary.valid());
  if (status.ok() && summary.has_uncalibrated()) {
    status = CheckSummary(prefix + "uncalibrated.", summary.uncalibrated());
  }
  return status;
}

// An epoch of a file whose first epoch is 0, as versions before 0.2 wrote it, or else 1.
int CountedFrom1(int epoch, bool from_0) {
  return from_0 && epoch < std::numeric_limits<int>::max() ? epoch + 1 : epoch;
}

// Reads a file of one message a line. InvalidArgument: a line is malformed, or its epoch is not
// above the epoch of the line before.
template <typename Message>
absl::StatusOr<std::vector<Message>> ReadLines(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadReportFile(path, kRemedy));
  std::vector<Message> messages;
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) {
    const int line = static_cast<int>(i) + 1;
    Message message;
    RETURN_IF_ERROR(ParseReport(path, lines[i], line, kRemedy, &message));
    const int before = messages.empty() ? -1 : messages.back().epoch();
    if (!message.has_epoch() || message.epoch() <= before) {
      return MalformedRun(absl::StrCat(path, ":", line),
                          absl::StrCat("epoch = ", message.epoch(), ", must be above ", before));
    }
    messages.push_back(std::move(message));
  }
  const bool from_0 = !messages.empty() && messages.front().epoch() == 0;
  for (Message& message : messages) message.set_epoch(CountedFrom1(message.epoch(), from_0));
  return messages;
}

void CountFrom1(RunSummary* summary) {
  summary->set_selected_epoch(CountedFrom1(summary->selected_epoch(), summary->epochs_from() == 0));
  summary->set_epochs_from(1);
  if (summary->has_uncalibrated()) CountFrom1(summary->mutable_uncalibrated());
}

void CountFrom1(CurriculumReport* curriculum) {
  const bool from_0 = curriculum->epochs_from() == 0;
  for (CurriculumConversation& one : *curriculum->mutable_conversations()) {
    if (one.first_epoch() >= 0) one.set_first_epoch(CountedFrom1(one.first_epoch(), from_0));
  }
  curriculum->set_epochs_from(1);
}

absl::Status Exists(const std::string& path, bool* exists) {
  std::error_code error;
  *exists = std::filesystem::exists(path, error);
  if (!error || error == std::errc::not_a_directory) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(path, ": ", error.message(), "; ", kRemedy));
}

// Calls read(path) where there is such a file.
template <typename Read>
absl::Status IfThere(const std::string& path, const Read& read) {
  bool exists = false;
  const absl::Status status = Exists(path, &exists);
  return status.ok() && exists ? read(path) : status;
}

absl::Status CheckEpochs(const std::string& path, const std::vector<EpochReport>& epochs) {
  if (epochs.empty()) return MalformedRun(path, "no epoch has finished");
  for (size_t i = 0; i < epochs.size(); ++i) {
    const std::string place = absl::StrCat(path, ":", i + 1);
    if (epochs[i].losses_size() != epochs[0].losses_size()) {
      return MalformedRun(place, absl::StrCat(epochs[i].losses_size(), " losses, but ",
                                              epochs[0].losses_size(), " in line 1"));
    }
    absl::Status status = CheckSplit("valid", epochs[i].valid());
    if (status.ok()) status = CheckSplit("test", epochs[i].test());
    if (!status.ok()) return MalformedRun(place, status.message());
  }
  return absl::OkStatus();
}

// Reads metrics.jsonl, the epochs of a run or of its uncalibrated model.
absl::Status ReadEpochs(const std::string& path, std::vector<EpochReport>* epochs) {
  ASSIGN_OR_RETURN(*epochs, ReadLines<EpochReport>(path));
  return CheckEpochs(path, *epochs);
}

// Reads a file that is one JSON object.
absl::Status ReadMessage(const std::string& path, google::protobuf::Message* message) {
  ASSIGN_OR_RETURN(const std::string text, ReadReportFile(path, kRemedy));
  return ParseReport(path, text, 0, kRemedy, message);
}

// InvalidArgument: the run in `folder` has not finished an epoch yet, nor has anything gone wrong.
absl::Status CheckBegun(const std::string& folder) {
  std::error_code none;
  const auto is_empty = [&](const std::string& file) {
    return std::filesystem::is_regular_file(file, none) && std::filesystem::is_empty(file, none);
  };
  const std::string own = folder + "/metrics.jsonl";
  const std::string first = folder + "/uncalibrated";
  std::string before;
  if (!std::filesystem::exists(own, none)) {
    if (std::filesystem::exists(first, none)) {
      before = ", since the uncalibrated model is trained first (see uncalibrated/metrics.jsonl)";
    } else if (!std::filesystem::exists(folder + "/lock", none)) {
      return absl::OkStatus();
    }
  } else if (!is_empty(own)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(folder, ": no epoch of this run has finished yet", before,
                   "; wait for the first, or if the run has stopped, go on with it: cmerc train "
                   "--resume --output=",
                   folder));
}

}  // namespace

absl::StatusOr<TrainingRun> ReadRun(const std::string& path) {
  bool exists = false;
  RETURN_IF_ERROR(Exists(path, &exists));
  if (!exists) {
    return absl::NotFoundError(absl::StrCat(path, ": No such file or directory; ", kRemedy));
  }
  if (!std::filesystem::is_directory(path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a folder; ", kRemedy));
  }
  TrainingRun run;
  run.path = path.size() > 1 && absl::EndsWith(path, "/") ? path.substr(0, path.size() - 1) : path;
  ASSIGN_OR_RETURN(run.config, ReadReportFile(run.path + "/config.textproto", kRemedy));
  RETURN_IF_ERROR(CheckBegun(run.path));
  RETURN_IF_ERROR(ReadEpochs(run.path + "/metrics.jsonl", &run.epochs));
  RETURN_IF_ERROR(IfThere(run.path + "/uncalibrated/metrics.jsonl", [&](const std::string& file) {
    return ReadEpochs(file, &run.uncalibrated_epochs);
  }));
  RETURN_IF_ERROR(IfThere(run.path + "/timing.jsonl", [&](const std::string& file) -> absl::Status {
    ASSIGN_OR_RETURN(run.timing, ReadLines<TimingReport>(file));
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(IfThere(run.path + "/summary.json", [&](const std::string& file) -> absl::Status {
    RETURN_IF_ERROR(ReadMessage(file, &run.summary.emplace()));
    CountFrom1(&*run.summary);
    const absl::Status checked = CheckSummary("", *run.summary);
    return checked.ok() ? checked : MalformedRun(file, checked.message());
  }));
  RETURN_IF_ERROR(IfThere(run.path + "/curriculum.json", [&](const std::string& file) {
    const absl::Status read = ReadMessage(file, &run.curriculum.emplace());
    CountFrom1(&*run.curriculum);
    return read;
  }));
  return run;
}

}  // namespace cmerc
