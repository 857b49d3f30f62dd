// The parts of an epoch around the model, at the official sizes (IEMOCAP, MELD):
//
//   bazel run //benchmarks/calibration:calibration_benchmark
//
// Batch: 16 conversations put together. View: one view of a batch, by its name. Adam: one step of
// all parameters of M3Net. Evaluation: predictions and scores of 64 conversations, without and with
// the five views; items are utterances.
#include <benchmark/benchmark.h>

#include <numeric>

#include "absl/strings/str_cat.h"
#include "benchmarks/official_batches.h"
#include "calibration/evaluation.h"
#include "calibration/views.h"
#include "training/adam.h"

namespace cmerc {
namespace {

// The conversations of the official batches, as a run holds them.
PreparedData Data(const OfficialBatches& corpus) {
  PreparedData data;
  data.info = corpus.info;
  data.info.class_counts.assign(data.info.class_names.size(), 1);
  for (const Batch& batch : corpus.batches) {
    int64_t first = 0;
    for (int64_t b = 0; b < batch.num_conversations(); ++b) {
      const auto length = batch.lengths[b].item<int64_t>();
      Conversation conversation;
      for (const Modality& modality : batch.modalities) {
        conversation.features.emplace_back();
        for (const torch::Tensor& stream : modality.streams) {
          conversation.features.back().push_back(stream[b].narrow(0, 0, length));
        }
      }
      conversation.speakers = batch.speakers[b].narrow(0, 0, length);
      conversation.labels = batch.labels.narrow(0, first, length);
      first += length;
      data.conversations.push_back(conversation);
    }
  }
  return data;
}

void MakeOneBatch(benchmark::State& state, bool meld) {
  const PreparedData data = Data(MakeOfficialBatches(meld, CORRECTED));
  std::vector<int64_t> indices(16);
  std::iota(indices.begin(), indices.end(), 0);
  for (auto _ : state) benchmark::DoNotOptimize(data.MakeBatch(indices).value());
}

void ApplyOneView(benchmark::State& state, bool meld, size_t number) {
  const OfficialBatches corpus = MakeOfficialBatches(meld, CORRECTED);
  const View view = AllViews(corpus.info)[number];
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        ApplyView(corpus.batches[0], view, CalibrationConfig::REAL_UTTERANCES));
  }
  state.SetLabel(view.name());
}

void AdamStep(benchmark::State& state, bool meld) {
  const std::unique_ptr<Backbone> model = MakeModel(MakeOfficialBatches(meld, CORRECTED));
  Adam optimizer(model->parameters(), torch::optim::AdamOptions(1e-4).weight_decay(3e-5));
  std::vector<torch::Tensor> gradients;
  for (const torch::Tensor& parameter : model->parameters()) {
    gradients.push_back(torch::randn_like(parameter));
  }
  for (auto _ : state) {
    size_t next = 0;
    for (torch::Tensor& parameter : model->parameters()) {
      parameter.mutable_grad() = gradients[next++];
    }
    optimizer.step();
  }
}

void EvaluateSplit(benchmark::State& state, bool meld, bool with_views) {
  torch::manual_seed(1);
  const OfficialBatches corpus = MakeOfficialBatches(meld, CORRECTED);
  const PreparedData data = Data(corpus);
  const std::unique_ptr<Backbone> model = MakeModel(corpus);
  const std::vector<View> views = with_views ? AllViews(data.info) : std::vector<View>{};
  RunConfig config;
  config.mutable_training()->set_batch_size(16);
  std::vector<int64_t> indices(data.conversations.size());
  std::iota(indices.begin(), indices.end(), 0);
  int64_t utterances = 0;
  for (auto _ : state) {
    const absl::StatusOr<SplitReport> report = Evaluate(*model, data, indices, {}, config, views);
    if (!report.ok()) return state.SkipWithError(report.status().ToString().c_str());
    utterances += report->utterances();
  }
  state.SetItemsProcessed(utterances);
}

template <typename Function, typename... Arguments>
void Register(const std::string& name, bool meld, Function run, Arguments... arguments) {
  benchmark::RegisterBenchmark(absl::StrCat(name, "/", meld ? "Meld" : "Iemocap").c_str(), run,
                               meld, arguments...)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

const bool kRegistered = [] {
  for (const bool meld : {false, true}) {
    Register("Batch", meld, MakeOneBatch);
    for (size_t view = 0; view < 5; ++view) {
      Register(absl::StrCat("View", view), meld, ApplyOneView, view);
    }
    Register("Adam", meld, AdamStep);
    Register("Evaluation", meld, EvaluateSplit, false);
    Register("EvaluationWithViews", meld, EvaluateSplit, true);
  }
  return true;
}();

}  // namespace
}  // namespace cmerc
