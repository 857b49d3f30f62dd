#include "experiment/run_files.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <ios>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

// What can be read of the rest of `in`: a folder or a broken disk throws at an istreambuf_iterator.
std::string Rest(std::ifstream& in) {
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Rest(in);
}

std::string RunFolder(const std::string& output, const PlannedRun& run) {
  return absl::StrCat(output, "/", run.path());
}

std::string FinishedFile(const std::string& folder) { return folder + "/finished.txt"; }

bool IsFinished(const std::string& folder, const PlannedRun& run) {
  return Contents(FinishedFile(folder)) == run.identity;
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

std::string LastWords(const std::string& folder) {
  // A log may be of any size; its end is read.
  constexpr std::streamoff kEnd = 1 << 14;
  const std::string log = folder + "/train.log";
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  in.seekg(std::max<std::streamoff>(0, in.tellg() - kEnd));
  const std::string text = absl::StrCat("\n", Rest(in));
  const std::string mark = "\ncmerc: ";
  const size_t error = text.rfind(mark);
  std::string words = error == std::string::npos ? "" : text.substr(error + mark.size());
  absl::StripAsciiWhitespace(&words);
  return words.empty() ? "see " + log : words;
}

}  // namespace cmerc
