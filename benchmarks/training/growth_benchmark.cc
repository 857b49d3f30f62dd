// Seconds and memory of a full CMERC training step (views, all losses, backward, Adam) of every
// registered backbone, with its default options, against one size of the data at a time, and the
// exponent of each ("seconds ~ length^1.9", least squares over the logarithms of the two largest
// thirds of the sizes):
//   bazel run //benchmarks/training:growth_benchmark
//   ... -- --benchmark_filter='M3Net.*length'
// Where a size does not grow: 4 conversations of 40 utterances, 2 speakers, 3 modalities (128
// wide), 6 classes; `length` is that of a single conversation. peak_MB: memory at its highest
// during the step beyond what the program held before it.
#include <benchmark/benchmark.h>

#include <cmath>
#include <iostream>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "benchmarks/memory.h"
#include "calibration/weighted_losses.h"
#include "core/backbone.h"
#include "core/batch.h"
#include "training/adam.h"
#include "training/train_step.h"

namespace cmerc {
namespace {

struct Sizes {
  int64_t length = 40;
  int64_t batch = 4;
  int64_t speakers = 2;
  int64_t modalities = 3;
  int64_t classes = 6;
};

DatasetInfo Info(const Sizes& sizes) {
  DatasetInfo info;
  const std::vector<std::string> names = {"text", "audio", "visual", "fourth", "fifth"};
  for (int64_t m = 0; m < sizes.modalities; ++m) info.modalities.push_back({names[m], 128, 1});
  for (int64_t c = 0; c < sizes.classes; ++c) info.class_names.push_back(absl::StrCat("class_", c));
  info.num_speakers = sizes.speakers;
  return info;
}

Batch RandomBatch(const Sizes& sizes, const DatasetInfo& info) {
  std::vector<Conversation> conversations(sizes.batch);
  for (Conversation& conversation : conversations) {
    for (const ModalityInfo& modality : info.modalities) {
      conversation.features.push_back({torch::randn({sizes.length, modality.width})});
    }
    conversation.speakers = torch::randint(info.num_speakers, {sizes.length}, torch::kInt64);
    conversation.labels = torch::randint(info.num_classes(), {sizes.length}, torch::kInt64);
  }
  return MakeBatch(conversations, info);
}

RunConfig Config() {
  RunConfig config;
  for (const char* loss : {"Nll", "CalibrationRanking", "Mscl", "Cscl"}) {
    LossConfig* entry = config.add_losses();
    entry->set_weight(0.01);
    entry->mutable_loss()->set_type_url(
        absl::StrCat("type.googleapis.com/cmerc.", loss, "Options"));
  }
  return config;
}

void Step(benchmark::State& state, const std::string& type, int64_t Sizes::*grown) {
  Sizes sizes;
  if (grown == &Sizes::length) sizes.batch = 1;
  sizes.*grown = state.range(0);
  torch::manual_seed(1);
  const DatasetInfo info = Info(sizes);
  const Batch batch = RandomBatch(sizes, info);
  google::protobuf::Any options;
  options.set_type_url("type.googleapis.com/" + type);
  const RunConfig config = Config();
  const absl::StatusOr<std::unique_ptr<Backbone>> live = Backbones().Create(options, info);
  const absl::StatusOr<std::unique_ptr<Backbone>> snapshot = Backbones().Create(options, info);
  const absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(config, info);
  for (const absl::Status& status : {live.status(), snapshot.status(), losses.status()}) {
    if (status.ok()) continue;
    state.SkipWithError(std::string(status.message()).c_str());
    return;
  }
  (*live)->train();
  Adam optimizer((*live)->parameters(), torch::optim::AdamOptions(1e-4));
  // What earlier sizes left in the heap would hide what this one needs.
  ResetPeakMemory();
  const double before = ResidentMegabytes();
  for (auto _ : state) {
    const absl::StatusOr<StepReport> step =
        TrainStep({**live, **snapshot, optimizer, *losses, config.calibration()}, batch);
    if (!step.ok()) {
      state.SkipWithError(std::string(step.status().message()).c_str());
      return;
    }
  }
  state.counters["peak_MB"] = PeakMegabytes() - before;
}

// Whether a run had no result. Google Benchmark 1.8 renamed the field.
template <typename Run>
auto Failed(const Run& run, int /*best*/) -> decltype(run.error_occurred) {
  return run.error_occurred;
}
template <typename Run>
bool Failed(const Run& run, long /*otherwise*/) {
  return run.skipped != 0;
}

// Prints the fitted exponents below the usual table.
class GrowthReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    benchmark::ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (Failed(run, 0)) continue;
      // "M3Net/length:200/real_time"
      const std::vector<std::string> parts = absl::StrSplit(run.benchmark_name(), '/');
      const std::vector<std::string> size = absl::StrSplit(parts[1], ':');
      double value = 0;
      if (size.size() != 2 || !absl::SimpleAtod(size[1], &value)) continue;
      Growth& growth = growths_[parts[0] + " " + size[0]];
      growth.sizes.push_back(value);
      growth.seconds.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
      growth.memory.push_back(run.counters.at("peak_MB"));
    }
  }

  void Finalize() override {
    std::cout << "\nexponents: seconds, memory\n";
    for (const auto& [name, growth] : growths_) {
      std::cout << absl::StrFormat("%-32s %5.2f  %5.2f\n", name,
                                   Exponent(growth.sizes, growth.seconds),
                                   Exponent(growth.sizes, growth.memory));
    }
  }

 private:
  struct Growth {
    std::vector<double> sizes, seconds, memory;
  };

  static double Exponent(const std::vector<double>& x, const std::vector<double>& y) {
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = x.size() / 3; i < x.size(); ++i) {
      // Memory below what the measurement can see.
      if (y[i] <= 0) continue;
      const double a = std::log(x[i]), b = std::log(y[i]);
      n += 1, sx += a, sy += b, sxx += a * a, sxy += a * b;
    }
    const double spread = n * sxx - sx * sx;
    return spread > 0 ? (n * sxy - sx * sy) / spread : std::nan("");
  }

  std::map<std::string, Growth> growths_;
};

void Add(const std::string& type, const std::string& size, int64_t Sizes::*grown,
         const std::vector<int64_t>& values) {
  std::string name(absl::StripSuffix(absl::StripPrefix(type, "cmerc."), "Options"));
  auto* const registered =
      benchmark::RegisterBenchmark(name.c_str(), Step, type, grown)->ArgName(size);
  for (const int64_t value : values) registered->Arg(value);
  registered->Unit(benchmark::kMillisecond)->UseRealTime();
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) {
  using cmerc::Sizes;
  for (const auto& [type, plugin] : cmerc::Backbones().plugins()) {
    cmerc::Add(type, "length", &Sizes::length, {10, 50, 100, 200, 500, 1000, 2000});
    cmerc::Add(type, "batch", &Sizes::batch, {1, 4, 16, 64});
    cmerc::Add(type, "speakers", &Sizes::speakers, {1, 2, 8, 32});
    cmerc::Add(type, "modalities", &Sizes::modalities, {1, 2, 3, 4, 5});
    cmerc::Add(type, "classes", &Sizes::classes, {2, 6, 20, 60});
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  cmerc::GrowthReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
