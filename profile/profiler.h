// Where the time of training steps goes, and how far that is from what the machine could do.
#ifndef CMERC_PROFILE_PROFILER_H_
#define CMERC_PROFILE_PROFILER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "profile/scope.h"

namespace cmerc {

// What the machine does at best, with the threads that LibTorch has now.
struct MachinePeak {
  double flops_per_second = 0;  // of a float32 matrix product of 1024 x 1024 matrices
  double bytes_per_second = 0;  // read and written by a copy of 64 MiB
};
// Measures it, which takes about half a second.
MachinePeak MeasurePeak();

struct ProfileEvent {
  std::string name;
  int parent = -1;        // index of the event that it is a part of; -1 where there is none
  bool is_scope = false;  // a ProfileScope; otherwise an operator or a node of the backward pass
  int64_t begin = 0;      // nanoseconds since the profiler was made
  int64_t end = 0;
  double flops = 0;  // its own, without its parts
  double bytes = 0;
};

// Records this thread's scopes and LibTorch's operators between Start() and Stop(). What other
// threads do is inside the operator or scope that they do it for. One at a time in a thread.
class Profiler : public ProfileListener {
 public:
  Profiler();
  ~Profiler() override;
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  void Start();
  void Stop();

  // What was recorded, in the order in which it began.
  const std::vector<ProfileEvent>& events() const { return events_; }

  void Begin(const char* name) override;
  void End() override;
  void Work(double flops, double bytes) override;

  // The beginning and the end of an operator or node, told by LibTorch's callbacks.
  void BeginOperator(std::string name);
  void EndOperator(double flops, double bytes);

 private:
  void Push(std::string name, bool is_scope);
  void Pop();

  const int64_t origin_;
  uint64_t callback_ = 0;
  bool running_ = false;
  std::vector<ProfileEvent> events_;
  std::vector<int> stack_;
};

// A line per phase (outermost scope) and, below it, per part of it (scopes, or in the backward pass
// its nodes), longest first: milliseconds per step, share of all, GFLOP and MB per step, the floor
// (at `peak`, the longer of arithmetic and memory of each operator) and measured over floor. Parts
// below 1 % are summed up. `steps` >= 1 were recorded.
std::string FormatProfile(const std::vector<ProfileEvent>& events, int steps,
                          const MachinePeak& peak);

// The events as JSON in the trace event format, for chrome://tracing or ui.perfetto.dev.
std::string ChromeTrace(const std::vector<ProfileEvent>& events);

}  // namespace cmerc

#endif  // CMERC_PROFILE_PROFILER_H_
