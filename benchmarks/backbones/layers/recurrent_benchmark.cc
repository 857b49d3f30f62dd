// The fast recurrent layers beside LibTorch's: M3Net's text encoder at the official sizes, on
// batches of 16 conversations as long as the official ones:
//
//   bazel run //benchmarks/backbones/layers:recurrent_benchmark
//
// One iteration is one batch; the mean over the four batches of a corpus counts. OMP_NUM_THREADS
// sets the number of threads. "Padded" encodes every conversation at the length of the longest, as
// the official code does. LibTorch's figures include bringing rows into its order and back.
#include <benchmark/benchmark.h>
#include <torch/nn/modules/rnn.h>

#include "backbones/layers/packing.h"
#include "backbones/layers/recurrent.h"

namespace cmerc {
namespace {

using torch::Tensor;

struct Corpus {
  int64_t width;
  std::vector<std::vector<int64_t>> lengths;
};

// The first training batches of the official code.
const Corpus kIemocap = {512,
                         {{76, 61, 45, 45, 64, 68, 8, 25, 56, 50, 66, 76, 22, 43, 68, 63},
                          {41, 44, 64, 35, 52, 72, 23, 23, 65, 33, 42, 22, 42, 59, 60, 61},
                          {24, 41, 36, 46, 67, 54, 46, 51, 64, 48, 58, 41, 49, 42, 62, 49},
                          {26, 30, 42, 51, 79, 57, 39, 64, 68, 48, 65, 28, 78, 35, 52, 23}}};
const Corpus kMeld = {1024,
                      {{11, 13, 6, 11, 8, 7, 21, 3, 11, 5, 4, 12, 5, 12, 4, 10},
                       {3, 4, 9, 9, 2, 16, 5, 2, 5, 6, 7, 10, 7, 14, 12, 9},
                       {4, 23, 18, 1, 4, 7, 20, 6, 18, 14, 9, 31, 12, 11, 16, 15},
                       {16, 5, 13, 3, 3, 3, 19, 6, 4, 9, 21, 8, 11, 10, 10, 6}}};

template <typename Module>
Tensor RunLibTorch(Module& module, const Tensor& rows, const Tensor& lengths) {
  const Packing packing(lengths, lengths.max().item<int64_t>(), torch::kCPU);
  if (packing.num_utterances() == lengths.size(0) * packing.max_length()) {
    const Tensor padded = packing.Pad(rows).transpose(0, 1);
    return std::get<0>(module->forward(padded)).transpose(0, 1).flatten(0, 1);
  }
  const Packing::TimeMajor order = packing.MakeTimeMajor();
  const torch::nn::utils::rnn::PackedSequence sequence(SelectRows(rows, order.order),
                                                       order.batch_sizes);
  return PlaceRows(std::get<0>(module->forward_with_packed_input(sequence)).data(), order.order,
                   rows.size(0));
}

struct Case {
  Corpus corpus;
  bool padded = false;
  bool backward = false;
  bool libtorch = false;
};

template <typename Module, typename Options>
void Run(benchmark::State& state, const Case& test_case) {
  torch::manual_seed(1);
  const int64_t width = test_case.corpus.width;
  Module module(Options(width, width / 2).num_layers(2).bidirectional(true).dropout(0.5));
  module->train(test_case.backward);
  const torch::AutoGradMode gradients(test_case.backward);
  std::vector<Tensor> lengths, rows;
  for (const std::vector<int64_t>& batch : test_case.corpus.lengths) {
    const Tensor length = torch::tensor(batch);
    lengths.push_back(test_case.padded ? torch::full_like(length, length.max().item<int64_t>())
                                       : length);
    rows.push_back(torch::randn({lengths.back().sum().item<int64_t>(), width})
                       .requires_grad_(test_case.backward));
  }
  const auto step = [&](size_t i) {
    const Tensor output = test_case.libtorch ? RunLibTorch(module, rows[i], lengths[i])
                                             : RunRecurrent(module, rows[i], lengths[i]);
    if (test_case.backward) {
      module->zero_grad();
      output.backward(output.detach());
    }
    benchmark::DoNotOptimize(output.data_ptr());
  };
  for (size_t i = 0; i < rows.size(); ++i) step(i);
  size_t next = 0;
  for (auto _ : state) step(next++ % rows.size());
}

void Gru(benchmark::State& state, const Case& test_case) {
  Run<torch::nn::GRU, torch::nn::GRUOptions>(state, test_case);
}

void Lstm(benchmark::State& state, const Case& test_case) {
  Run<torch::nn::LSTM, torch::nn::LSTMOptions>(state, test_case);
}

using Function = void (*)(benchmark::State& state, const Case& test_case);

void Register(const std::string& name, Function function, const Corpus& corpus, bool padded) {
  for (const bool backward : {false, true}) {
    for (const bool libtorch : {true, false}) {
      benchmark::RegisterBenchmark(
          (name + (backward ? "/ForwardBackward" : "/Forward") + (libtorch ? "/LibTorch" : "/Ours"))
              .c_str(),
          function, Case{corpus, padded, backward, libtorch})
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

const bool kRegistered = [] {
  Register("IemocapGru", Gru, kIemocap, /*padded=*/false);
  Register("IemocapGruPadded", Gru, kIemocap, /*padded=*/true);
  Register("IemocapLstm", Lstm, kIemocap, /*padded=*/false);
  Register("MeldGru", Gru, kMeld, /*padded=*/false);
  Register("MeldGruPadded", Gru, kMeld, /*padded=*/true);
  Register("MeldLstm", Lstm, kMeld, /*padded=*/false);
  return true;
}();

}  // namespace
}  // namespace cmerc
