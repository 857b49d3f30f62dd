// The kernels of M3Net's graphs by themselves: the same results on every instruction set, however
// the utterances are divided.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "kernels/cpu/high_frequency_kernels.h"
#include "kernels/cpu/hypergraph_kernels.h"
#include "kernels/cpu/instruction_set.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;

constexpr int64_t kModalities = 3;

// One layer forward and backward at a width, its utterances divided.
using KernelRun =
    std::function<variable_list(int64_t width, const std::vector<int64_t>& divisions)>;

// 37 utterances at once and divided give what all of them at once give on the baseline.
void ExpectTheSameResults(const KernelRun& run, const KernelRun& baseline) {
  for (const int64_t width : {1, 5, 16, 33, 100}) {
    const variable_list want = baseline(width, {0, 37});
    for (const std::vector<int64_t>& divisions :
         {std::vector<int64_t>{0, 37}, {0, 1, 17, 33, 37}}) {
      const variable_list got = run(width, divisions);
      for (size_t i = 0; i < got.size(); ++i) {
        const double scale = want[i].abs().max().item<double>();
        EXPECT_LE((got[i] - want[i]).abs().max().item<double>(), 4e-6 * scale)
            << "width " << width << ", tensor " << i;
      }
    }
  }
}

class HighFrequencyKernelsTest : public testing::TestWithParam<int64_t /*instruction set*/> {
 protected:
  ~HighFrequencyKernelsTest() override { kernels::UseInstructionSet(0); }
  static const kernels::HighFrequencyKernels& FindOn(int64_t instruction_set) {
    kernels::UseInstructionSet(instruction_set);
    return kernels::BestHighFrequencyKernels();
  }
};

// One layer forward and backward on given kernels, its utterances divided.
variable_list RunKernels(const kernels::HighFrequencyKernels& kernels, int64_t width,
                         const std::vector<int64_t>& divisions) {
  const int64_t n = divisions.back();
  torch::manual_seed(8);
  const auto data = [](const Tensor& x) { return x.data_ptr<float>(); };
  const auto rows = [&](const Tensor& x) {
    return kernels::RowsIn(data(x), kModalities, n, width);
  };
  const Tensor within = torch::rand({n, n}), between = torch::rand({n});
  const Tensor weights = torch::randn({2, width}) * 0.3;
  const Tensor nodes = torch::randn({kModalities, n, width}), result = torch::empty_like(nodes);
  const Tensor d_result = torch::randn_like(nodes), d_nodes = torch::empty_like(nodes);
  const Tensor arguments = torch::empty({2, kModalities, n});
  const Tensor d_arguments = torch::zeros_like(arguments);
  const Tensor part = torch::empty({n}), d_weights = torch::zeros({2 * width + 1});
  kernels::HighFrequencyPass pass{kModalities,
                                  n,
                                  width,
                                  data(within),
                                  data(between),
                                  data(weights),
                                  data(weights) + width,
                                  0.25F,
                                  rows(nodes),
                                  data(arguments),
                                  data(arguments) + kModalities * n,
                                  rows(result),
                                  rows(d_result),
                                  rows(d_nodes),
                                  data(d_arguments),
                                  data(d_arguments) + kModalities * n};
  for (size_t i = 1; i < divisions.size(); ++i) {
    kernels.between_modalities(pass, divisions[i - 1], divisions[i]);
  }
  for (size_t i = 1; i < divisions.size(); ++i) {
    for (int64_t k = 0; k < kModalities; ++k) {
      kernels.within_modality(pass, k, divisions[i - 1], divisions[i]);
      kernels.within_modality_backward(pass, k, divisions[i - 1], divisions[i], data(part));
      d_arguments[0][k].add_(part);
    }
  }
  // The sum of the parts is not the same bits as the whole.
  const Tensor d_receive = d_arguments[0].clone();
  for (size_t i = 1; i < divisions.size(); ++i) {
    kernels.between_modalities_backward(pass, divisions[i - 1], divisions[i], data(d_weights));
  }
  return {result, arguments, d_nodes, d_weights, d_receive};
}

TEST_P(HighFrequencyKernelsTest, TheSameResultsOnEveryInstructionSet) {
  const kernels::HighFrequencyKernels& kernels = FindOn(GetParam());
  const auto run = [](const kernels::HighFrequencyKernels& instance) {
    return [&](int64_t width, const std::vector<int64_t>& divisions) {
      return RunKernels(instance, width, divisions);
    };
  };
  ExpectTheSameResults(run(kernels), run(FindOn(kernels::InstructionSets().back())));
}

TEST_P(HighFrequencyKernelsTest, TheForwardBitsHoweverUtterancesAreDivided) {
  const kernels::HighFrequencyKernels& kernels = FindOn(GetParam());
  const variable_list whole = RunKernels(kernels, 100, {0, 37});
  const variable_list parts = RunKernels(kernels, 100, {0, 1, 17, 33, 37});
  for (const size_t i : {0, 1}) EXPECT_TRUE(torch::equal(whole[i], parts[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(All, HighFrequencyKernelsTest,
                         testing::ValuesIn(kernels::InstructionSets()));

class HypergraphKernelsTest : public testing::TestWithParam<int64_t /*instruction set*/> {
 protected:
  ~HypergraphKernelsTest() override { kernels::UseInstructionSet(0); }
  static const kernels::HypergraphKernels& FindOn(int64_t instruction_set) {
    kernels::UseInstructionSet(instruction_set);
    return kernels::BestHypergraphKernels();
  }
};

// One layer forward and backward on given kernels, its utterances divided.
variable_list RunKernels(const kernels::HypergraphKernels& kernels, int64_t width,
                         const std::vector<int64_t>& divisions) {
  const int64_t n = divisions.back();
  torch::manual_seed(9);
  const auto data = [](const Tensor& x) { return x.data_ptr<float>(); };
  const auto rows = [&](const Tensor& x, int64_t size) {
    return kernels::RowsIn(data(x), kModalities, n, size);
  };
  const Tensor modality = torch::rand({kModalities}), utterance = torch::rand({n});
  const Tensor node = torch::rand({kModalities, n}), bias = torch::randn({width});
  const Tensor nodes = torch::randn({kModalities, n, width}), result = torch::empty_like(nodes);
  const Tensor d_result = torch::randn_like(nodes), d_nodes = torch::ones_like(nodes);
  const Tensor part = torch::empty({kModalities, width}), sums = torch::zeros_like(part);
  const Tensor d_means = torch::zeros_like(part), d_bias = torch::zeros({width});
  const Tensor d_utterance = torch::zeros({n}), d_node = torch::zeros({kModalities, n});
  const Tensor d_sums = torch::empty({n, width});
  kernels::HypergraphPass pass{};
  pass.num_modalities = kModalities;
  pass.width = width;
  pass.modality.assign(data(modality), data(modality) + kModalities);
  pass.utterance = data(utterance);
  pass.node = rows(node, 1);
  pass.bias = data(bias);
  pass.nodes = rows(nodes, width);
  pass.sums = data(sums);
  pass.result = rows(result, width);
  pass.activated = rows(result, width);
  pass.d_result = rows(d_result, width);
  pass.d_utterance = data(d_utterance);
  pass.d_node = rows(d_node, 1);
  pass.d_sums = data(d_sums);
  pass.d_nodes = rows(d_nodes, width);
  for (size_t i = 1; i < divisions.size(); ++i) {
    kernels.sum_nodes(pass, divisions[i - 1], divisions[i], data(part));
    sums.add_(part);
  }
  for (size_t i = 1; i < divisions.size(); ++i) {
    kernels.forward(pass, divisions[i - 1], divisions[i]);
    kernels.backward(pass, divisions[i - 1], divisions[i], data(d_means), data(d_bias));
  }
  for (size_t i = 1; i < divisions.size(); ++i) {
    kernels.finish_backward(pass, divisions[i - 1], divisions[i], data(d_means), /*add=*/true);
  }
  return {sums, result, d_nodes, d_bias, d_utterance, d_node};
}

TEST_P(HypergraphKernelsTest, TheSameResultsOnEveryInstructionSet) {
  const kernels::HypergraphKernels& kernels = FindOn(GetParam());
  const auto run = [](const kernels::HypergraphKernels& instance) {
    return [&](int64_t width, const std::vector<int64_t>& divisions) {
      return RunKernels(instance, width, divisions);
    };
  };
  ExpectTheSameResults(run(kernels), run(FindOn(kernels::InstructionSets().back())));
}

INSTANTIATE_TEST_SUITE_P(All, HypergraphKernelsTest, testing::ValuesIn(kernels::InstructionSets()));

}  // namespace
}  // namespace cmerc
