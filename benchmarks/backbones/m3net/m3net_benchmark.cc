// M3Net at the official sizes, on batches of 16 conversations as long as the official ones:
//
//   bazel run //benchmarks/backbones/m3net:m3net_benchmark
//
// One iteration is one batch; items are utterances. The mean over the four batches of a corpus is
// what compares with seconds per step of other implementations.
#include <benchmark/benchmark.h>

#include "benchmarks/official_batches.h"

namespace cmerc {
namespace {

void Run(benchmark::State& state, bool meld, Semantics semantics, bool backward) {
  torch::manual_seed(1);
  const OfficialBatches corpus = MakeOfficialBatches(meld, semantics);
  const std::unique_ptr<Backbone> model = MakeModel(corpus);
  model->train(backward);
  const torch::AutoGradMode gradients(backward);
  size_t next = 0;
  int64_t utterances = 0;
  for (auto _ : state) {
    const Batch& batch = corpus.batches[next++ % corpus.batches.size()];
    const absl::StatusOr<Prediction> prediction = model->Forward(batch);
    TORCH_CHECK(prediction.ok(), prediction.status().ToString());
    const torch::Tensor loss =
        torch::nll_loss(prediction->log_probs, batch.labels) + prediction->features.square().mean();
    if (backward) {
      model->zero_grad();
      loss.backward();
    }
    benchmark::DoNotOptimize(loss.item<float>());  // waits for the result
    utterances += batch.num_utterances();
  }
  state.SetItemsProcessed(utterances);
}

void Forward(benchmark::State& state, bool meld, Semantics semantics) {
  Run(state, meld, semantics, /*backward=*/false);
}

void ForwardBackward(benchmark::State& state, bool meld, Semantics semantics) {
  Run(state, meld, semantics, /*backward=*/true);
}

BENCHMARK_CAPTURE(Forward, Iemocap, false, CORRECTED)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Forward, IemocapOfficial, false, OFFICIAL)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(Forward, Meld, true, CORRECTED)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(ForwardBackward, Iemocap, false, CORRECTED)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(ForwardBackward, IemocapOfficial, false, OFFICIAL)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(ForwardBackward, Meld, true, CORRECTED)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace cmerc
