// A full training step of the official recipes at the official sizes: batch of 16, prediction in
// full, five views by a snapshot, NLL, ranking, MSCL, CSCL, backward, Adam:
//   bazel run //benchmarks/calibration:step_benchmark
// One iteration is a pass over four batches; s_per_step is a quarter of it. gflop and peak_share:
// the arithmetic of a step and its share of what float32 matrix products of this machine reach.
#include <benchmark/benchmark.h>

#include "absl/strings/str_cat.h"
#include "benchmarks/official_batches.h"
#include "calibration/adam.h"
#include "calibration/train_step.h"
#include "profile/profiler.h"

namespace cmerc {
namespace {

ExperimentConfig Config(bool meld) {
  ExperimentConfig config;
  const auto add = [&](const std::string& loss, double weight) {
    LossConfig* entry = config.add_losses();
    entry->set_weight(weight);
    entry->mutable_loss()->set_type_url(
        absl::StrCat("type.googleapis.com/cmerc.", loss, "Options"));
  };
  add("Nll", 1);
  add("CalibrationRanking", meld ? 0.002 : 0.005);
  add("Mscl", meld ? 0.15 : 0.05);
  add("Cscl", meld ? 0.15 : 0.05);
  return config;
}

void Step(benchmark::State& state, bool meld, Semantics semantics) {
  torch::manual_seed(1);
  const OfficialBatches corpus = MakeOfficialBatches(meld, semantics);
  const std::unique_ptr<Backbone> live = MakeModel(corpus), snapshot = MakeModel(corpus);
  const ExperimentConfig config = Config(meld);
  const absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(config, corpus.info);
  TORCH_CHECK(losses.ok(), losses.status().ToString());
  live->train();
  Adam optimizer(live->parameters(), torch::optim::AdamOptions(1e-4).weight_decay(3e-5));
  const auto pass = [&] {
    for (const Batch& batch : corpus.batches) {
      const absl::StatusOr<StepReport> step =
          TrainStep(*live, *snapshot, optimizer, *losses, batch, config.calibration());
      TORCH_CHECK(step.ok(), step.status().ToString());
    }
  };
  Profiler profiler;
  profiler.Start();
  pass();
  profiler.Stop();
  double flops = 0;
  for (const ProfileEvent& event : profiler.events()) flops += event.flops;
  flops /= static_cast<double>(corpus.batches.size());
  for (auto _ : state) pass();
  const auto steps = static_cast<double>(state.iterations() * corpus.batches.size());
  state.counters["s_per_step"] =
      benchmark::Counter(steps, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["gflop"] = flops * 1e-9;
  state.counters["peak_share"] = benchmark::Counter(steps * flops / MeasurePeak().flops_per_second,
                                                    benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(Step, Iemocap, false, CORRECTED)->Unit(benchmark::kSecond)->UseRealTime();
BENCHMARK_CAPTURE(Step, IemocapOfficial, false, OFFICIAL)->Unit(benchmark::kSecond)->UseRealTime();
BENCHMARK_CAPTURE(Step, Meld, true, CORRECTED)->Unit(benchmark::kSecond)->UseRealTime();
BENCHMARK_CAPTURE(Step, MeldOfficial, true, OFFICIAL)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
}  // namespace cmerc
