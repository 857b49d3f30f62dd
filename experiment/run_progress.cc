#include "experiment/run_progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "experiment/run_files.h"

namespace cmerc {

RunProgress::RunProgress(const std::vector<PlannedRun>& runs, const std::string& output,
                         std::chrono::milliseconds between_lines)
    : runs_(runs), output_(output), between_lines_(between_lines) {}

void RunProgress::Begin(size_t run, const std::string& how) {
  Say(absl::StrCat(runs_[run].path(), ": ", how, "; its log is ", RunFolder(output_, runs_[run]),
                   "/train.log"));
  running_[run] = {"", Clock::now(), Clock::time_point()};
}

void RunProgress::End(size_t run, const RunOutcome& outcome, double seconds) {
  running_.erase(run);
  ++done_;
  const size_t left = runs_.size() - kept_ - done_;
  const double seconds_so_far = std::chrono::duration<double>(Clock::now() - start_).count();
  const double seconds_left =
      seconds_so_far / static_cast<double>(done_) * static_cast<double>(left);
  std::string line = absl::StrFormat("[%d/%d] %s: %s, %.0f s", kept_ + done_, runs_.size(),
                                     runs_[run].path(), outcome.text, seconds);
  if (left > 0) absl::StrAppendFormat(&line, "; about %.0f min left", seconds_left / 60);
  Say(line);
}

void RunProgress::Look() {
  // A cluster may have a thousand runs under way, with their logs on a file system far away.
  const std::chrono::milliseconds between_looks =
      std::min(between_lines_, std::chrono::milliseconds(1000 + 10 * running_.size()));
  const Clock::time_point now = Clock::now();
  for (auto& [run, told] : running_) {
    if (now - told.when < between_lines_ || now - told.looked < between_looks) continue;
    told.looked = now;
    const std::string line = LastEpoch(RunFolder(output_, runs_[run]));
    if (line.empty() || line == told.line) continue;
    told = {line, now, now};
    Say(absl::StrCat(runs_[run].path(), ": ", line));
  }
}

void RunProgress::Show(const std::string& states) {
  if (states.empty()) return;
  if (!bar_.has_value()) bar_.emplace("experiment", static_cast<int64_t>(runs_.size()), "run");
  bar_->Update(static_cast<int64_t>(kept_ + done_), states);
}

void RunProgress::Say(const std::string& line) {
  // On the terminal that the bar is on, the line takes its place.
  if (bar_.has_value() && isatty(STDOUT_FILENO) != 0 && isatty(STDERR_FILENO) != 0) {
    bar_->Note(line);
    return;
  }
  std::cout << line << "\n" << std::flush;
}

}  // namespace cmerc
