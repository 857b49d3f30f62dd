// How long it takes to make a dataset.
//
//   bazel run //benchmarks/datasets:datasets_benchmark
//
// OfficialPickles reads the small files of the tests and, where the environment variable
// CMERC_DATA_DIR names their folder, the corpora iemocap-lite and meld-lite.
#include <benchmark/benchmark.h>
#include <google/protobuf/any.pb.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "core/dataset.h"
#include "datasets/official_pickles.pb.h"
#include "datasets/synthetic.pb.h"

namespace cmerc {
namespace {

void Create(benchmark::State& state, const google::protobuf::Message& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  int64_t conversations = 0;
  for (auto _ : state) {
    const absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
    if (!dataset.ok()) {
      state.SkipWithError(std::string(dataset.status().message()).c_str());
      return;
    }
    conversations = (*dataset)->size();
  }
  state.SetItemsProcessed(state.iterations() * conversations);
}

void OfficialPickles(benchmark::State& state, const std::string& folder,
                     const std::string& features, const std::string& roberta) {
  OfficialPicklesOptions options;
  options.set_features_file(folder + "/" + features);
  options.set_roberta_file(folder + "/" + roberta);
  Create(state, options);
}

void Synthetic(benchmark::State& state, int train, int min_length, int mean_length,
               int max_length) {
  SyntheticOptions options;
  options.set_train_conversations(train);
  options.set_min_length(min_length);
  options.set_mean_length(mean_length);
  options.set_max_length(max_length);
  Create(state, options);
}

BENCHMARK_CAPTURE(Synthetic, Default, 60, 6, 12, 20)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Synthetic, IemocapLengths, 120, 8, 49, 110)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Synthetic, MeldLengths, 1152, 1, 10, 33)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(OfficialPickles, Small, "tests/datasets/data", "iemocap_features.pkl",
                  "iemocap_roberta.pkl")
    ->Unit(benchmark::kMillisecond);

const bool kCorpora = [] {
  const char* dir = std::getenv("CMERC_DATA_DIR");
  if (dir == nullptr) return false;
  const std::string folder = dir;
  benchmark::RegisterBenchmark("OfficialPickles/IemocapLite", [=](benchmark::State& state) {
    OfficialPickles(state, folder, "iemocap-lite/IEMOCAP_features.pkl",
                    "iemocap-lite/iemocap_features_roberta.pkl");
  })->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("OfficialPickles/MeldLite", [=](benchmark::State& state) {
    OfficialPickles(state, folder, "meld-lite/MELD_features_raw1.pkl",
                    "meld-lite/meld_features_roberta.pkl");
  })->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
}  // namespace cmerc
