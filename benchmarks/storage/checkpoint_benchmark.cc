// Checkpoints of M3Net at the official sizes, 20 MB (IEMOCAP) and 49 MB (MELD):
//
//   bazel run //benchmarks/storage:checkpoint_benchmark
//
// Files are written to the folder for temporary files ($TMPDIR or /tmp).
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmarks/official_batches.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

int64_t BytesOf(const StateDict& state) {
  size_t bytes = 0;
  for (const auto& [name, tensor] : state) bytes += tensor.nbytes();
  return static_cast<int64_t>(bytes);
}

// A file that is gone afterwards.
class TemporaryFile {
 public:
  TemporaryFile() {
    const char* folder = std::getenv("TMPDIR");
    path_ = absl::StrCat(folder != nullptr ? folder : "/tmp", "/checkpoint_benchmark.pth");
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void Copy(benchmark::State& state, bool meld) {
  const std::unique_ptr<Backbone> model = MakeModel(MakeOfficialBatches(meld, OFFICIAL));
  for (auto _ : state) benchmark::DoNotOptimize(StateOf(*model));
  state.SetBytesProcessed(state.iterations() * BytesOf(StateOf(*model)));
}

void Load(benchmark::State& state, bool meld) {
  const std::unique_ptr<Backbone> model = MakeModel(MakeOfficialBatches(meld, OFFICIAL));
  const StateDict values = StateOf(*model);
  for (auto _ : state) {
    const absl::Status loaded = LoadState(values, *model, "memory");
    if (!loaded.ok()) return state.SkipWithError(loaded.ToString().c_str());
  }
  state.SetBytesProcessed(state.iterations() * BytesOf(values));
}

void Write(benchmark::State& state, bool meld) {
  const StateDict values = StateOf(*MakeModel(MakeOfficialBatches(meld, OFFICIAL)));
  const TemporaryFile file;
  for (auto _ : state) {
    const absl::Status written = WriteCheckpoint(file.path(), values, {});
    if (!written.ok()) return state.SkipWithError(written.ToString().c_str());
  }
  state.SetBytesProcessed(state.iterations() * BytesOf(values));
}

void Read(benchmark::State& state, bool meld) {
  const StateDict values = StateOf(*MakeModel(MakeOfficialBatches(meld, OFFICIAL)));
  const TemporaryFile file;
  const absl::Status written = WriteCheckpoint(file.path(), values, {});
  if (!written.ok()) return state.SkipWithError(written.ToString().c_str());
  for (auto _ : state) {
    const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(file.path());
    if (!checkpoint.ok()) return state.SkipWithError(checkpoint.status().ToString().c_str());
    benchmark::DoNotOptimize(checkpoint->state.size());
  }
  state.SetBytesProcessed(state.iterations() * BytesOf(values));
}

BENCHMARK_CAPTURE(Copy, Iemocap, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Copy, Meld, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Load, Iemocap, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Load, Meld, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Write, Iemocap, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Write, Meld, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Read, Iemocap, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Read, Meld, true)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace cmerc
