#include "report/run.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/status.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace cmerc {
namespace {

constexpr char kRemedy[] = "name a folder that `cmerc train` has written, or repeat the run";

// The contents of a file. InvalidArgument, NotFound, PermissionDenied: it is no file that can be
// read.
absl::StatusOr<std::string> Contents(const std::string& path) {
  std::error_code none;
  const auto type = std::filesystem::status(path, none).type();
  if (type == std::filesystem::file_type::directory) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder, not a file; ", kRemedy));
  }
  // Reading a named pipe might never begin, and reading a device never end.
  if (std::filesystem::exists(std::filesystem::file_status(type)) &&
      type != std::filesystem::file_type::regular) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a pipe or a device, not a file; ", kRemedy));
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) text.assign(std::istreambuf_iterator<char>(in), {});
  if (in.good() || in.eof()) return text;
  const int error = errno != 0 ? errno : EIO;
  const absl::StatusCode code = error == ENOENT || error == ENOTDIR ? absl::StatusCode::kNotFound
                                : error == EACCES ? absl::StatusCode::kPermissionDenied
                                                  : absl::StatusCode::kInvalidArgument;
  return absl::Status(code, absl::StrCat(path, ": ", std::strerror(error), "; ", kRemedy));
}

absl::Status Malformed(const std::string& place, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", problem, "; ", kRemedy));
}

// A text, given to its reader a line at a time: the number of lines taken when the reader stops at
// an error says where the error is.
class LineStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit LineStream(absl::string_view text) : text_(text) {}

  bool Next(const void** data, int* size) override {
    if (position_ == text_.size()) return false;
    const size_t end = std::min(text_.find('\n', position_), text_.size() - 1) + 1;
    *data = text_.data() + position_;
    *size = static_cast<int>(end - position_);
    position_ = end;
    ++line_;
    return true;
  }
  void BackUp(int count) override {
    position_ -= count;
    --line_;
  }
  bool Skip(int count) override {
    position_ = std::min(text_.size(), position_ + count);
    return position_ < text_.size();
  }
  int64_t ByteCount() const override { return static_cast<int64_t>(position_); }

  int line() const { return line_; }

 private:
  const absl::string_view text_;
  size_t position_ = 0;
  int line_ = 0;
};

// What Protobuf says of an error, on one line and without the text that it quotes. When a value
// does not fit its field, it says "(field): ...", but only after it has read the whole file, and so
// the line that it has come to means nothing.
std::string FirstLine(absl::string_view message, bool* names_a_field) {
  message = absl::StripAsciiWhitespace(message.substr(0, message.find('\n')));
  absl::ConsumeSuffix(&message, ".");
  const size_t end = message.find("): ");
  *names_a_field = absl::ConsumePrefix(&message, "(") && end != absl::string_view::npos;
  if (!*names_a_field) return std::string(message);
  return absl::StrCat(message.substr(0, end - 1), message.substr(end));
}

// Parses a JSON object. `text` is line `line` of the file, or the whole file where that is 0.
// InvalidArgument: it is not one.
absl::Status FromJson(const std::string& path, absl::string_view text, int line,
                      google::protobuf::Message* message) {
  const auto place = [&](int at) { return at > 0 ? absl::StrCat(path, ":", at) : path; };
  if (absl::StripAsciiWhitespace(text).empty()) {
    return Malformed(place(line), "is empty, want a JSON object");
  }
  const google::protobuf::Descriptor* descriptor = message->GetDescriptor();
  const std::unique_ptr<google::protobuf::util::TypeResolver> resolver(
      google::protobuf::util::NewTypeResolverForDescriptorPool("type.googleapis.com",
                                                               descriptor->file()->pool()));
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  LineStream input(text);
  std::string wire;
  google::protobuf::io::StringOutputStream output(&wire);
  const auto status = google::protobuf::util::JsonToBinaryStream(
      resolver.get(), absl::StrCat("type.googleapis.com/", descriptor->full_name()), &input,
      &output, options);
  if (!status.ok()) {
    bool names_a_field = false;
    const std::string problem =
        FirstLine({status.message().data(), status.message().size()}, &names_a_field);
    return Malformed(place(line > 0 || names_a_field ? line : input.line()), problem);
  }
  if (!message->ParseFromString(wire)) return Malformed(place(line), "not a report of this kind");
  return absl::OkStatus();
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
  if (!summary.has_test()) {
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

// Reads a file of one message a line. InvalidArgument: a line is malformed, or its epoch is not
// above the epoch of the line before.
template <typename Message>
absl::StatusOr<std::vector<Message>> ReadLines(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, Contents(path));
  std::vector<Message> messages;
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) {
    const int line = static_cast<int>(i) + 1;
    Message message;
    RETURN_IF_ERROR(FromJson(path, lines[i], line, &message));
    const int before = messages.empty() ? -1 : messages.back().epoch();
    if (!message.has_epoch() || message.epoch() <= before) {
      return Malformed(absl::StrCat(path, ":", line),
                       absl::StrCat("epoch = ", message.epoch(), ", must be above ", before));
    }
    messages.push_back(std::move(message));
  }
  return messages;
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
  if (epochs.empty()) return Malformed(path, "no epoch has finished");
  for (size_t i = 0; i < epochs.size(); ++i) {
    const std::string place = absl::StrCat(path, ":", i + 1);
    if (epochs[i].losses_size() != epochs[0].losses_size()) {
      return Malformed(place, absl::StrCat(epochs[i].losses_size(), " losses, but ",
                                           epochs[0].losses_size(), " in line 1"));
    }
    absl::Status status = CheckSplit("valid", epochs[i].valid());
    if (status.ok()) status = CheckSplit("test", epochs[i].test());
    if (!status.ok()) return Malformed(place, status.message());
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
  ASSIGN_OR_RETURN(const std::string text, Contents(path));
  return FromJson(path, text, 0, message);
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
  if (std::filesystem::exists(path + "/results.json")) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": an experiment, not a run; name some of its runs: ", path, "/.../seed-1"));
  }
  TrainingRun run;
  run.path = path.size() > 1 && absl::EndsWith(path, "/") ? path.substr(0, path.size() - 1) : path;
  ASSIGN_OR_RETURN(run.config, Contents(run.path + "/config.textproto"));
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
    const absl::Status checked = CheckSummary("", *run.summary);
    return checked.ok() ? checked : Malformed(file, checked.message());
  }));
  RETURN_IF_ERROR(IfThere(run.path + "/curriculum.json", [&](const std::string& file) {
    return ReadMessage(file, &run.curriculum.emplace());
  }));
  return run;
}

}  // namespace cmerc
