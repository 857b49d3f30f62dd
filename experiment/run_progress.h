// How the runs of an experiment stand, as users are told while they are done.
#ifndef CMERC_EXPERIMENT_RUN_PROGRESS_H_
#define CMERC_EXPERIMENT_RUN_PROGRESS_H_

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiment/plan.h"
#include "profile/progress.h"

namespace cmerc {

struct RunOutcome {
  bool failed;
  std::string text;  // "weighted F1 0.6512", or "failed with exit status 1: why"
};

class RunProgress {
 public:
  using Clock = std::chrono::steady_clock;

  // `runs` and `output` must outlive it; a line about a run's last epoch follows the one before
  // after `between_lines` at the earliest.
  RunProgress(const std::vector<PlannedRun>& runs, const std::string& output,
              std::chrono::milliseconds between_lines);

  size_t kept() const { return kept_; }
  size_t done() const { return done_; }

  // A run was finished already.
  void Keep() { ++kept_; }

  // "RUN: begins; its log is ...": `how` it starts.
  void Begin(size_t run, const std::string& how);

  void End(size_t run, const RunOutcome& outcome, double seconds);

  // A run that began is done elsewhere.
  void Drop(size_t run) { running_.erase(run); }

  // Tells how far the runs have got that have got any farther.
  void Look();

  // Shows how the runs stand, as Launcher::States() says it: in a progress bar on a terminal, or a
  // line of standard error twice a minute.
  void Show(const std::string& states);

  // Writes a line to standard output.
  void Say(const std::string& line);

 private:
  struct Told {
    std::string line;
    Clock::time_point when;    // the line was told of
    Clock::time_point looked;  // the log was read
  };

  const std::vector<PlannedRun>& runs_;
  const std::string& output_;
  const std::chrono::milliseconds between_lines_;
  const Clock::time_point start_ = Clock::now();
  std::map<size_t, Told> running_;
  std::optional<Progress> bar_;
  size_t kept_ = 0, done_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_RUN_PROGRESS_H_
