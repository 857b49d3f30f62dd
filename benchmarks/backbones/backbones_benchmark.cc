// Every registered backbone with its default options, on batches of 16 conversations as long as the
// official ones, with the official features (text 4 x 1024, audio, visual):
//
//   bazel run //benchmarks/backbones:backbones_benchmark
//
// Forward: a prediction, evaluation mode. Views: the five views of a batch. Backward: a prediction
// in training mode, and its gradients. One iteration is one batch.
#include <benchmark/benchmark.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "benchmarks/flops.h"
#include "benchmarks/official_batches.h"
#include "calibration/views.h"

namespace cmerc {
namespace {

enum class Pass { kForward, kViews, kBackward };

std::vector<Batch> WithoutEachView(const Batch& batch, const DatasetInfo& info) {
  std::vector<Batch> batches;
  for (const View& view : AllViews(info)) {
    batches.push_back(ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES));
  }
  return batches;
}

void Run(benchmark::State& state, const std::string& type, bool meld, Pass pass) {
  torch::manual_seed(1);
  const OfficialBatches corpus = MakeOfficialBatches(meld, CORRECTED);
  google::protobuf::Any options;
  options.set_type_url("type.googleapis.com/" + type);
  const absl::StatusOr<std::unique_ptr<Backbone>> made = Backbones().Create(options, corpus.info);
  if (!made.ok()) {
    state.SkipWithError(std::string(made.status().message()).c_str());
    return;
  }
  Backbone& model = **made;
  model.train(pass == Pass::kBackward);
  const torch::AutoGradMode gradients(pass == Pass::kBackward);
  const Batch& batch = corpus.batches[0];
  const std::vector<Batch> batches =
      pass == Pass::kViews ? WithoutEachView(batch, corpus.info) : std::vector<Batch>{batch};
  const auto iteration = [&] {
    const absl::StatusOr<std::vector<Prediction>> predictions = model.ForwardAll(batches);
    TORCH_CHECK(predictions.ok(), predictions.status().ToString());
    if (pass != Pass::kBackward) return;
    const Prediction& prediction = (*predictions)[0];
    model.zero_grad();
    (torch::nll_loss(prediction.log_probs, batch.labels) + prediction.features.square().mean())
        .backward();
  };
  CountFlops(state, iteration);
  for (auto _ : state) iteration();
  state.SetItemsProcessed(state.iterations() * batch.num_utterances());
}

}  // namespace
}  // namespace cmerc

// Its own, because what is registered is known only once the program runs.
int main(int argc, char** argv) {
  using cmerc::Pass;
  const std::vector<std::pair<std::string, Pass>> passes = {
      {"Forward", Pass::kForward}, {"Views", Pass::kViews}, {"Backward", Pass::kBackward}};
  for (const auto& [type, plugin] : cmerc::Backbones().plugins()) {
    const std::string name(absl::StripSuffix(absl::StripPrefix(type, "cmerc."), "Options"));
    for (const auto& [pass_name, pass] : passes) {
      for (const bool meld : {false, true}) {
        benchmark::RegisterBenchmark(
            absl::StrCat(name, "/", pass_name, "/", meld ? "Meld" : "Iemocap").c_str(), cmerc::Run,
            type, meld, pass)
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
