// Scores and reports of a split:
//
//   bazel run //benchmarks/metrics:metrics_benchmark
//
// The arguments are utterances (the test splits of IEMOCAP and MELD have 1623 and 2610) and
// classes.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "metrics/classification.h"
#include "metrics/json.h"
#include "metrics/text_report.h"

namespace cmerc {
namespace {

struct Split {
  explicit Split(const benchmark::State& state) {
    std::mt19937 random(1);
    const auto classes = static_cast<int64_t>(state.range(1));
    std::uniform_int_distribution<int64_t> any(0, classes - 1);
    for (int64_t i = 0; i < state.range(0); ++i) {
      labels.push_back(any(random));
      predictions.push_back(any(random));
    }
    for (int64_t c = 0; c < classes; ++c) names.push_back(absl::StrCat("class_", c));
  }

  std::vector<int64_t> labels, predictions;
  std::vector<std::string> names;
};

void Score(benchmark::State& state) {
  const Split split(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(ClassificationReport(split.labels, split.predictions, split.names));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Print(benchmark::State& state) {
  const Split split(state);
  const auto report = ClassificationReport(split.labels, split.predictions, split.names);
  for (auto _ : state) benchmark::DoNotOptimize(FormatSplitReport(*report));
}

void WriteJson(benchmark::State& state) {
  const Split split(state);
  const auto report = ClassificationReport(split.labels, split.predictions, split.names);
  for (auto _ : state) benchmark::DoNotOptimize(ToJson(*report, /*pretty=*/true));
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"utterances", "classes"})
      ->ArgsProduct({{1623, 2610, 100000}, {6, 60}})
      ->Unit(benchmark::kMicrosecond);
}

BENCHMARK(Score)->Apply(Sizes);
BENCHMARK(Print)->Apply(Sizes);
BENCHMARK(WriteJson)->Apply(Sizes);

}  // namespace
}  // namespace cmerc
