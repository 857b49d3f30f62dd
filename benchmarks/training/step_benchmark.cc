// A full training step of the official recipes at the official sizes: batch of 16, prediction in
// full, five views by a snapshot, NLL, ranking, MSCL, CSCL, backward, Adam:
//
//   OMP_NUM_THREADS=2 bazel run //benchmarks/training:step_benchmark
//
// One iteration is a pass over four batches; s_per_step is a quarter of it. gflop: the arithmetic
// of the four steps. peak_share: its share of what float32 matrix products of this machine reach.
// peak_MB: the most memory that a process holds which does nothing but steps on the longest batch,
// LibTorch and the batch included; measured in one of its own per recipe.
//
// Step/Iemocap/averaged has AdamW in place of Adam, and an average of the weights after every step;
// Step/Iemocap/parts8 and Step/Meld/parts8 take each step in eight parts, on this one process.
//
// LongConversation is M3Net alone, forward and backward, on one conversation of as many utterances
// as its name says.
//
// --device=cuda does all of it on a GPU, the copies of the batches included, under names that begin
// with Gpu, in float32 and in bf16. There peak_MB is what LibTorch took of the GPU's memory for it.
//
// CMERC_PROFILE=1 prints where the time of a step goes, phase by phase.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "benchmarks/device.h"
#include "benchmarks/flops.h"
#include "benchmarks/memory.h"
#include "benchmarks/official_batches.h"
#include "calibration/device.h"
#include "calibration/weighted_losses.h"
#include "profile/profiler.h"
#include "training/adam.h"
#include "training/allocator.h"
#include "training/train_step.h"
#include "training/weight_average.h"

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

RunConfig Config(const Recipe& recipe) {
  RunConfig config;
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

struct Place {
  torch::Device device;
  TrainingConfig::Precision precision;
};
const Place kProcessor = {torch::kCPU, TrainingConfig::FLOAT32};

class Run {
 public:
  Run(const Recipe& recipe, const Place& place)
      : device_(place.device),
        corpus_(MakeOfficialBatches(recipe.meld, recipe.semantics)),
        config_(Config(recipe)),
        live_(MakeModel(corpus_)),
        snapshot_(MakeModel(corpus_)),
        optimizer_(OnDevice(*live_).parameters(),
                   torch::optim::AdamOptions(1e-4).weight_decay(3e-5)) {
    OnDevice(*snapshot_);
    training_.set_precision(place.precision);
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

  // AdamW in place of Adam, and an average of the weights.
  void Average() {
    optimizer_.DecoupleWeightDecay(true);
    average_ = MakeModel(corpus_);
    sum_.emplace(*live_, OnDevice(*average_));
  }

  // Steps are taken in so many parts.
  void InParts(int parts) { training_.set_parts(parts); }

  void StepOnEveryBatch() {
    for (const Batch& batch : corpus_.batches) {
      const absl::StatusOr<StepReport> step =
          TrainStep({*live_, *snapshot_, optimizer_, losses_, config_.calibration(), training_},
                    ToDevice(batch, device_));
      TORCH_CHECK(step.ok(), step.status().ToString());
      if (sum_.has_value()) sum_->Add(ShareOfStep(0.999, ++averaged_));
    }
    WaitFor(device_);
  }

  int64_t num_batches() const { return static_cast<int64_t>(corpus_.batches.size()); }

 private:
  Backbone& OnDevice(Backbone& model) const {
    model.to(device_);
    return model;
  }

  const torch::Device device_;
  OfficialBatches corpus_;
  const RunConfig config_;
  TrainingConfig training_;
  const std::unique_ptr<Backbone> live_, snapshot_;
  Adam optimizer_;
  std::vector<WeightedLoss> losses_;
  std::unique_ptr<Backbone> average_;
  std::optional<WeightAverage> sum_;
  int64_t averaged_ = 0;
};

// What this process, which does nothing else, holds at most.
double MeasureMemory(const Recipe& recipe) {
  Run run(recipe, kProcessor);
  run.KeepLongestBatch();
  ResetPeakMemory();
  for (int i = 0; i < 3; ++i) run.StepOnEveryBatch();
  return PeakMegabytes();
}

// MeasureMemory() of another process; 0 if that failed.
double MemoryElsewhere(const Recipe& recipe) {
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

// Runs `pass` once where gflop and peak_share are counted or, on a GPU, libraries take memory of
// their own when they are first used.
void WarmUp(benchmark::State& state, const torch::Device& device,
            const std::function<void()>& pass) {
  if (device.is_cpu()) {
    CountFlops(state, pass);
  } else {
    pass();
  }
}

// What LibTorch takes of a GPU's memory for `pass`.
double DevicePeak(const torch::Device& device, const std::function<void()>& pass) {
  ResetPeakMemoryOf(device);
  pass();
  return MemoryOf(device).peak;
}

void CountSteps(benchmark::State& state, int64_t steps) {
  state.counters["s_per_step"] =
      benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsIterationInvariantRate |
                                                         benchmark::Counter::kInvert);
}

// What steps may be taken with.
enum class Extra { kNothing, kAverage, kParts };

void Step(benchmark::State& state, const Recipe& recipe, const Place& place, Extra extra) {
  torch::manual_seed(1);
  Run run(recipe, place);
  if (extra == Extra::kAverage) run.Average();
  if (extra == Extra::kParts) run.InParts(8);
  const auto pass = [&run] { run.StepOnEveryBatch(); };
  WarmUp(state, place.device, pass);
  if (std::getenv("CMERC_PROFILE") != nullptr) {
    Profiler profiler;
    profiler.Start();
    pass();
    profiler.Stop();
    std::cout << recipe.name << "\n"
              << FormatProfile(profiler.events(), static_cast<int>(run.num_batches()),
                               MeasurePeak());
  }
  if (place.device.is_cpu()) {
    static std::map<std::string, double> memory;  // a benchmark may run several times
    const auto [found, fresh] = memory.emplace(recipe.name, 0);
    if (fresh) found->second = MemoryElsewhere(recipe);
    state.counters["peak_MB"] = found->second;
  } else {
    state.counters["peak_MB"] = DevicePeak(place.device, pass);
  }
  for (auto _ : state) pass();
  CountSteps(state, run.num_batches());
}

void LongConversation(benchmark::State& state, int64_t length, const torch::Device& device) {
  torch::manual_seed(1);
  OfficialBatches corpus = MakeOfficialBatches(/*meld=*/false, CORRECTED);
  corpus.batches = {MakeRandomBatch(corpus.info, {length})};
  const std::unique_ptr<Backbone> model = MakeModel(corpus);
  model->to(device);
  model->train();
  const auto pass = [&] {
    const Batch batch = ToDevice(corpus.batches[0], device);
    const absl::StatusOr<Prediction> prediction = model->Forward(batch);
    TORCH_CHECK(prediction.ok(), prediction.status().ToString());
    model->zero_grad();
    torch::nll_loss(prediction->log_probs, batch.labels).backward();
    WaitFor(device);
  };
  WarmUp(state, device, pass);
  if (!device.is_cpu()) state.counters["peak_MB"] = DevicePeak(device, pass);
  for (auto _ : state) pass();
  CountSteps(state, 1);
}

void Register(const torch::Device& device) {
  const std::string where = device.is_cpu() ? "" : "Gpu";
  const auto add = [](const std::string& name, const auto&... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), arguments...)
        ->Unit(benchmark::kSecond)
        ->UseRealTime();
  };
  for (const Recipe& recipe : kRecipes) {
    const std::string name = absl::StrCat(where, "Step/", recipe.name);
    const Place place{device, TrainingConfig::FLOAT32};
    add(name, Step, recipe, place, Extra::kNothing);
    if (&recipe == kRecipes) add(name + "/averaged", Step, recipe, place, Extra::kAverage);
    if (recipe.semantics == CORRECTED) add(name + "/parts8", Step, recipe, place, Extra::kParts);
    if (!device.is_cpu()) {
      add(name + "/bf16", Step, recipe, Place{device, TrainingConfig::BF16}, Extra::kNothing);
    }
  }
  // A processor would take minutes for the longer one.
  const int64_t length = device.is_cpu() ? 200 : 10000;
  add(absl::StrCat(where, "LongConversation/", length), LongConversation, length, device);
}

// Takes --device=NAME from the arguments.
absl::StatusOr<torch::Device> TakeDevice(int* argc, char** argv) {
  constexpr absl::string_view kFlag = "--device=";
  std::string name = "cpu";
  char** const end = std::remove_if(argv + 1, argv + *argc, [&](const char* argument) {
    if (!absl::StartsWith(argument, kFlag)) return false;
    name = argument + kFlag.size();
    return true;
  });
  *argc = static_cast<int>(end - argv);
  return FindDevice(name);
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
  }
  const absl::StatusOr<torch::Device> device = cmerc::TakeDevice(&argc, argv);
  if (!device.ok()) {
    std::cerr << device.status().message() << std::endl;
    return 1;
  }
  cmerc::PrepareDevice(*device);
  cmerc::Register(*device);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
