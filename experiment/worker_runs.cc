#include "experiment/worker_runs.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/status.h"
#include "experiment/claims.h"
#include "experiment/run_files.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// Digests by the paths of runs.
std::map<std::string, std::string> DigestsIn(const std::string& text) {
  std::map<std::string, std::string> digests;
  for (const auto line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    digests[words.second] = words.first;
  }
  return digests;
}

}  // namespace

std::string WorkerRunsFile(const std::string& output) { return output + "/worker_runs.txt"; }

absl::Status AgreeOnRuns(const std::vector<PlannedRun>& runs, const std::string& output,
                         bool worker) {
  const std::string file = WorkerRunsFile(output);
  const std::string before = Contents(file);
  std::map<std::string, std::string> digests = DigestsIn(before);
  std::string differs;
  for (const PlannedRun& run : runs) {
    std::string& digest = digests[run.path()];
    const std::string now = DigestOf(run.identity);
    if (!digest.empty() && digest != now && differs.empty()) differs = run.path();
    digest = now;
  }
  if (!differs.empty()) {
    for (const auto& [path, digest] : digests) {
      const std::string folder = absl::StrCat(output, "/", path);
      const std::string holder = ClaimantOf(folder);
      if (holder.empty()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--output=", output, ": ", differs,
                       " is another run for this process than for the workers there: its config, "
                       "its data files, the search or the version of cmerc differ. ",
                       holder, " works on ", path,
                       "; give every worker the same plan and files, or stop the others first (if "
                       "that one is dead: "
                       "remove ",
                       folder, "/claim.*)"));
    }
  }
  std::string text;
  for (const auto& [path, digest] : digests) absl::StrAppend(&text, digest, " ", path, "\n");
  if (text == before || (!worker && before.empty())) return absl::OkStatus();
  return WriteFileAtomically(file, text);
}

}  // namespace cmerc
