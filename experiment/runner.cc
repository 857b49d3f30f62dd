#include "experiment/runner.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
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
#include "storage/selection_score.h"
#include "storage/stop_after.h"

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
  const std::string begun = BegunFile(folder);
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

// What became of a run that was to stop, and has; marks it as finished as far as it was to get.
absl::StatusOr<Outcome> OutcomeOfTrial(const PlannedRun& run, const std::string& folder) {
  if (Contents(folder + "/summary.json") != "") {
    return Outcome{true, absl::StrCat("failed: it did not stop after epoch ", *run.stop_after,
                                      " but went on to the test split")};
  }
  const TrainingConfig::SelectBy by = run.config.training().select_by();
  const absl::StatusOr<double> score = ValidationScore(folder, *run.stop_after, by);
  if (!score.ok()) return Outcome{true, absl::StrCat("failed: ", score.status().message())};
  RETURN_IF_ERROR(WriteFileAtomically(FinishedFile(folder), FinishedText(run)));
  return Outcome{false, absl::StrFormat("%s %.4f on the validation split within %d epochs",
                                        SelectionName(by), std::abs(*score), *run.stop_after)};
}

// What became of a run that has ended; marks one that succeeded as finished.
absl::StatusOr<Outcome> OutcomeOf(const PlannedRun& run, const std::string& folder,
                                  const EndedRun& ended) {
  const std::string failed = absl::StrCat("failed with ", ended.ending, ": ");
  if (!ended.succeeded) return Outcome{true, failed + LastWords(folder)};
  if (run.stop_after.has_value()) return OutcomeOfTrial(run, folder);
  const absl::StatusOr<RunSummary> summary = ReadSummary(folder);
  if (!summary.ok()) return Outcome{true, absl::StrCat(failed, summary.status().message())};
  RETURN_IF_ERROR(WriteFileAtomically(FinishedFile(folder), FinishedText(run)));
  std::string text = absl::StrFormat("weighted F1 %.4f", summary->test().weighted_f1());
  if (summary->has_uncalibrated()) {
    absl::StrAppendFormat(&text, " (uncalibrated %.4f)",
                          summary->uncalibrated().test().weighted_f1());
  }
  return Outcome{false, text};
}

// How the runs stand, and what is told of it.
class Progress {
 public:
  Progress(const std::vector<PlannedRun>& runs, const std::string& output,
           std::chrono::milliseconds between_lines)
      : runs_(runs), output_(output), between_lines_(between_lines) {}

  size_t kept() const { return kept_; }
  size_t done() const { return done_; }

  void Keep() { ++kept_; }

  void Begin(size_t run, bool resume) {
    std::cout << runs_[run].path() << (resume ? ": goes on" : ": begins") << "; its log is "
              << RunFolder(output_, runs_[run]) << "/train.log\n"
              << std::flush;
    running_[run] = {"", Clock::now()};
  }

  void End(size_t run, const Outcome& outcome, double seconds) {
    running_.erase(run);
    ++done_;
    const size_t left = runs_.size() - kept_ - done_;
    const double seconds_left =
        SecondsSince(start_) / static_cast<double>(done_) * static_cast<double>(left);
    std::cout << absl::StrFormat("[%d/%d] %s: %s, %.0f s", kept_ + done_, runs_.size(),
                                 runs_[run].path(), outcome.text, seconds);
    if (left > 0) std::cout << absl::StrFormat("; about %.0f min left", seconds_left / 60);
    std::cout << "\n" << std::flush;
  }

  // Tells how far the runs have got that have got any farther.
  void Look() {
    for (auto& [run, told] : running_) {
      if (Clock::now() - told.when < between_lines_) continue;
      const std::string line = LastEpoch(RunFolder(output_, runs_[run]));
      if (line.empty() || line == told.line) continue;
      told = {line, Clock::now()};
      std::cout << runs_[run].path() << ": " << line << "\n" << std::flush;
    }
  }

 private:
  struct Told {
    std::string line;
    Clock::time_point when;
  };

  const std::vector<PlannedRun>& runs_;
  const std::string& output_;
  const std::chrono::milliseconds between_lines_;
  const Clock::time_point start_ = Clock::now();
  std::map<size_t, Told> running_;
  size_t kept_ = 0, done_ = 0;
};

// Why an experiment that was to stop has stopped, and how to go on.
absl::Status Stopped(const Progress& progress, size_t runs) {
  return absl::CancelledError(absl::StrCat("stopped with ", progress.kept() + progress.done(),
                                           " of ", runs,
                                           " runs done\nto go on: the same command again; it keeps "
                                           "what is finished and goes on with the "
                                           "others where they are"));
}

// Starts a run. Errors: those of PrepareRunFolder(), WriteStopAfter() and Launcher::Start().
absl::Status Start(const std::vector<PlannedRun>& runs, size_t run, const std::string& output,
                   Launcher& launcher, Progress* progress) {
  const std::string folder = RunFolder(output, runs[run]);
  ASSIGN_OR_RETURN(const bool resume, PrepareRunFolder(runs[run], folder));
  RETURN_IF_ERROR(WriteStopAfter(folder, runs[run].stop_after.value_or(0)));
  RETURN_IF_ERROR(launcher.Start({run, folder, resume}));
  progress->Begin(run, resume);
  return absl::OkStatus();
}

}  // namespace

RunState StateOf(const PlannedRun& run, const std::string& output) {
  const std::string folder = RunFolder(output, run);
  if (IsFinished(folder, run)) return RunState::kFinished;
  return Contents(BegunFile(folder)) == run.identity ? RunState::kInterrupted : RunState::kNew;
}

absl::StatusOr<std::vector<std::string>> DoRuns(const std::vector<PlannedRun>& runs,
                                                const std::string& output, Launcher& launcher,
                                                const RunnerOptions& options) {
  // How soon a wish to stop is seen.
  constexpr std::chrono::milliseconds kPatience(200);
  ASSIGN_OR_RETURN(const FolderLock lock, LockOutput(output));
  RETURN_IF_ERROR(options.begin());
  // Before the lock goes: nothing may write into a folder that another process holds.
  const absl::Cleanup stop_all = [&launcher] { launcher.StopAll(); };
  std::vector<std::string> failures;
  Progress progress(runs, output, options.between_lines);
  size_t next = 0;
  while (next < runs.size() || launcher.IsBusy()) {
    if (options.should_stop()) {
      launcher.StopAll();
      return Stopped(progress, runs.size());
    }
    if (next < runs.size() && launcher.HasRoom()) {
      if (StateOf(runs[next], output) == RunState::kFinished) {
        progress.Keep();
      } else {
        RETURN_IF_ERROR(Start(runs, next, output, launcher, &progress));
      }
      ++next;
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<EndedRun> ended, launcher.WaitForOne(kPatience));
    progress.Look();
    if (!ended.has_value()) continue;
    const PlannedRun& run = runs[ended->run];
    ASSIGN_OR_RETURN(const Outcome outcome, OutcomeOf(run, RunFolder(output, run), *ended));
    if (outcome.failed) failures.push_back(absl::StrCat(run.path(), ": ", outcome.text));
    progress.End(ended->run, outcome, ended->seconds);
  }
  if (progress.kept() > 0) std::cout << progress.kept() << " runs were finished already\n";
  return failures;
}

}  // namespace cmerc
