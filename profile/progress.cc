#include "profile/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cmerc {
namespace {

constexpr int64_t kBarWidth = 24;
constexpr int64_t kNarrowestBar = 4;

// Whether standard error is a terminal that understands how to clear a line.
bool OnTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && term != nullptr && std::string(term) != "dumb";
}

// How many columns the terminal has.
int64_t Columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string Clock(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600)
    return absl::StrFormat("%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  return absl::StrFormat("%d:%02d", whole / 60, whole % 60);
}

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Progress::Progress(std::string label, int64_t total, std::string unit)
    : label_(std::move(label)),
      total_(total == kUnknown ? kUnknown : std::max<int64_t>(total, 1)),
      unit_(std::move(unit)),
      terminal_(OnTerminal()),
      start_(std::chrono::steady_clock::now()),
      last_(terminal_ ? start_ - std::chrono::hours(1) : start_) {}

Progress::~Progress() {
  if (terminal_) std::cerr << "\r\033[K" << std::flush;
}

void Progress::Note(const std::string& line) {
  std::cerr << (terminal_ ? "\r\033[K" : "") << line << "\n" << std::flush;
  if (terminal_) last_ = start_ - std::chrono::hours(1);
}

void Progress::Update(int64_t done, const std::string& detail) {
  const auto now = std::chrono::steady_clock::now();
  if (Seconds(now - last_) < (terminal_ ? 0.1 : 30.0)) return;
  last_ = now;
  const double elapsed = Seconds(now - start_);
  if (total_ == kUnknown) {
    const std::string line =
        absl::StrFormat("%s: %d %ss in %s  %s", label_, done, unit_, Clock(elapsed), detail);
    if (terminal_) {
      std::cerr << "\r\033[K" << line.substr(0, Columns() - 1) << std::flush;
    } else {
      std::cerr << line << "\n";
    }
    return;
  }
  const double left = done > 0 ? elapsed / done * (total_ - done) : 0;
  if (!terminal_) {
    std::cerr << absl::StrFormat("%s: %d of %d %ss, %s left  %s\n", label_, done, total_, unit_,
                                 Clock(left), detail);
    return;
  }
  const std::string numbers =
      absl::StrFormat("] %d/%d  %s left  %s", done, total_, Clock(left), detail);
  // A line that wraps could not be cleared.
  const int64_t columns = Columns() - 1;
  const int64_t room = columns - static_cast<int64_t>(label_.size() + 2 + numbers.size());
  const int64_t width = std::clamp(room, kNarrowestBar, kBarWidth);
  const int64_t filled = width * done / total_;
  const std::string line = absl::StrCat(label_, " [", std::string(filled, '#'),
                                        std::string(width - filled, '.'), numbers);
  std::cerr << "\r\033[K" << line.substr(0, columns) << std::flush;
}

}  // namespace cmerc
