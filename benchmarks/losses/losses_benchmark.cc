// Forward and backward pass of every registered loss:
//   bazel run //benchmarks/losses:losses_benchmark
// N = 64, 256, 800 utterances in a batch (16 conversations of MELD have about 150, of IEMOCAP about
// 800); 6 classes, features as wide as M3Net's (3072).
#include <benchmark/benchmark.h>

#include "absl/strings/str_cat.h"
#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

void ForwardAndBackward(benchmark::State& state, const std::string& type,
                        const std::string& options) {
  const DatasetInfo info = LossTestInfo(6);
  const auto loss = LossFromText(type, options, info);
  if (!loss.ok()) {
    state.SkipWithError(std::string(loss.status().message()).c_str());
    return;
  }
  LossInput input = RandomLossInput(info, state.range(0), 3072, torch::kFloat32, 1);
  input.full.log_probs.set_requires_grad(true);
  input.full.features.set_requires_grad(true);
  // What such a loss moves; the others are measured as they are trained with, views detached.
  if ((*loss)->teaches_views()) {
    for (ViewPrediction& view : input.views) view.prediction.log_probs.set_requires_grad(true);
  }
  for (auto _ : state) {
    const absl::StatusOr<torch::Tensor> value = (*loss)->Compute(input);
    if (!value.ok()) {
      state.SkipWithError(std::string(value.status().message()).c_str());
      return;
    }
    value->backward();
    input.full.log_probs.mutable_grad().reset();
    input.full.features.mutable_grad().reset();
    for (ViewPrediction& view : input.views) view.prediction.log_probs.mutable_grad().reset();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Add(const std::string& type, const std::string& options) {
  benchmark::RegisterBenchmark(absl::StrCat(type, "{", options, "}").c_str(), ForwardAndBackward,
                               type, options)
      ->ArgName("utterances")
      ->Arg(64)
      ->Arg(256)
      ->Arg(800)
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

}  // namespace
}  // namespace cmerc

// Its own, because what is registered is known only once the program runs.
int main(int argc, char** argv) {
  for (const auto& [type, plugin] : cmerc::Losses().plugins()) cmerc::Add(type, "");
  cmerc::Add("cmerc.MsclOptions", "semantics: OFFICIAL");
  cmerc::Add("cmerc.FocalOptions", "form: OFFICIAL_ALL_CLASSES");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
