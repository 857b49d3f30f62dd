#include "experiment/runner.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "config/loader.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "storage/atomic_file.h"
#include "storage/folder_lock.h"
#include "storage/run_folder.h"

namespace cmerc {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Makes the folder of a run that is about to start and returns whether the run is to be resumed: it
// was interrupted, and is still the run that the folder was begun for.
absl::StatusOr<bool> PrepareRunFolder(const PlannedRun& run, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot create ", folder, ": ", error.message(), "; choose another --output"));
  }
  unlink(FinishedFile(folder).c_str());
  const std::string begun = folder + "/begun.txt";
  if (Contents(begun) == run.identity) return true;
  unlink(begun.c_str());
  RETURN_IF_ERROR(FinishRun(folder));
  RETURN_IF_ERROR(WriteFileAtomically(folder + "/config.textproto", ResolvedConfig(run.config)));
  RETURN_IF_ERROR(WriteFileAtomically(begun, run.identity));
  return false;
}

struct Outcome {
  bool failed;
  std::string text;  // "weighted F1 0.6512", or "failed with exit status 1: why"
};

// What became of a run that has ended; marks one that succeeded as finished.
absl::StatusOr<Outcome> OutcomeOf(const PlannedRun& run, const std::string& folder,
                                  const EndedRun& ended) {
  const std::string failed = absl::StrCat("failed with ", ended.ending, ": ");
  if (!ended.succeeded) return Outcome{true, failed + LastWords(folder)};
  const absl::StatusOr<RunSummary> summary = ReadSummary(folder);
  if (!summary.ok()) return Outcome{true, absl::StrCat(failed, summary.status().message())};
  RETURN_IF_ERROR(WriteFileAtomically(FinishedFile(folder), run.identity));
  std::string text = absl::StrFormat("weighted F1 %.4f", summary->test().weighted_f1());
  if (summary->has_uncalibrated()) {
    absl::StrAppendFormat(&text, " (uncalibrated %.4f)",
                          summary->uncalibrated().test().weighted_f1());
  }
  return Outcome{false, text};
}

}  // namespace

absl::StatusOr<std::vector<std::string>> DoRuns(const std::vector<PlannedRun>& runs,
                                                const std::string& output, Launcher& launcher) {
  ASSIGN_OR_RETURN(const FolderLock lock, LockOutput(output));
  // Before the lock goes: nothing may write into a folder that another process holds.
  const absl::Cleanup stop_all = [&launcher] { launcher.StopAll(); };
  std::vector<std::string> failures;
  const Clock::time_point start = Clock::now();
  size_t next = 0, done = 0, kept = 0;
  while (next < runs.size() || launcher.IsBusy()) {
    if (next < runs.size() && launcher.HasRoom()) {
      const PlannedRun& run = runs[next];
      const std::string folder = RunFolder(output, run);
      if (IsFinished(folder, run)) {
        ++kept;
      } else {
        ASSIGN_OR_RETURN(const bool resume, PrepareRunFolder(run, folder));
        RETURN_IF_ERROR(launcher.Start({next, folder, resume}));
      }
      ++next;
      continue;
    }
    ASSIGN_OR_RETURN(const EndedRun ended, launcher.WaitForOne());
    ++done;
    const PlannedRun& run = runs[ended.run];
    ASSIGN_OR_RETURN(const Outcome outcome, OutcomeOf(run, RunFolder(output, run), ended));
    if (outcome.failed) failures.push_back(absl::StrCat(run.path(), ": ", outcome.text));
    const size_t left = runs.size() - kept - done;
    const double seconds_left =
        SecondsSince(start) / static_cast<double>(done) * static_cast<double>(left);
    std::cout << absl::StrFormat("[%d/%d] %s: %s, %.0f s", kept + done, runs.size(), run.path(),
                                 outcome.text, ended.seconds);
    if (left > 0) std::cout << absl::StrFormat("; about %.0f min left", seconds_left / 60);
    std::cout << "\n" << std::flush;
  }
  if (kept > 0) std::cout << kept << " runs were finished already\n";
  return failures;
}

}  // namespace cmerc
