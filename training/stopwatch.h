// The time that parts of training take.
#ifndef CMERC_TRAINING_STOPWATCH_H_
#define CMERC_TRAINING_STOPWATCH_H_

#include <chrono>
#include <cmath>

namespace cmerc {

class Stopwatch {
 public:
  // Since it was made.
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Seconds as files hold them: to the microsecond.
inline double ToMicrosecond(double seconds) { return std::round(seconds * 1e6) / 1e6; }

}  // namespace cmerc

#endif  // CMERC_TRAINING_STOPWATCH_H_
