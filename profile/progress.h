// Progress of long work: a bar with the time left on a terminal, plain lines in a log.
#ifndef CMERC_PROFILE_PROGRESS_H_
#define CMERC_PROFILE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace cmerc {

// Writes to standard error. On a terminal the bar is redrawn in place at most ten times a second
// and never wraps; elsewhere a line is written at most every 30 seconds, so that short work writes
// none.
class Progress {
 public:
  static constexpr int64_t kUnknown = -1;

  // `total` units of work ("step" is the name of one) lie ahead; kUnknown where only the end will
  // tell.
  Progress(std::string label, int64_t total, std::string unit);
  // Removes the bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` units are done; `detail` is shown behind the numbers.
  void Update(int64_t done, const std::string& detail);
  // The same where the total is kUnknown, and `share` of all work, from 0 to 1, lies behind: the
  // time that is left is that of the rest, at the pace since the first call.
  void UpdateShare(int64_t done, double share);

  // Writes a line of its own, in place of the bar, which the next Update() draws again.
  void Note(const std::string& line);

 private:
  // Whether it is time to write something again.
  bool IsDue();
  // Draws a bar filled to `share`, or writes a line: `line` there, `numbers` behind the bar.
  void Draw(double share, const std::string& numbers, const std::string& line) const;

  const std::string label_;
  const int64_t total_;
  const std::string unit_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
  double first_share_ = -1;  // of UpdateShare(); below 0: not called yet
};

}  // namespace cmerc

#endif  // CMERC_PROFILE_PROGRESS_H_
