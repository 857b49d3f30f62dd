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

  // Writes a line of its own, in place of the bar, which the next Update() draws again.
  void Note(const std::string& line);

 private:
  const std::string label_;
  const int64_t total_;
  const std::string unit_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace cmerc

#endif  // CMERC_PROFILE_PROGRESS_H_
