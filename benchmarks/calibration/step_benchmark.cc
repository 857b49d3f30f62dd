// A full training step of the official recipes at the official sizes: batch of 16, prediction in
// full, five views by a snapshot, NLL, ranking, MSCL, CSCL, backward, Adam:
//
//   OMP_NUM_THREADS=2 bazel run //benchmarks/calibration:step_benchmark
//
// One iteration is a pass over four batches; s_per_step is a quarter of it. gflop: the arithmetic
// of the four steps. peak_share: its share of what float32 matrix products of this machine reach.
// peak_MB: the most memory that a process holds which does nothing but steps on the longest batch,
// LibTorch and the batch included; measured in one of its own per recipe.
//
// CMERC_PROFILE=1 prints where the time of a step goes, phase by phase.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "benchmarks/flops.h"
#include "benchmarks/memory.h"
#include "benchmarks/official_batches.h"
#include "calibration/adam.h"
#include "calibration/allocator.h"
#include "calibration/train_step.h"
#include "profile/profiler.h"

namespace cmerc {
namespace {

// Set for a process that measures the memory of one recipe.
constexpr char kMemoryOf[] = "CMERC_STEP_MEMORY_OF";

struct Recipe {
  const char* name;
  bool meld;
  Semantics semantics;
};

constexpr Recipe kRecipes[] = {{"Iemocap", false, CORRECTED},
                               {"IemocapOfficial", false, OFFICIAL},
                               {"Meld", true, CORRECTED},
                               {"MeldOfficial", true, OFFICIAL}};

ExperimentConfig Config(const Recipe& recipe) {
  ExperimentConfig config;
  const auto add = [&](const std::string& loss, double weight) {
    LossConfig* entry = config.add_losses();
    entry->set_weight(weight);
    entry->mutable_loss()->set_type_url(
        absl::StrCat("type.googleapis.com/cmerc.", loss, "Options"));
  };
  add("Nll", 1);
  add("CalibrationRanking", recipe.meld ? 0.002 : 0.005);
  add("Mscl", recipe.meld ? 0.15 : 0.05);
  add("Cscl", recipe.meld ? 0.15 : 0.05);
  if (recipe.semantics == OFFICIAL) {
    config.mutable_calibration()->set_masked_mean(CalibrationConfig::PADDED_ROWS);
  }
  return config;
}

class Run {
 public:
  explicit Run(const Recipe& recipe)
      : corpus_(MakeOfficialBatches(recipe.meld, recipe.semantics)),
        config_(Config(recipe)),
        live_(MakeModel(corpus_)),
        snapshot_(MakeModel(corpus_)),
        optimizer_(live_->parameters(), torch::optim::AdamOptions(1e-4).weight_decay(3e-5)) {
    absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(config_, corpus_.info);
    TORCH_CHECK(losses.ok(), losses.status().ToString());
    losses_ = *std::move(losses);
    live_->train();
  }

  void KeepLongestBatch() {
    std::sort(corpus_.batches.begin(), corpus_.batches.end(), [](const Batch& a, const Batch& b) {
      return a.speakers.numel() > b.speakers.numel();
    });
    corpus_.batches.resize(1);
  }

  void StepOnEveryBatch() {
    for (const Batch& batch : corpus_.batches) {
      const absl::StatusOr<StepReport> step =
          TrainStep(*live_, *snapshot_, optimizer_, losses_, batch, config_.calibration());
      TORCH_CHECK(step.ok(), step.status().ToString());
    }
  }

  int64_t num_batches() const { return static_cast<int64_t>(corpus_.batches.size()); }

 private:
  OfficialBatches corpus_;
  const ExperimentConfig config_;
  const std::unique_ptr<Backbone> live_, snapshot_;
  Adam optimizer_;
  std::vector<WeightedLoss> losses_;
};

// What this process, which does nothing else, holds at most.
double MeasureMemory(const Recipe& recipe) {
  Run run(recipe);
  run.KeepLongestBatch();
  ResetPeakMemory();
  for (int i = 0; i < 3; ++i) run.StepOnEveryBatch();
  return PeakMegabytes();
}

// MeasureMemory() of another process; 0 if that failed.
double MemoryOf(const Recipe& recipe) {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  std::FILE* pipe = popen(absl::StrCat(kMemoryOf, "=", recipe.name, " '", path, "'").c_str(), "r");
  if (pipe == nullptr) return 0;
  double megabytes = 0;
  if (std::fscanf(pipe, "%lf", &megabytes) != 1) megabytes = 0;
  return pclose(pipe) == 0 ? megabytes : 0;
}

void Step(benchmark::State& state, const Recipe& recipe) {
  torch::manual_seed(1);
  Run run(recipe);
  CountFlops(state, [&] { run.StepOnEveryBatch(); });
  if (std::getenv("CMERC_PROFILE") != nullptr) {
    Profiler profiler;
    profiler.Start();
    run.StepOnEveryBatch();
    profiler.Stop();
    std::cout << recipe.name << "\n"
              << FormatProfile(profiler.events(), static_cast<int>(run.num_batches()),
                               MeasurePeak());
  }
  for (auto _ : state) run.StepOnEveryBatch();
  state.counters["s_per_step"] = benchmark::Counter(
      static_cast<double>(run.num_batches()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  static std::map<std::string, double> memory;  // a benchmark may run several times
  const auto [found, fresh] = memory.emplace(recipe.name, 0);
  if (fresh) found->second = MemoryOf(recipe);
  state.counters["peak_MB"] = found->second;
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) {
  cmerc::KeepFreedMemory();  // as the program does
  const char* memory_of = std::getenv(cmerc::kMemoryOf);
  for (const cmerc::Recipe& recipe : cmerc::kRecipes) {
    if (memory_of != nullptr && memory_of == std::string(recipe.name)) {
      std::cout << cmerc::MeasureMemory(recipe) << std::endl;
      return 0;
    }
    benchmark::RegisterBenchmark(absl::StrCat("Step/", recipe.name).c_str(), cmerc::Step, recipe)
        ->Unit(benchmark::kSecond)
        ->UseRealTime();
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
