// Time of each kernel, forward and backward, until its result is there: a launch and the wait for
// it on the GPU. The processor's are one thread. Numbers a second: multiplications of pairs.
//
// Sizes: conversations x utterances. 96x50 is a batch of 16 conversations of IEMOCAP's mean length
// with its five views.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/gated_aggregation.h"
#include "kernels/group_sums.h"
#include "kernels/hypergraph_mean.h"
#include "tests/kernels/place.h"

namespace cmerc {
namespace {

constexpr int64_t kModalities = 3;
constexpr int64_t kWidth = 512;
// The width of a graph's features, which the contrastive losses compare.
constexpr int64_t kFeatures = 2 * kModalities * kWidth;

struct Size {
  int64_t conversations;
  int64_t length;
};

// Memory that lives as long as this.
class Arena {
 public:
  explicit Arena(Place place) : place_(place) {}

  template <typename T>
  T* Keep(const std::vector<T>& numbers) {
    auto memory = std::make_shared<Memory<T>>(place_, numbers);
    kept_.push_back(memory);
    return memory->get();
  }
  float* Numbers(int64_t size) { return Keep(random_.Numbers(size)); }

 private:
  const Place place_;
  Random random_{1};
  std::vector<std::shared_ptr<void>> kept_;
};

template <typename Arguments>
struct Kernel {
  void (*run)(const Arguments&);
  Gpu::Launch<Arguments> Gpu::*launch;
};

template <typename Arguments>
void Measure(benchmark::State& state, Place place, const Kernel<Arguments>& kernel,
             const Arguments& arguments, double products) {
  for (auto _ : state) {
    const absl::Status status = RunAt(place, kernel.run, kernel.launch, arguments);
    if (!status.ok()) {
      state.SkipWithError(std::string(status.message()).c_str());
      return;
    }
  }
  state.counters["products"] =
      benchmark::Counter(products, benchmark::Counter::kIsIterationInvariantRate);
}

kernels::ModalityRows<float> Dense(float* data, const Lengths& lengths) {
  return {data, lengths.num_rows() * kWidth, kWidth};
}
kernels::ModalityRows<const float> DenseInput(const float* data, const Lengths& lengths) {
  return {data, lengths.num_rows() * kWidth, kWidth};
}

void Gated(benchmark::State& state, Place place, Size size,
           const Kernel<kernels::GatedAggregation>& kernel) {
  const Lengths lengths(std::vector<int64_t>(size.conversations, size.length));
  const int64_t numbers = kModalities * lengths.num_rows();
  Arena arena(place);
  kernels::GatedAggregation arguments{};
  arguments.sequences = lengths.At(arena.Keep(lengths.first_row));
  arguments.num_modalities = kModalities;
  arguments.width = kWidth;
  arguments.first_pair = arena.Keep(lengths.first_pair);
  arguments.context = arena.Keep(std::vector<uint8_t>(lengths.num_pairs(), 1));
  arguments.scale = arena.Numbers(lengths.num_rows());
  arguments.receive = arena.Numbers(numbers);
  arguments.send = arena.Numbers(numbers);
  arguments.x = DenseInput(arena.Numbers(numbers * kWidth), lengths);
  arguments.d_result = DenseInput(arena.Numbers(numbers * kWidth), lengths);
  arguments.d_x = arguments.result = Dense(arena.Numbers(numbers * kWidth), lengths);
  arguments.d_receive = arena.Numbers(numbers);
  arguments.d_send = arena.Numbers(numbers);
  if (place == Place::kGpu) {
    arguments.workspace =
        arena.Numbers(FindGpu()->gated_aggregation_workspace(arguments.sequences, kModalities));
  }
  Measure(state, place, kernel, arguments,
          static_cast<double>(kModalities * lengths.num_pairs() * kWidth));
}

void Hypergraph(benchmark::State& state, Place place, Size size,
                const Kernel<kernels::HypergraphMean>& kernel) {
  const Lengths lengths(std::vector<int64_t>(size.conversations, size.length));
  const int64_t rows = lengths.num_rows(), numbers = kModalities * rows;
  Arena arena(place);
  kernels::HypergraphMean arguments{};
  arguments.sequences = lengths.At(arena.Keep(lengths.first_row));
  arguments.num_modalities = kModalities;
  arguments.width = kWidth;
  arguments.modality = arena.Numbers(kModalities * lengths.count());
  arguments.utterance = arena.Numbers(rows);
  arguments.node = arena.Numbers(numbers);
  arguments.bias = arena.Numbers(kWidth);
  arguments.nodes = DenseInput(arena.Numbers(numbers * kWidth), lengths);
  arguments.activated = DenseInput(arena.Numbers(numbers * kWidth), lengths);
  arguments.d_result = DenseInput(arena.Numbers(numbers * kWidth), lengths);
  arguments.d_nodes = arguments.result = Dense(arena.Numbers(numbers * kWidth), lengths);
  arguments.d_modality = arena.Numbers(kModalities * lengths.count());
  arguments.d_utterance = arena.Numbers(rows);
  arguments.d_node = arena.Numbers(numbers);
  arguments.d_bias = arena.Numbers(kWidth);
  if (place == Place::kGpu) {
    arguments.workspace = arena.Numbers(
        FindGpu()->hypergraph_mean_workspace(arguments.sequences, kModalities, kWidth));
  }
  Measure(state, place, kernel, arguments, static_cast<double>(numbers * kWidth));
}

void Groups(benchmark::State& state, Place place, Size size,
            const Kernel<kernels::GroupSums>& kernel) {
  const int64_t num = size.conversations * size.length;
  constexpr int64_t kGroups = 8;  // labels of three views
  Arena arena(place);
  kernels::GroupSums arguments{};
  arguments.num = num;
  arguments.width = kFeatures;
  arguments.num_groups = kGroups;
  arguments.temperature = 0.07F;
  std::vector<int32_t> groups(num);
  for (int64_t i = 0; i < num; ++i) groups[i] = static_cast<int32_t>(i % kGroups);
  arguments.groups = arena.Keep(groups);
  // Short enough that no exponential overflows, whatever log_sums holds.
  arguments.unit = arena.Keep(Random(1).Numbers(num * kFeatures, -0.01, 0.01));
  arguments.log_sums = arena.Numbers(num * kGroups);
  arguments.d_log_sums = arena.Numbers(num * kGroups);
  arguments.d_unit = arena.Numbers(num * kFeatures);
  arguments.workspace = arena.Numbers(kernels::GroupSumsWorkspace(num));
  Measure(state, place, kernel, arguments, static_cast<double>(num * num * kFeatures));
}

void Register(const std::string& name, const std::vector<Size>& sizes,
              const std::function<void(benchmark::State&, Place, Size)>& measure) {
  for (const Place place : Places()) {
    for (const Size& size : sizes) {
      // Minutes on one thread.
      if (place == Place::kCpu && size.conversations * size.length * size.length > 1000000)
        continue;
      benchmark::RegisterBenchmark(
          absl::StrCat(NameOf(place), name, "/", size.conversations, "x", size.length).c_str(),
          [=](benchmark::State& state) { measure(state, place, size); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

template <typename Arguments>
void RegisterBoth(const std::string& name, const std::vector<Size>& sizes,
                  void (*measure)(benchmark::State&, Place, Size, const Kernel<Arguments>&),
                  const Kernel<Arguments>& forward, const Kernel<Arguments>& backward) {
  for (const auto& [suffix, kernel] : {std::pair{"", forward}, std::pair{"Backward", backward}}) {
    Register(name + suffix, sizes,
             [=, kernel = kernel](benchmark::State& state, Place place, Size size) {
               measure(state, place, size, kernel);
             });
  }
}

const bool kRegistered = [] {
  const std::vector<Size> of_graph = {{1, 110}, {96, 50}, {1, 2000}, {1, 10000}};
  RegisterBoth<kernels::GatedAggregation>(
      "GatedAggregation", of_graph, Gated, {kernels::RunGatedAggregation, &Gpu::gated_aggregation},
      {kernels::RunGatedAggregationBackward, &Gpu::gated_aggregation_backward});
  RegisterBoth<kernels::HypergraphMean>(
      "HypergraphMean", of_graph, Hypergraph, {kernels::RunHypergraphMean, &Gpu::hypergraph_mean},
      {kernels::RunHypergraphMeanBackward, &Gpu::hypergraph_mean_backward});
  RegisterBoth<kernels::GroupSums>("GroupSums", {{1, 110}, {16, 50}, {1, 10000}}, Groups,
                                   {kernels::RunGroupSums, &Gpu::group_sums},
                                   {kernels::RunGroupSumsBackward, &Gpu::group_sums_backward});
  return true;
}();

}  // namespace
}  // namespace cmerc
