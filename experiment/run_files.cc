#include "experiment/run_files.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <ios>
#include <limits>
#include <optional>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "experiment/fnv1a.h"
#include "storage/atomic_file.h"
#include "storage/selection_score.h"
#include "storage/stop_after.h"

namespace cmerc {
namespace {

// What can be read of the rest of `in`: a folder or a broken disk throws at an istreambuf_iterator.
std::string Rest(std::ifstream& in) {
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string FailedFile(const std::string& folder) { return folder + "/failed.txt"; }

std::string LogFile(const std::string& folder) { return folder + "/train.log"; }

// Behind the identity in the finished.txt of a run that was to stop.
constexpr char kStopped[] = "# stopped after epoch ";

// The end of a log, which may be of any size, behind a newline.
std::string EndOf(const std::string& log) {
  constexpr std::streamoff kEnd = 1 << 14;
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  in.seekg(std::max<std::streamoff>(0, in.tellg() - kEnd));
  return absl::StrCat("\n", Rest(in));
}

}  // namespace

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Rest(in);
}

absl::Status ReadPredictionLines(const std::string& path,
                                 const std::function<bool(const std::string& line)>& append) {
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (append(line)) continue;
    return absl::DataLossError(absl::StrCat(
        path, ":", number,
        ": cannot be read as predictions; remove the folder of this run and run it again"));
  }
  return absl::OkStatus();
}

std::string RunFolder(const std::string& output, const PlannedRun& run) {
  return absl::StrCat(output, "/", run.path());
}

std::string FinishedFile(const std::string& folder) { return folder + "/finished.txt"; }

std::string BegunFile(const std::string& folder) { return folder + "/begun.txt"; }

std::string FinishedText(const PlannedRun& run) {
  if (!run.stop_after.has_value()) return run.identity;
  return absl::StrCat(run.identity, kStopped, *run.stop_after, "\n");
}

std::string TextToFinish(const std::string& folder) {
  PlannedRun run;
  run.identity = Contents(BegunFile(folder));
  const absl::StatusOr<int> stop_after = ReadStopAfter(folder);
  if (stop_after.ok() && *stop_after > 0) run.stop_after = *stop_after;
  return FinishedText(run);
}

std::string DigestOf(const std::string& identity) {
  return absl::StrFormat("%016x", Fnv1a(identity));
}

bool IsFinished(const std::string& folder, const PlannedRun& run) {
  const std::string finished = Contents(FinishedFile(folder));
  if (!run.stop_after.has_value()) return finished == run.identity;
  absl::string_view rest = finished;
  int epochs = 0;
  return absl::ConsumePrefix(&rest, run.identity) && absl::ConsumePrefix(&rest, kStopped) &&
         absl::SimpleAtoi(rest, &epochs) && epochs >= *run.stop_after;
}

absl::Status NoteFailure(const PlannedRun& run, const std::string& output, const std::string& why) {
  return WriteFileAtomically(FailedFile(RunFolder(output, run)), absl::StrCat(run.identity, why));
}

std::optional<std::string> WhyFailed(const PlannedRun& run, const std::string& output) {
  if (!run.trial.has_value() || run.identity.empty()) return std::nullopt;
  const std::string text = Contents(FailedFile(RunFolder(output, run)));
  absl::string_view why = text;
  if (!absl::ConsumePrefix(&why, run.identity)) return std::nullopt;
  return std::string(why);
}

void ForgetFailure(const PlannedRun& run, const std::string& output) {
  unlink(FailedFile(RunFolder(output, run)).c_str());
}

absl::StatusOr<RunSummary> ReadSummary(const std::string& folder) {
  const std::string path = folder + "/summary.json";
  RunSummary summary;
  const auto status = google::protobuf::util::JsonStringToMessage(Contents(path), &summary);
  if (status.ok() && summary.has_valid() && !summary.has_test()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": there are no test scores, which experiments compare, since the dataset has no "
        "test split; give it one"));
  }
  if (!status.ok() || !summary.has_test()) {
    return absl::DataLossError(absl::StrCat(
        path, ": cannot be read as the summary of a run; remove its folder and run it again"));
  }
  return summary;
}

absl::StatusOr<double> ValidationScore(const std::string& folder, int epochs,
                                       TrainingConfig::SelectBy by) {
  const std::string path = folder + "/metrics.jsonl";
  std::ifstream in(path, std::ios::binary);
  std::string line;
  std::optional<double> best;
  for (int epoch = 1; epoch <= epochs && std::getline(in, line); ++epoch) {
    EpochReport report;
    const auto status = google::protobuf::util::JsonStringToMessage(line, &report);
    if (!status.ok() || !report.has_valid()) {
      return absl::DataLossError(absl::StrCat(
          path, ":", epoch, ": cannot be read as an epoch with scores on the validation split"));
    }
    best = std::max(best.value_or(-std::numeric_limits<double>::infinity()),
                    SelectionScore(report.valid(), by));
  }
  if (best.has_value()) return *best;
  return absl::DataLossError(absl::StrCat(path, ": holds no epoch"));
}

std::string LastWords(const std::string& folder) {
  const std::string log = LogFile(folder);
  const std::string text = EndOf(log);
  const std::string mark = "\ncmerc: ";
  const size_t error = text.rfind(mark);
  std::string words = error == std::string::npos ? "" : text.substr(error + mark.size());
  absl::StripAsciiWhitespace(&words);
  return words.empty() ? "see " + log : words;
}

std::string LastEpoch(const std::string& folder) {
  std::string last;
  std::vector<std::string> lines = absl::StrSplit(EndOf(LogFile(folder)), '\n');
  lines.pop_back();  // which may not be whole
  for (std::string& line : lines) {
    absl::RemoveExtraAsciiWhitespace(&line);
    // Where two models are trained, each line begins with which.
    for (const char* beginning : {"epoch ", "uncalibrated epoch ", "calibrated epoch "}) {
      if (absl::StartsWith(line, beginning)) last = line;
    }
  }
  return last;
}

}  // namespace cmerc
