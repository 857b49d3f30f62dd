#include "experiment/runner.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "config/loader.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "experiment/run_progress.h"
#include "storage/atomic_file.h"
#include "storage/folder_lock.h"
#include "storage/run_folder.h"
#include "storage/selection_score.h"
#include "storage/stop_after.h"

namespace cmerc {
namespace {

// Unavailable: it cannot be made.
absl::Status MakeRunFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot create ", folder, ": ", error.message(), "; choose another --output"));
}

// Prepares the folder of a run that is about to start and returns whether the run is to be resumed:
// it was interrupted, and is still the run that the folder was begun for.
absl::StatusOr<bool> PrepareRunFolder(const PlannedRun& run, const std::string& folder) {
  const std::string begun = BegunFile(folder);
  const std::string before = Contents(begun);
  // A trial that goes on where it stopped has still got as far as that: another process may be
  // about to compare it with others.
  const bool goes_on = before == run.identity && run.trial.has_value() && CanResume(folder);
  if (!goes_on) unlink(FinishedFile(folder).c_str());
  if (before == run.identity) return true;
  // What another run has left must not be taken for what this one did when it is resumed. Nothing
  // is removed where no run of an experiment was.
  if (!before.empty()) {
    RETURN_IF_ERROR(BeginRun(run.config, folder));
  } else {
    RETURN_IF_ERROR(FinishRun(folder));
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/config.textproto", ResolvedConfig(run.config)));
  }
  RETURN_IF_ERROR(WriteFileAtomically(begun, run.identity));
  return false;
}

// What became of a run that was to stop, and has; marks it as finished as far as it was to get.
absl::StatusOr<RunOutcome> OutcomeOfTrial(const PlannedRun& run, const std::string& folder) {
  if (Contents(folder + "/summary.json") != "") {
    return RunOutcome{true, absl::StrCat("failed: it did not stop after epoch ", *run.stop_after,
                                         " but went on to the test split")};
  }
  const TrainingConfig::SelectBy by = run.config.training().select_by();
  const absl::StatusOr<double> score = ValidationScore(folder, *run.stop_after, by);
  if (!score.ok()) return RunOutcome{true, absl::StrCat("failed: ", score.status().message())};
  RETURN_IF_ERROR(WriteFileAtomically(FinishedFile(folder), FinishedText(run)));
  return RunOutcome{false, absl::StrFormat("%s %.4f on the validation split within %d epochs",
                                           SelectionName(by), std::abs(*score), *run.stop_after)};
}

// What became of a run that has ended; marks one that succeeded as finished.
absl::StatusOr<RunOutcome> OutcomeOf(const PlannedRun& run, const std::string& folder,
                                     const EndedRun& ended) {
  const std::string failed = absl::StrCat("failed with ", ended.ending, ": ");
  if (!ended.succeeded) return RunOutcome{true, failed + LastWords(folder)};
  if (run.stop_after.has_value()) return OutcomeOfTrial(run, folder);
  const absl::StatusOr<RunSummary> summary = ReadSummary(folder);
  if (!summary.ok()) return RunOutcome{true, absl::StrCat(failed, summary.status().message())};
  RETURN_IF_ERROR(WriteFileAtomically(FinishedFile(folder), FinishedText(run)));
  std::string text = absl::StrFormat("weighted F1 %.4f", summary->test().weighted_f1());
  if (summary->has_uncalibrated()) {
    absl::StrAppendFormat(&text, " (uncalibrated %.4f)",
                          summary->uncalibrated().test().weighted_f1());
  }
  return RunOutcome{false, text};
}

// How soon a wish to stop is seen.
constexpr std::chrono::milliseconds kPatience(200);

class Runner {
 public:
  Runner(const std::vector<PlannedRun>& runs, const std::string& output, Launcher& launcher,
         const RunnerOptions& options)
      : runs_(runs),
        output_(output),
        launcher_(launcher),
        options_(options),
        progress_(runs, output, options.between_lines) {
    for (size_t run = 0; run < runs.size(); ++run) untried_.push_back(run);
  }

  // Does the runs; returns those that failed.
  absl::StatusOr<std::vector<FailedRun>> Do() {
    while (!untried_.empty() || !taken_.empty() || launcher_.IsBusy()) {
      if (options_.should_stop()) return Stopped();
      for (const std::string& note : launcher_.TakeNotes()) progress_.Say(note);
      LeaveLost();
      ASSIGN_OR_RETURN(const bool moved, Advance());
      if (!moved) RETURN_IF_ERROR(Wait());
    }
    for (const std::string& note : launcher_.TakeNotes()) progress_.Say(note);
    if (progress_.kept() > 0) {
      progress_.Say(absl::StrCat(progress_.kept(), " runs were finished already"));
    }
    return failures_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::string Folder(size_t run) const { return RunFolder(output_, runs_[run]); }

  // Asks the runs to stop, and says why the experiment has and how to go on.
  absl::Status Stopped() {
    launcher_.StopAll();
    return absl::CancelledError(absl::StrCat("stopped with ", progress_.kept() + progress_.done(),
                                             " of ", runs_.size(), " runs done\n",
                                             launcher_.AfterStopping()));
  }

  // Keeps, starts or fails one more run. Returns whether there was one.
  absl::StatusOr<bool> Advance() {
    if (!launcher_.HasRoom()) return false;
    if (!untried_.empty()) {
      const size_t run = untried_.front();
      untried_.pop_front();
      ASSIGN_OR_RETURN(const bool moved, Try(run));
      if (!moved) taken_.push_back(run);
      return true;
    }
    if (taken_.empty() || Clock::now() < next_look_) return false;
    for (auto run = taken_.begin(); run != taken_.end(); ++run) {
      const size_t one = *run;
      ASSIGN_OR_RETURN(const bool moved, Try(one));
      if (!moved) continue;
      taken_.erase(run);
      return true;
    }
    // All of them on a file system that may be far away.
    next_look_ = Clock::now() + std::chrono::milliseconds(1000 + 10 * taken_.size());
    return false;
  }

  // Whether a run is finished, or is of a trial that has failed.
  bool HasEnded(size_t run) {
    std::optional<std::string> why;
    if (!IsFinished(Folder(run), runs_[run])) {
      why = WhyFailed(runs_[run], output_);
      if (!why.has_value()) return false;
    }
    others_.erase(run);
    if (why.has_value()) {
      EndElsewhere(run, *why);
    } else {
      progress_.Keep();
    }
    return true;
  }

  // A run has failed that another process has done.
  void EndElsewhere(size_t run, const std::string& why) {
    failures_.push_back({runs_[run].path(), why});
    progress_.End(run, {true, absl::StrCat(why, " (by another worker)")}, 0);
  }

  // Returns false where another process does the run.
  absl::StatusOr<bool> Try(size_t run) {
    if (HasEnded(run)) return true;
    const std::string folder = Folder(run);
    RETURN_IF_ERROR(MakeRunFolder(folder));
    if (options_.claims != nullptr) {
      ASSIGN_OR_RETURN(const Claims::State state, Claim(run, folder));
      if (state == Claims::State::kTaken) return false;
      if (state == Claims::State::kFailed) return true;
      // By another process between the two looks.
      if (HasEnded(run)) {
        options_.claims->Release(folder);
        return true;
      }
    }
    const std::string identity = FinishedText(runs_[run]);
    ASSIGN_OR_RETURN(const bool found, launcher_.Find({run, folder, false, identity}));
    if (found) {
      progress_.Begin(run, "is under way");
      return true;
    }
    ASSIGN_OR_RETURN(const bool resume, PrepareRunFolder(runs_[run], folder));
    RETURN_IF_ERROR(WriteStopAfter(folder, runs_[run].stop_after.value_or(0)));
    RETURN_IF_ERROR(launcher_.Start({run, folder, resume, identity}));
    progress_.Begin(run, launcher_.LeavesRuns() ? "goes into the queue"
                         : resume               ? "goes on"
                                                : "begins");
    return true;
  }

  // Claims a run. kFailed has been told of.
  absl::StatusOr<Claims::State> Claim(size_t run, const std::string& folder) {
    // What a process that died had started may still be saving.
    if (IsLocked(folder)) {
      others_[run] = "a process that writes there";
      return Claims::State::kTaken;
    }
    ASSIGN_OR_RETURN(const Claims::Answer answer, options_.claims->Take(folder));
    if (answer.state == Claims::State::kTaken) {
      others_[run] = answer.text;
      return answer.state;
    }
    others_.erase(run);
    if (answer.state == Claims::State::kFailed) EndElsewhere(run, answer.text);
    return answer.state;
  }

  // Ends what this process does of runs that others do by now.
  void LeaveLost() {
    if (options_.claims == nullptr) return;
    for (const std::string& folder : options_.claims->TakeLost()) {
      for (size_t run = 0; run < runs_.size(); ++run) {
        if (Folder(run) == folder) Leave(run);
      }
    }
  }

  void Leave(size_t run) {
    if (std::find(taken_.begin(), taken_.end(), run) != taken_.end()) return;
    launcher_.Kill(run);
    progress_.Drop(run);
    taken_.push_back(run);
    progress_.Say(absl::StrCat(runs_[run].path(),
                               ": another worker has taken it over, since this one gave no sign of "
                               "life for too long"));
  }

  // Waits a little for whatever comes first.
  absl::Status Wait() {
    progress_.Show(launcher_.States());
    if (!launcher_.IsBusy()) {
      SayWhoHasTheRest();
      std::this_thread::sleep_for(kPatience);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const std::optional<EndedRun> ended, launcher_.WaitForOne(kPatience));
    progress_.Look();
    return ended.has_value() ? End(*ended) : absl::OkStatus();
  }

  void SayWhoHasTheRest() {
    std::vector<std::string> whose;
    for (const auto& [run, holder] : others_) {
      whose.push_back(absl::StrCat(runs_[run].path(), " (", holder, ")"));
    }
    const std::string line = absl::StrCat(
        "waits for runs that other processes do, or takes them over: ", absl::StrJoin(whose, ", "));
    if (line == said_) return;
    said_ = line;
    progress_.Say(line);
  }

  absl::Status End(const EndedRun& ended) {
    const PlannedRun& run = runs_[ended.run];
    const std::string folder = Folder(ended.run);
    Claims* const claims = options_.claims;
    if (claims != nullptr && !claims->Holds(folder)) {
      Leave(ended.run);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const RunOutcome outcome, OutcomeOf(run, folder, ended));
    if (outcome.failed) {
      failures_.push_back({run.path(), outcome.text});
      // Of a trial every process must know the same for good, also one that comes later.
      if (run.trial.has_value()) {
        RETURN_IF_ERROR(NoteFailure(run, output_, outcome.text));
      } else if (claims != nullptr) {
        claims->Fail(folder, outcome.text);
      }
    }
    if (claims != nullptr) claims->Release(folder);
    progress_.End(ended.run, outcome, ended.seconds);
    return absl::OkStatus();
  }

  const std::vector<PlannedRun>& runs_;
  const std::string& output_;
  Launcher& launcher_;
  const RunnerOptions& options_;
  RunProgress progress_;
  std::vector<FailedRun> failures_;
  std::deque<size_t> untried_;
  std::vector<size_t> taken_;             // by other processes
  std::map<size_t, std::string> others_;  // who they are
  std::string said_;                      // of them
  Clock::time_point next_look_;           // at what they do
};

}  // namespace

RunState StateOf(const PlannedRun& run, const std::string& output) {
  const std::string folder = RunFolder(output, run);
  if (IsFinished(folder, run)) return RunState::kFinished;
  return Contents(BegunFile(folder)) == run.identity ? RunState::kInterrupted : RunState::kNew;
}

absl::StatusOr<std::vector<FailedRun>> DoRuns(const std::vector<PlannedRun>& runs,
                                              const std::string& output, Launcher& launcher,
                                              const RunnerOptions& options) {
  std::optional<FolderLock> lock;
  if (options.alone) {
    ASSIGN_OR_RETURN(FolderLock taken, LockOutput(output));
    lock.emplace(std::move(taken));
  }
  RETURN_IF_ERROR(options.begin());
  // Before the lock and the claims go: nothing may write into a folder that another process holds.
  const absl::Cleanup stop_all = [&launcher, &options] {
    launcher.StopAll();
    if (options.claims != nullptr) options.claims->ReleaseAll();
  };
  RETURN_IF_ERROR(launcher.Begin());
  return Runner(runs, output, launcher, options).Do();
}

}  // namespace cmerc
