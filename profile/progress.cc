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

bool Progress::IsDue() {
  const auto now = std::chrono::steady_clock::now();
  if (Seconds(now - last_) < (terminal_ ? 0.1 : 30.0)) return false;
  last_ = now;
  return true;
}

void Progress::Draw(double share, const std::string& numbers, const std::string& line) const {
  if (!terminal_) {
    std::cerr << line << "\n";
    return;
  }
  // A line that wraps could not be cleared.
  const int64_t columns = Columns() - 1;
  const int64_t room = columns - static_cast<int64_t>(label_.size() + 2 + numbers.size());
  const int64_t width = std::clamp(room, kNarrowestBar, kBarWidth);
  const auto filled = static_cast<int64_t>(static_cast<double>(width) * share + 1e-9);
  const std::string bar = absl::StrCat(label_, " [", std::string(filled, '#'),
                                       std::string(width - filled, '.'), numbers);
  std::cerr << "\r\033[K" << bar.substr(0, columns) << std::flush;
}

void Progress::Update(int64_t done, const std::string& detail) {
  if (!IsDue()) return;
  const double elapsed = Seconds(last_ - start_);
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
  Draw(static_cast<double>(done) / static_cast<double>(total_),
       absl::StrFormat("] %d/%d  %s left  %s", done, total_, Clock(left), detail),
       absl::StrFormat("%s: %d of %d %ss, %s left  %s", label_, done, total_, unit_, Clock(left),
                       detail));
}

void Progress::UpdateShare(int64_t done, double share) {
  if (first_share_ < 0) first_share_ = share;
  if (!IsDue()) return;
  const double elapsed = Seconds(last_ - start_);
  const double behind = share - first_share_;
  const std::string left = behind > 0 ? absl::StrCat(Clock(elapsed / behind * (1 - share)), " left")
                                      : absl::StrCat("in ", Clock(elapsed));
  const std::string numbers =
      absl::StrFormat("%d %ss, %.0f %%, %s", done, unit_, 100 * share, left);
  Draw(share, absl::StrCat("] ", numbers), absl::StrCat(label_, ": ", numbers));
}

}  // namespace cmerc
