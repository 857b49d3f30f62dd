// The fast recurrent layers against LibTorch's, and what LibTorch's do not promise: the same bits
// for any number of threads. Padding and rows that are read more than once: recurrent_rows_test.cc;
// the kernels by themselves: recurrent_kernels_test.cc.
#include "backbones/layers/recurrent.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/modules/rnn.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/backbones/layers/recurrent_testing.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;
using torch::nn::GRU;
using torch::nn::LSTM;

template <typename Module, typename Options>
void ExpectLikeLibTorch(const Options& options, const std::vector<int64_t>& lengths) {
  torch::manual_seed(1);
  Module module(options);
  Module exact(options);
  exact->to(torch::kFloat64);
  CopyParameters(*module, *exact);
  const Tensor rows = torch::randn({Sum(lengths), options.input_size()}).requires_grad_();
  const Tensor exact_rows = rows.detach().to(torch::kFloat64).requires_grad_();
  const Tensor output = RunRecurrent(module, rows, torch::tensor(lengths));
  const Tensor exact_output = LibTorch(exact, exact_rows, lengths);
  const Tensor factor = torch::randn(output.sizes());
  const variable_list got = Gradients(module, rows, output, factor);
  const variable_list want = Gradients(exact, exact_rows, exact_output, factor.to(torch::kFloat64));
  std::vector<std::string> names = {"output", "gradient of the input"};
  for (const std::string& key : module->named_parameters().keys()) {
    names.push_back("gradient of " + key);
  }
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ExpectClose(got[i], want[i], names[i]);
}

struct Shape {
  int64_t input_size;
  int64_t hidden_size;
  int64_t num_layers;
  bool bidirectional;
  std::vector<int64_t> lengths;
};

class RecurrentTest : public testing::TestWithParam<Shape> {};

TEST_P(RecurrentTest, GruAndItsGradientsAreLibTorchs) {
  const Shape& shape = GetParam();
  ExpectLikeLibTorch<GRU>(torch::nn::GRUOptions(shape.input_size, shape.hidden_size)
                              .num_layers(shape.num_layers)
                              .bidirectional(shape.bidirectional),
                          shape.lengths);
}

TEST_P(RecurrentTest, LstmAndItsGradientsAreLibTorchs) {
  const Shape& shape = GetParam();
  ExpectLikeLibTorch<LSTM>(torch::nn::LSTMOptions(shape.input_size, shape.hidden_size)
                               .num_layers(shape.num_layers)
                               .bidirectional(shape.bidirectional),
                           shape.lengths);
}

// Hidden sizes below, at and above the widths of vectors and of tiles; numbers of conversations
// below and above the height of a tile.
INSTANTIATE_TEST_SUITE_P(
    Shapes, RecurrentTest,
    testing::Values(
        Shape{3, 1, 1, false, kLengths}, Shape{5, 7, 1, true, kLengths},
        Shape{8, 16, 2, true, kLengths}, Shape{6, 33, 3, true, kLengths},
        Shape{6, 20, 3, false, kLengths}, Shape{4, 64, 2, true, {4, 4, 4}},
        Shape{4, 24, 2, true, {6}}, Shape{4, 24, 2, true, {1}}, Shape{4, 24, 2, true, {1, 1, 1}},
        Shape{3, 18, 2, true, {9, 1, 4, 6, 6, 2, 9, 3, 8, 5, 7, 1, 2, 3, 9, 4, 4, 5, 6}}));

TEST(RecurrentTest, PaddingOfWholeLengthIsTheTensorForm) {
  GRU gru(torch::nn::GRUOptions(6, 5).num_layers(2).bidirectional(true));
  const Tensor padded = torch::randn({3, 4, 6});  // [B, T, I]
  const Tensor want = std::get<0>(gru->forward(padded.transpose(0, 1))).transpose(0, 1);
  const Tensor got = RunRecurrent(gru, padded.flatten(0, 1), torch::full({3}, 4L));
  ExpectClose(got.view({3, 4, 10}), want, "output");
}

template <typename Module, typename Options>
void ExpectLibTorchsDropout(const Options& options, const std::vector<int64_t>& lengths) {
  Module module(options);
  const Tensor rows = torch::randn({Sum(lengths), options.input_size()});
  torch::manual_seed(5);
  const Tensor want = LibTorch(module, rows, lengths);
  torch::manual_seed(5);
  const Tensor got = RunRecurrent(module, rows, torch::tensor(lengths));
  ExpectClose(got, want, "training");
  EXPECT_FALSE(torch::equal(got, RunRecurrent(module, rows, torch::tensor(lengths))));
  module->eval();
  ExpectClose(RunRecurrent(module, rows, torch::tensor(lengths)), LibTorch(module, rows, lengths),
              "evaluation");
}

TEST(RecurrentTest, DropoutDrawsLibTorchsMasks) {
  for (const std::vector<int64_t>& lengths : {kLengths, {4, 4, 4}}) {
    ExpectLibTorchsDropout<GRU>(
        torch::nn::GRUOptions(6, 9).num_layers(3).bidirectional(true).dropout(0.5), lengths);
    ExpectLibTorchsDropout<LSTM>(
        torch::nn::LSTMOptions(6, 9).num_layers(3).bidirectional(true).dropout(0.3), lengths);
  }
}

TEST(RecurrentTest, DroppingEverythingLeavesTheBiases) {
  GRU gru(torch::nn::GRUOptions(6, 9).num_layers(2).dropout(1.0));
  const Tensor rows = torch::randn({Sum(kLengths), 6});
  ExpectClose(RunRecurrent(gru, rows, torch::tensor(kLengths)), LibTorch(gru, rows, kLengths),
              "output");
}

TEST(RecurrentTest, WithoutGradientsTheSameBits) {
  GRU gru(torch::nn::GRUOptions(6, 9).num_layers(2).bidirectional(true));
  const Tensor rows = torch::randn({Sum(kLengths), 6});
  const Tensor want = RunRecurrent(gru, rows, torch::tensor(kLengths));
  EXPECT_TRUE(want.requires_grad());
  const torch::NoGradGuard no_grad;
  const Tensor got = RunRecurrent(gru, rows, torch::tensor(kLengths));
  EXPECT_FALSE(got.requires_grad());
  EXPECT_TRUE(torch::equal(got, want));
}

TEST(RecurrentTest, OnlyTheInputsGradient) {
  LSTM lstm(torch::nn::LSTMOptions(6, 9));
  for (Tensor& parameter : lstm->parameters()) parameter.requires_grad_(false);
  LSTM exact(torch::nn::LSTMOptions(6, 9));
  CopyParameters(*lstm, *exact);
  const Tensor rows = torch::randn({Sum(kLengths), 6}).requires_grad_();
  const Tensor got =
      torch::autograd::grad({RunRecurrent(lstm, rows, torch::tensor(kLengths)).sum()}, {rows})[0];
  const Tensor want = torch::autograd::grad({LibTorch(exact, rows, kLengths).sum()}, {rows})[0];
  ExpectClose(got, want, "gradient of the input");
}

TEST(RecurrentTest, BackwardTwiceGivesTheSameBits) {
  GRU gru(torch::nn::GRUOptions(6, 9).num_layers(2).bidirectional(true));
  const Tensor rows = torch::randn({Sum(kLengths), 6}).requires_grad_();
  const Tensor loss = RunRecurrent(gru, rows, torch::tensor(kLengths)).square().sum();
  const Tensor first = torch::autograd::grad({loss}, {rows}, {}, /*retain_graph=*/true)[0];
  EXPECT_TRUE(torch::equal(torch::autograd::grad({loss}, {rows})[0], first));
}

TEST(RecurrentTest, TheSameBitsForAnyNumberOfThreads) {
  GRU gru(torch::nn::GRUOptions(40, 70).num_layers(2).bidirectional(true));
  const Tensor rows = torch::randn({5 * Sum(kLengths), 40}).requires_grad_();
  const Tensor lengths = torch::tensor(kLengths).repeat(5);
  const Tensor factor = torch::randn({rows.size(0), 140});
  const int before = torch::get_num_threads();
  // With padding the last layer's directions have rows of different numbers.
  for (const int64_t padded_length : {0, 11}) {
    std::vector<variable_list> results;
    for (const int threads : {1, 2, 3, 7}) {
      torch::set_num_threads(threads);
      const Tensor input_of =
          torch::arange(padded_length == 0 ? rows.size(0) : padded_length * lengths.size(0))
              .clamp_max(rows.size(0) - 1);
      results.push_back(Gradients(
          gru, rows, RunRecurrent(gru, {rows, lengths, padded_length, input_of}), factor));
    }
    torch::set_num_threads(before);
    for (size_t r = 1; r < results.size(); ++r) {
      for (size_t i = 0; i < results[0].size(); ++i) {
        EXPECT_TRUE(torch::equal(results[r][i], results[0][i])) << padded_length << r << i;
      }
    }
  }
}

TEST(RecurrentTest, SecondDerivativesAreRefused) {
  GRU gru(torch::nn::GRUOptions(6, 9));
  const Tensor rows = torch::randn({Sum(kLengths), 6}).requires_grad_();
  const Tensor loss = RunRecurrent(gru, rows, torch::tensor(kLengths)).sum();
  EXPECT_THROW(torch::autograd::grad({loss}, {rows}, {}, true, /*create_graph=*/true), c10::Error);
}

// float64 goes to LibTorch; differences of the loss must be what the gradients promise.
TEST(RecurrentTest, DoubleGradientsAreThoseOfDifferences) {
  GRU gru(torch::nn::GRUOptions(3, 4).num_layers(2).bidirectional(true));
  gru->to(torch::kFloat64);
  const Tensor rows = torch::randn({Sum(kLengths), 3}, torch::kFloat64).requires_grad_();
  const auto loss = [&](const Tensor& x) {
    return RunRecurrent(gru, x, torch::tensor(kLengths)).square().sum();
  };
  const Tensor gradient = torch::autograd::grad({loss(rows)}, {rows})[0];
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-5;  // the error is kStep^2 and 1e-16 / kStep: 1e-10
  for (int64_t i = 0; i < rows.numel(); ++i) {
    Tensor step = torch::zeros_like(rows);
    step.view(-1)[i] = kStep;
    const double slope = (loss(rows + step) - loss(rows - step)).item<double>() / (2 * kStep);
    EXPECT_NEAR(gradient.view(-1)[i].item<double>(), slope, 1e-8) << i;
  }
}

TEST(RecurrentTest, WithoutBiasOrWithProjectionAsLibTorch) {
  const Tensor rows = torch::randn({Sum(kLengths), 6});
  GRU gru(torch::nn::GRUOptions(6, 9).bias(false));
  EXPECT_TRUE(torch::equal(RunRecurrent(gru, rows, torch::tensor(kLengths)),
                           LibTorch(gru, rows, kLengths)));
  LSTM lstm(torch::nn::LSTMOptions(6, 9).proj_size(4));
  EXPECT_TRUE(torch::equal(RunRecurrent(lstm, rows, torch::tensor(kLengths)),
                           LibTorch(lstm, rows, kLengths)));
}

TEST(RecurrentTest, HugeInputsSaturateAndNanStaysInItsConversation) {
  GRU gru(torch::nn::GRUOptions(6, 20).bidirectional(true));
  LSTM lstm(torch::nn::LSTMOptions(6, 20).bidirectional(true));
  Tensor rows = 1e20 * torch::randn({Sum(kLengths), 6});
  rows.narrow(0, 3, 1).fill_(std::numeric_limits<float>::quiet_NaN());  // conversation 1
  for (const Tensor& output : {RunRecurrent(gru, rows, torch::tensor(kLengths)),
                               RunRecurrent(lstm, rows, torch::tensor(kLengths))}) {
    const Tensor finite = output.isfinite().all(1);
    EXPECT_FALSE(finite[3].item<bool>());
    EXPECT_EQ(finite.sum().item<int64_t>(), Sum(kLengths) - 1);
  }
  ExpectClose(RunRecurrent(gru, rows.nan_to_num(), torch::tensor(kLengths)),
              LibTorch(gru, rows.nan_to_num(), kLengths), "saturated");
}

TEST(RecurrentTest, ShapesAreChecked) {
  GRU gru(torch::nn::GRUOptions(6, 9));
  const Tensor rows = torch::randn({5, 6});
  EXPECT_THROW(RunRecurrent(gru, rows, torch::tensor({2L, 2L})), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, rows, torch::tensor({5L, 0L})), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, rows, torch::tensor({6L, -1L})), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, rows, torch::empty({0}, torch::kInt64)), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, rows, torch::tensor({5.0F})), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, torch::randn({5, 7}), torch::tensor({5L})), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, torch::randn({1, 5, 6}), torch::tensor({5L})), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, {rows, torch::tensor({5L}), 4}), c10::Error);
  EXPECT_THROW(RunRecurrent(gru, {rows, torch::tensor({4L}), 6}), c10::Error);
  const auto one_row_of = [&](const std::vector<int64_t>& input_of) {
    RunRecurrent(gru, {rows, torch::tensor({5L}), 0, torch::tensor(input_of)});
  };
  EXPECT_NO_THROW(one_row_of({0, 0, 2, 1, 4}));
  EXPECT_THROW(one_row_of({0, 1, 2, 3}), c10::Error);
  EXPECT_THROW(one_row_of({0, 1, 2, 3, 5}), c10::Error);
  EXPECT_THROW(one_row_of({0, 2, 2, 3, 4}), c10::Error);
  EXPECT_THROW(one_row_of({0, 1, 2, 3, -1}), c10::Error);
}

// One step of one unit is tanh(x) by construction: update gate 0, no hidden state.
TEST(RecurrentTest, TanhIsWithinTwoUnitsInTheLastPlace) {
  GRU gru(torch::nn::GRUOptions(1, 1));
  torch::NoGradGuard no_grad;
  for (Tensor& parameter : gru->parameters()) parameter.zero_();
  gru->named_parameters()["weight_ih_l0"][2][0] = 1;
  gru->named_parameters()["bias_ih_l0"][1] = -200;  // sigmoid: below 1e-37
  const Tensor x = torch::cat({torch::logspace(-30, 1.5, 20000), torch::linspace(0, 12, 20000)});
  const Tensor rows = torch::cat({x, -x}).unsqueeze(1);
  const Tensor lengths = torch::ones({rows.size(0)}, torch::kInt64);
  const Tensor got = RunRecurrent(gru, rows, lengths).to(torch::kFloat64);
  const Tensor want = rows.to(torch::kFloat64).tanh();
  // A unit in the last place is between 6e-8 and 1.2e-7 of the value.
  EXPECT_LE(((got - want).abs() / want.abs().clamp_min(1e-37)).max().item<double>(), 1.8e-7);
}

}  // namespace
}  // namespace cmerc
