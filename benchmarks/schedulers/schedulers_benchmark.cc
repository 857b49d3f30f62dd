// Select() of every registered scheduler in epoch 2:
//   bazel run //benchmarks/schedulers:schedulers_benchmark
// 120 conversations (IEMOCAP), 1152 (MELD), 100000.
#include <benchmark/benchmark.h>

#include <random>

#include "tests/schedulers/scheduler_testing.h"

namespace cmerc {
namespace {

void Select(benchmark::State& state, const std::string& type) {
  const auto scheduler = SchedulerFromText(type, "");
  if (!scheduler.ok()) {
    state.SkipWithError(std::string(scheduler.status().message()).c_str());
    return;
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform;
  std::vector<float> difficulty(static_cast<size_t>(state.range(0)));
  for (float& value : difficulty) value = uniform(random);
  for (auto _ : state) benchmark::DoNotOptimize((*scheduler)->Select(2, difficulty));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

}  // namespace
}  // namespace cmerc

// Its own, because what is registered is known only once the program runs.
int main(int argc, char** argv) {
  for (const auto& [type, plugin] : cmerc::Schedulers().plugins()) {
    benchmark::RegisterBenchmark(type.c_str(), cmerc::Select, type)
        ->ArgName("conversations")
        ->Arg(120)
        ->Arg(1152)
        ->Arg(100000);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
