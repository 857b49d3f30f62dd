#include "benchmarks/flops.h"

#include "profile/profiler.h"

namespace cmerc {

void CountFlops(benchmark::State& state, const std::function<void()>& iteration) {
  Profiler profiler;
  profiler.Start();
  iteration();
  profiler.Stop();
  double flops = 0;
  for (const ProfileEvent& event : profiler.events()) flops += event.flops;
  static const double peak = MeasurePeak().flops_per_second;
  state.counters["gflop"] = flops * 1e-9;
  state.counters["peak_share"] =
      benchmark::Counter(flops / peak, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace cmerc
