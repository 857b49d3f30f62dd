// How long it takes to make a dataset.
//
//   bazel run //benchmarks/datasets:datasets_benchmark
//
// OfficialPickles and Records read the small files of the tests and, where the environment variable
// CMERC_DATA_DIR names their folder, the corpora iemocap-lite and meld-lite; Records from record
// files (converted first) and as JSON Lines.
#include <benchmark/benchmark.h>
#include <google/protobuf/any.pb.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "datasets/export.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/records.pb.h"
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

OfficialPicklesOptions Pickles(const std::string& folder, const std::string& features,
                               const std::string& roberta) {
  OfficialPicklesOptions options;
  options.set_features_file(folder + "/" + features);
  options.set_roberta_file(folder + "/" + roberta);
  return options;
}

void OfficialPickles(benchmark::State& state, const std::string& folder,
                     const std::string& features, const std::string& roberta) {
  Create(state, Pickles(folder, features, roberta));
}

using Write = absl::Status (*)(const Dataset&, const ByteSink&, OnConversation);

// Reads what `write` makes of the pickles.
void Records(benchmark::State& state, const OfficialPicklesOptions& pickles, Write write) {
  google::protobuf::Any any;
  any.PackFrom(pickles);
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
  if (!dataset.ok()) {
    state.SkipWithError(std::string(dataset.status().message()).c_str());
    return;
  }
  const std::string path =
      (std::filesystem::temp_directory_path() / "cmerc_datasets_benchmark").string();
  std::ofstream file(path, std::ios::binary);
  const absl::Status written = write(
      **dataset,
      [&](absl::string_view bytes) {
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return absl::OkStatus();
      },
      [](int64_t) {});
  file.close();
  if (!written.ok() || !file) {
    state.SkipWithError("cannot write the record file");
    return;
  }
  RecordsOptions options;
  options.set_file(path);
  Create(state, options);
  std::filesystem::remove(path);
}

void SmallRecords(benchmark::State& state, Write write) {
  Records(state, Pickles("tests/datasets/data", "iemocap_features.pkl", "iemocap_roberta.pkl"),
          write);
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

BENCHMARK_CAPTURE(SmallRecords, Records, &WriteRecords)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(SmallRecords, JsonLines, &WriteJsonLines)->Unit(benchmark::kMillisecond);

const bool kCorpora = [] {
  const char* dir = std::getenv("CMERC_DATA_DIR");
  if (dir == nullptr) return false;
  for (const auto& corpus : {std::array{"IemocapLite", "iemocap-lite", "IEMOCAP_features.pkl",
                                        "iemocap_features_roberta.pkl"},
                             std::array{"MeldLite", "meld-lite", "MELD_features_raw1.pkl",
                                        "meld_features_roberta.pkl"}}) {
    const OfficialPicklesOptions pickles =
        Pickles(absl::StrCat(dir, "/", corpus[1]), corpus[2], corpus[3]);
    const auto add = [&](const std::string& reader, const auto& run) {
      benchmark::RegisterBenchmark(absl::StrCat(reader, "/", corpus[0]).c_str(), run)
          ->Unit(benchmark::kMillisecond);
    };
    add("OfficialPickles", [=](benchmark::State& state) { Create(state, pickles); });
    add("Records", [=](benchmark::State& state) { Records(state, pickles, &WriteRecords); });
    add("JsonLines", [=](benchmark::State& state) { Records(state, pickles, &WriteJsonLines); });
  }
  return true;
}();

}  // namespace
}  // namespace cmerc
