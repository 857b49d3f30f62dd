// The kernels, by the code that training runs, against the same mathematics in LibTorch's operators
// on the same device: a GPU if there is one, else the processor. Each time is of a pass forward and
// backward, until its results are there. peak_MB, on a GPU: what that pass takes at most, its
// results included, beside its inputs.
//
//   bazel run //benchmarks/kernels:operators_benchmark
//
// Names: what is computed, conversations x utterances, by what. Conversations of a size are of one
// length, so that the operators, which pad, have no padding. Before anything is measured, both must
// agree at the smallest size, gradients included; else the exit status is 1.
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backbones/m3net/device_graph_features.h"
#include "benchmarks/device.h"
#include "core/cosines.h"
#include "losses/device_group_log_sums.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kModalities = 3;
constexpr int64_t kWidth = 512;
// The width of a graph's features, which the contrastive losses compare.
constexpr int64_t kFeatures = 2 * kModalities * kWidth;

struct Size {
  int64_t conversations;  // S
  int64_t length;         // n

  int64_t num_utterances() const { return conversations * length; }  // N
  std::string Name() const { return absl::StrCat(conversations, "x", length); }
};

// A function of tensors.
struct Case {
  std::vector<Tensor> inputs;
  Tensor d_result;
  std::function<Tensor()> kernels;
  std::function<Tensor()> operators;
};

Tensor Leaf(at::IntArrayRef sizes, const torch::Device& device, double scale = 1) {
  return (scale * torch::randn(sizes)).to(device).requires_grad_();
}

std::vector<Tensor> Nodes(const Size& size, const torch::Device& device) {
  std::vector<Tensor> nodes;
  for (int64_t k = 0; k < kModalities; ++k) {
    nodes.push_back(Leaf({size.num_utterances(), kWidth}, device));
  }
  return nodes;
}

Packing PackingOf(const Size& size, const torch::Device& device) {
  return Packing(torch::full({size.conversations}, size.length, torch::kInt64), size.length,
                 device);
}

// Both graphs' [M, N, H] as DeviceGraphFeatures() returns them.
Tensor Features(const Tensor& hypergraph, const Tensor& high_frequency) {
  return torch::stack({hypergraph, high_frequency}, 2).transpose(0, 1).flatten(1);
}

// backbones/m3net/high_frequency.h. nodes [M, N, H], norms [S, n, n], between [N].
Tensor HighFrequencyLayer(const Tensor& nodes, const Tensor& weight, const Tensor& bias,
                          const Tensor& norms, const Tensor& between, const Size& size) {
  const std::vector<int64_t> padded = {kModalities, size.conversations, size.length};
  const Tensor receive = nodes.matmul(weight[0].narrow(0, 0, kWidth)) + bias;  // [M, N]
  const Tensor send = nodes.matmul(weight[0].narrow(0, kWidth, kWidth));
  const Tensor gates =
      torch::tanh(receive.view(padded).unsqueeze(3) + send.view(padded).unsqueeze(2));
  const Tensor within = (gates * norms)
                            .matmul(nodes.view({padded[0], padded[1], padded[2], kWidth}))
                            .view(nodes.sizes());
  const Tensor others =
      torch::eye(kModalities, nodes.options().dtype(torch::kBool).requires_grad(false))
          .logical_not();
  const Tensor of_others =
      torch::tanh(receive.unsqueeze(1) + send.unsqueeze(0)) * between * others.unsqueeze(2);
  return nodes + within +
         of_others.permute({2, 0, 1}).matmul(nodes.transpose(0, 1)).transpose(0, 1);
}

Case GatedAggregation(const Size& size, const torch::Device& device) {
  const Packing packing = PackingOf(size, device);
  const HighFrequencyGraph graph =
      MakeHighFrequencyGraph(torch::ones({size.conversations, size.length, size.length},
                                         torch::TensorOptions(torch::kBool).device(device)),
                             kModalities, packing);
  const Tensor norms = graph.within.view({size.conversations, size.length, size.length});
  const std::vector<Tensor> nodes = Nodes(size, device);
  const Tensor weight = Leaf({1, 2 * kWidth}, device, 0.05), bias = Leaf({1}, device);
  Case result;
  result.inputs = nodes;
  result.inputs.insert(result.inputs.end(), {weight, bias});
  result.d_result = torch::randn({size.num_utterances(), kFeatures}).to(device);
  result.kernels = [=] {
    return DeviceGraphFeatures(nodes, {}, graph, {{}, {weight}, {bias}}, packing);
  };
  result.operators = [=] {
    const Tensor all = torch::stack(nodes);
    return Features(all, HighFrequencyLayer(all, weight, bias, norms, graph.between, size));
  };
  return result;
}

// backbones/m3net/hypergraph.h. nodes [M, N, H].
Tensor HypergraphLayer(const Tensor& nodes, const HypergraphNorms& norms, const Tensor& bias,
                       const Size& size) {
  const std::vector<int64_t> padded = {kModalities, size.conversations, size.length, kWidth};
  const Tensor of_modality = norms.modality.unsqueeze(2) * nodes.view(padded).sum(2);  // [M, S, H]
  const Tensor of_utterance = norms.utterance.unsqueeze(1) * nodes.sum(0);             // [N, H]
  const Tensor sums =
      of_modality.unsqueeze(2) + of_utterance.view({size.conversations, size.length, kWidth});
  return torch::leaky_relu(norms.node.unsqueeze(2) * sums.view(nodes.sizes()) + bias, 0.01);
}

Case HypergraphMean(const Size& size, const torch::Device& device) {
  const Packing packing = PackingOf(size, device);
  const std::vector<Tensor> nodes = Nodes(size, device);
  const HypergraphNorms norms{
      Leaf({kModalities, size.conversations}, device, 1 / static_cast<double>(size.length)),
      Leaf({size.num_utterances()}, device), Leaf({kModalities, size.num_utterances()}, device)};
  const Tensor bias = Leaf({kWidth}, device);
  Case result;
  result.inputs = nodes;
  result.inputs.insert(result.inputs.end(), {norms.modality, norms.utterance, norms.node, bias});
  result.d_result = torch::randn({size.num_utterances(), kFeatures}).to(device);
  result.kernels = [=] { return DeviceGraphFeatures(nodes, norms, {}, {{bias}, {}, {}}, packing); };
  result.operators = [=] {
    const Tensor all = torch::stack(nodes);
    return Features(HypergraphLayer(all, norms, bias, size), all);
  };
  return result;
}

// losses/group_log_sums.h, of a batch's utterances. Cosines over this temperature do not overflow.
Case GroupSums(const Size& size, const torch::Device& device) {
  constexpr int64_t kGroups = 8;  // labels of three views
  constexpr double kTemperature = 0.07;
  const int64_t num = size.num_utterances();
  const Tensor features = Leaf({num, kFeatures}, device);
  const Tensor groups = torch::arange(num).remainder(kGroups).to(device);
  const Tensor members =
      (groups.unsqueeze(1) == torch::arange(kGroups).to(device)).to(torch::kFloat32);  // [N, G]
  Case result;
  result.inputs = {features};
  result.d_result = torch::randn({num, kGroups}).to(device);
  result.kernels = [=] { return DeviceGroupLogSums(features, groups, kGroups, kTemperature); };
  result.operators = [=] {
    const Tensor unit = UnitRows(features);
    const Tensor itself = torch::eye(num, members.options().dtype(torch::kBool));
    const Tensor exponentials = (unit.matmul(unit.t()) / kTemperature).exp().masked_fill(itself, 0);
    return exponentials.matmul(members).log();
  };
  return result;
}

// The result and the gradients of all inputs.
std::vector<Tensor> Pass(const Case& of, const std::function<Tensor()>& function) {
  const Tensor result = function();
  std::vector<Tensor> tensors = torch::autograd::grad({result}, of.inputs, {of.d_result});
  tensors.push_back(result.detach());
  return tensors;
}

struct Subject {
  std::string name;
  Case (*make)(const Size&, const torch::Device&);
  std::vector<Size> sizes;
};

std::vector<Subject> Subjects() {
  const std::vector<Size> of_graph = {{1, 110}, {96, 50}, {1, 2000}, {1, 10000}};
  return {{"GatedAggregation", GatedAggregation, of_graph},
          {"HypergraphMean", HypergraphMean, of_graph},
          {"GroupSums", GroupSums, {{1, 110}, {16, 50}, {1, 10000}}}};
}

// Whether both give the same numbers.
bool Agree(const Subject& subject, const torch::Device& device) {
  // Float32, added up in another order.
  constexpr double kTolerance = 1e-4;
  torch::manual_seed(1);
  const Case of = subject.make(subject.sizes[0], device);
  const std::vector<Tensor> got = Pass(of, of.kernels), expected = Pass(of, of.operators);
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double largest = expected[i].abs().max().item<double>();
    const double difference = (got[i] - expected[i]).abs().max().item<double>() / largest;
    // Not std::max(), which a NaN would pass by.
    if (!(difference <= worst)) worst = difference;
  }
  const bool agree = worst <= kTolerance;
  std::cerr << subject.name << ": kernels and operators differ by " << worst
            << (agree ? "" : ", which is too much") << std::endl;
  return agree;
}

void Measure(benchmark::State& state, const Subject& subject, const Size& size, bool kernels,
             const torch::Device& device) {
  torch::manual_seed(1);
  try {
    const Case of = subject.make(size, device);
    const auto pass = [&] {
      Pass(of, kernels ? of.kernels : of.operators);
      WaitFor(device);
    };
    pass();  // libraries take memory of their own when they are first used
    ResetPeakMemoryOf(device);
    const double before = MemoryOf(device).in_tensors;
    pass();
    if (device.is_cuda()) {
      state.counters["peak_MB"] = MemoryOf(device).peak_in_tensors - before;
    }
    for (auto _ : state) pass();
  } catch (const c10::Error& error) {  // a smaller GPU has no room for the largest size
    state.SkipWithError(error.what_without_backtrace());
  }
}

void Register(const torch::Device& device) {
  for (const Subject& subject : Subjects()) {
    for (const Size& size : subject.sizes) {
      // Minutes on a processor, and gigabytes.
      if (device.is_cpu() && size.num_utterances() * size.length > 1000000) continue;
      for (const bool kernels : {true, false}) {
        benchmark::RegisterBenchmark(
            absl::StrCat(device.is_cpu() ? "Cpu" : "Gpu", subject.name, "/", size.Name(), "/",
                         kernels ? "Kernels" : "Operators")
                .c_str(),
            [=](benchmark::State& state) { Measure(state, subject, size, kernels, device); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const torch::Device device = cmerc::BestDevice();
  for (const cmerc::Subject& subject : cmerc::Subjects()) {
    if (!cmerc::Agree(subject, device)) return 1;
  }
  cmerc::Register(device);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
