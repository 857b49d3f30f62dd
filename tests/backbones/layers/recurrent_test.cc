// The fast recurrent layers against LibTorch's, and the laws that LibTorch's do not give: the same
// bits however conversations are divided, and the same results on every instruction set.
#include "backbones/layers/recurrent.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/modules/rnn.h>
#include <torch/nn/utils/rnn.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "backbones/layers/packing.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/recurrent_kernels.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;
using torch::nn::GRU;
using torch::nn::LSTM;
using torch::nn::utils::rnn::PackedSequence;

// Of the largest value. float32 rounds by 6e-8, and a value passes a few tens of roundings.
constexpr double kTolerance = 2e-6;

const std::vector<int64_t> kLengths = {3, 1, 7, 7, 2};

void ExpectClose(const Tensor& got, const Tensor& want, const std::string& what) {
  ASSERT_EQ(got.sizes(), want.sizes()) << what;
  const Tensor difference = (got.to(torch::kFloat64) - want.to(torch::kFloat64)).abs().max();
  EXPECT_LE(difference.item<double>(), kTolerance * (1 + want.abs().max().item<double>())) << what;
}

int64_t Sum(const std::vector<int64_t>& lengths) {
  return torch::tensor(lengths).sum().item<int64_t>();
}

// The module's own forward pass on conversation-major rows.
template <typename Module>
Tensor LibTorch(Module& module, const Tensor& rows, const std::vector<int64_t>& lengths) {
  const Packing::TimeMajor order =
      Packing(torch::tensor(lengths), torch::tensor(lengths).max().item<int64_t>(), torch::kCPU)
          .MakeTimeMajor();
  const PackedSequence sequence(SelectRows(rows, order.order), order.batch_sizes);
  const auto result = module->forward_with_packed_input(sequence);
  return PlaceRows(std::get<0>(result).data(), order.order, rows.size(0));
}

// Copies parameter values; the types may differ.
void CopyParameters(const torch::nn::Module& from, torch::nn::Module& to) {
  const torch::NoGradGuard no_grad;
  for (const auto& parameter : from.named_parameters()) {
    to.named_parameters()[parameter.key()].copy_(parameter.value());
  }
}

// Output, then the gradient of the input and of every parameter, for the loss sum(output * factor).
template <typename Module>
variable_list Gradients(Module& module, const Tensor& rows, const Tensor& output,
                        const Tensor& factor) {
  variable_list of = module->parameters();
  of.insert(of.begin(), rows);
  variable_list result = torch::autograd::grad({(output * factor).sum()}, of);
  result.insert(result.begin(), output.detach());
  return result;
}

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

// rows of positions [B * T, ...] in the order of RecurrentRows.
Tensor UtterancesFirst(const Tensor& positions, const std::vector<int64_t>& lengths,
                       int64_t padded_length) {
  const Tensor valid =
      (torch::arange(padded_length) < torch::tensor(lengths).unsqueeze(1)).flatten();
  return torch::cat({positions.index_select(0, valid.nonzero().squeeze(1)),
                     positions.index_select(0, valid.logical_not().nonzero().squeeze(1))});
}

// Padding that is encoded, all of it the same row or each its own, against LibTorch in float64 on
// whole conversations of T rows.
template <typename Module, typename Options>
void ExpectPaddingLikeLibTorch(const Options& options, bool same_padding) {
  constexpr int64_t kLength = 8;
  const auto num_conversations = static_cast<int64_t>(kLengths.size());
  torch::manual_seed(3);
  Module module(options);
  Module exact(options);
  exact->to(torch::kFloat64);
  CopyParameters(*module, *exact);
  const int64_t num_rows = num_conversations * kLength, num_utterances = Sum(kLengths);
  const int64_t num_inputs = same_padding ? num_utterances + 1 : num_rows;
  const Tensor inputs = torch::randn({num_inputs, options.input_size()}).requires_grad_();
  const Tensor exact_inputs = inputs.detach().to(torch::kFloat64).requires_grad_();
  const Tensor input_of = torch::arange(num_rows).clamp_max(num_inputs - 1);
  const RecurrentRows rows{inputs, torch::tensor(kLengths), kLength,
                           same_padding ? input_of : Tensor()};
  const Tensor output = RunRecurrent(module, rows);
  // From the order of RecurrentRows to positions: the inverse of UtterancesFirst.
  const Tensor row_at = UtterancesFirst(torch::arange(num_rows), kLengths, kLength).argsort();
  const std::vector<int64_t> whole(kLengths.size(), kLength);
  const Tensor exact_output =
      UtterancesFirst(
          LibTorch(exact, exact_inputs.index_select(0, input_of).index_select(0, row_at), whole),
          kLengths, kLength)
          .narrow(0, 0, num_utterances);
  const Tensor factor = torch::randn(output.sizes());
  const variable_list got = Gradients(module, inputs, output, factor);
  const variable_list want =
      Gradients(exact, exact_inputs, exact_output, factor.to(torch::kFloat64));
  for (size_t i = 0; i < got.size(); ++i) ExpectClose(got[i], want[i], std::to_string(i));
  // Without gradients, and by LibTorch.
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(RunRecurrent(module, rows), output));
  ExpectClose(RunRecurrent(exact, {exact_inputs, rows.lengths, kLength, rows.input_of}),
              exact_output, "float64");
}

TEST(RecurrentTest, PaddingIsEncodedAtTheEndOfEveryConversation) {
  for (const bool same_padding : {false, true}) {
    for (const int64_t layers : {1, 2, 3}) {
      for (const bool bidirectional : {false, true}) {
        SCOPED_TRACE(testing::Message() << layers << " layers, " << same_padding << bidirectional);
        ExpectPaddingLikeLibTorch<GRU>(
            torch::nn::GRUOptions(6, 9).num_layers(layers).bidirectional(bidirectional),
            same_padding);
        ExpectPaddingLikeLibTorch<LSTM>(
            torch::nn::LSTMOptions(6, 9).num_layers(layers).bidirectional(bidirectional),
            same_padding);
      }
    }
  }
}

TEST(RecurrentTest, PaddingHasTheMasksOfTheTensorForm) {
  constexpr int64_t kLength = 8;
  const auto num_conversations = static_cast<int64_t>(kLengths.size());
  GRU gru(torch::nn::GRUOptions(6, 9).num_layers(3).bidirectional(true).dropout(0.4));
  const Tensor padded = torch::randn({num_conversations, kLength, 6});
  torch::manual_seed(5);
  const Tensor want = std::get<0>(gru->forward(padded.transpose(0, 1))).transpose(0, 1);
  torch::manual_seed(5);
  const Tensor got = RunRecurrent(gru, {UtterancesFirst(padded.flatten(0, 1), kLengths, kLength),
                                        torch::tensor(kLengths), kLength});
  ExpectClose(got,
              UtterancesFirst(want.flatten(0, 1), kLengths, kLength).narrow(0, 0, Sum(kLengths)),
              "output");
}

TEST(RecurrentTest, ConversationsOfOneRowAreReadOnce) {
  GRU gru(torch::nn::GRUOptions(6, 9).num_layers(2).bidirectional(true));
  const Tensor lengths = torch::tensor(kLengths);
  const Tensor inputs = torch::randn({lengths.size(0), 6}).requires_grad_();
  const Tensor input_of = torch::arange(lengths.size(0)).repeat_interleave(lengths);
  const Tensor want = RunRecurrent(gru, inputs.index_select(0, input_of), lengths);
  const Tensor got = RunRecurrent(gru, {inputs, lengths, 0, input_of});
  const Tensor factor = torch::randn(want.sizes());
  const variable_list want_gradients = Gradients(gru, inputs, want, factor);
  const variable_list got_gradients = Gradients(gru, inputs, got, factor);
  for (size_t i = 0; i < want_gradients.size(); ++i) {
    EXPECT_TRUE(torch::equal(got_gradients[i], want_gradients[i])) << i;
  }
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(RunRecurrent(gru, {inputs, lengths, 0, input_of}), want));
}

// Conversations with rows of their own and conversations of one row, with the same padding.
template <typename Module, typename Options>
void ExpectJoinedLikeApart(const Options& options, int64_t padded_length) {
  torch::manual_seed(4);
  Module module(options);
  const torch::NoGradGuard no_grad;
  const Tensor lengths = torch::tensor(kLengths);
  const int64_t num_utterances = Sum(kLengths);
  const Tensor conversations = torch::arange(lengths.size(0));
  Tensor constant = conversations.repeat_interleave(lengths);
  Tensor ordinary = torch::arange(num_utterances);
  if (padded_length > 0) {
    const Tensor padding = padded_length - lengths;
    constant = torch::cat({constant, conversations.repeat_interleave(padding)});
    ordinary = torch::cat({ordinary, torch::full({padding.sum().item<int64_t>()}, num_utterances)});
  }
  const auto inputs = [&](int64_t count) { return torch::randn({count, options.input_size()}); };
  std::vector<RecurrentRows> parts = {
      {inputs(ordinary.max().item<int64_t>() + 1), lengths, padded_length, ordinary},
      {inputs(lengths.size(0)), lengths, padded_length, constant},
      {inputs(ordinary.size(0)), lengths, padded_length}};
  for (int order = 0; order < 2; ++order) {
    std::vector<Tensor> want;
    for (const RecurrentRows& part : parts) want.push_back(RunRecurrent(module, part));
    EXPECT_TRUE(torch::equal(RunRecurrent(module, Join(parts)), torch::cat(want))) << order;
    std::reverse(parts.begin(), parts.end());
  }
}

TEST(RecurrentTest, JoinedRowsGiveTheSameBitsAsApart) {
  for (const int64_t padded_length : {0, 9}) {
    for (const bool bidirectional : {false, true}) {
      SCOPED_TRACE(testing::Message() << padded_length << bidirectional);
      ExpectJoinedLikeApart<GRU>(
          torch::nn::GRUOptions(6, 9).num_layers(2).bidirectional(bidirectional), padded_length);
      ExpectJoinedLikeApart<LSTM>(
          torch::nn::LSTMOptions(6, 9).num_layers(2).bidirectional(bidirectional), padded_length);
    }
  }
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

// One direction of one layer on given kernels: output, then the three gradients.
variable_list RunKernels(const RecurrentKernels& kernels, int64_t gates, bool reverse,
                         const std::vector<int64_t>& divisions) {
  constexpr int64_t kHidden = 19;
  const std::vector<int64_t> lengths = {9, 9, 8, 6, 6, 6, 5, 4, 3, 3, 3, 2, 1};  // longest first
  const int64_t n = Sum(lengths);
  torch::manual_seed(2);
  const Tensor length = torch::tensor(lengths);
  const Tensor start = length.cumsum(0) - length;
  const Tensor weight = torch::randn({gates * kHidden, kHidden}) / 4;
  const Tensor bias = torch::randn({2, gates * kHidden});
  const Tensor values = torch::randn({n, gates * kHidden});
  const Tensor output_gradient = torch::randn({n, kHidden});
  const Tensor kept = torch::empty({n, kHidden});
  const Tensor output = torch::empty({n, kHidden});
  const Tensor gate_gradient = torch::empty_like(values);
  const Tensor new_gradient = torch::zeros({n, kHidden});
  const Tensor previous = torch::empty({n, kHidden});
  const Tensor packed = torch::empty({kernels.forward_weights_size(kHidden)});
  const Tensor packed_backward = torch::empty({kernels.backward_weights_size(kHidden)});
  const auto data = [](const Tensor& x) { return x.data_ptr<float>(); };
  kernels.pack_forward(kHidden, data(weight), data(bias), data(bias) + gates * kHidden,
                       data(packed));
  kernels.pack_backward(kHidden, data(weight), data(packed_backward));
  const RecurrentForward forward{kHidden,
                                 reverse,
                                 data(packed),
                                 {data(values), gates * kHidden},
                                 {data(kept), kHidden},
                                 {data(output), kHidden}};
  const RecurrentBackward backward{kHidden,
                                   reverse,
                                   data(packed_backward),
                                   {data(values), gates * kHidden},
                                   {data(kept), kHidden},
                                   {data(output), kHidden},
                                   {data(output_gradient), kHidden},
                                   {data(gate_gradient), gates * kHidden},
                                   {data(new_gradient), kHidden},
                                   {data(previous), kHidden}};
  for (size_t i = 0; i + 1 < divisions.size(); ++i) {
    const ConversationRows part{start.data_ptr<int64_t>() + divisions[i],
                                length.data_ptr<int64_t>() + divisions[i],
                                divisions[i + 1] - divisions[i]};
    kernels.forward(forward, part);
    kernels.backward(backward, part);
  }
  return {output, gate_gradient, new_gradient, previous};
}

// The kernels of one kind of cell on every instruction set of this processor.
class RecurrentKernelsTest
    : public testing::TestWithParam<std::tuple<RecurrentCell, int64_t /*instruction set*/>> {
 protected:
  ~RecurrentKernelsTest() override { UseInstructionSet(0); }
  int64_t gates() const { return std::get<0>(GetParam()) == RecurrentCell::kGru ? 3 : 4; }
  const RecurrentKernels& Find() const { return FindOn(std::get<1>(GetParam())); }
  // On the least of all instruction sets.
  const RecurrentKernels& FindBaseline() const { return FindOn(InstructionSets().back()); }

 private:
  static const RecurrentKernels& FindOn(int64_t instruction_set) {
    UseInstructionSet(instruction_set);
    return BestRecurrentKernels(std::get<0>(GetParam()));
  }
};

TEST_P(RecurrentKernelsTest, TheSameBitsHoweverConversationsAreDivided) {
  for (const bool reverse : {false, true}) {
    const variable_list whole = RunKernels(Find(), gates(), reverse, {0, 13});
    const variable_list parts = RunKernels(Find(), gates(), reverse, {0, 1, 3, 6, 13});
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(torch::equal(whole[i], parts[i])) << i;
  }
}

TEST_P(RecurrentKernelsTest, TheSameResultsOnEveryInstructionSet) {
  const RecurrentKernels& baseline = FindBaseline();
  for (const bool reverse : {false, true}) {
    const variable_list got = RunKernels(Find(), gates(), reverse, {0, 13});
    const variable_list want = RunKernels(baseline, gates(), reverse, {0, 13});
    for (size_t i = 0; i < got.size(); ++i) ExpectClose(got[i], want[i], std::to_string(i));
  }
}

// Sizes below, at and above those of tiles and of blocks, as they lie and transposed.
TEST_P(RecurrentKernelsTest, MatrixProductsAreExactToRounding) {
  torch::manual_seed(3);
  for (const int64_t rows : {1, 12, 101}) {
    for (const int64_t columns : {1, 32, 403}) {
      for (const int64_t depth : {1, 256, 261}) {
        for (const bool transposed : {false, true}) {
          const Tensor a = torch::randn({rows, depth});
          const Tensor b = torch::randn({columns, depth});
          const Tensor c = torch::randn({rows, columns});
          const Tensor want =
              c.to(torch::kFloat64) + a.to(torch::kFloat64).mm(b.to(torch::kFloat64).t());
          const Tensor left = transposed ? a.t().contiguous().t() : a;
          const Tensor right = transposed ? b.t().contiguous() : b.t();
          const MatrixProduct product{rows,
                                      columns,
                                      depth,
                                      left.data_ptr<float>(),
                                      left.stride(0),
                                      left.stride(1),
                                      right.data_ptr<float>(),
                                      right.stride(0),
                                      right.stride(1),
                                      c.data_ptr<float>(),
                                      columns,
                                      /*accumulate=*/true};
          const int64_t middle = columns / 64 * 32;
          Find().multiply(product, 0, middle);
          Find().multiply(product, middle, columns);
          // `depth` roundings by 6e-8 of what was added up add up like noise.
          const Tensor bound = 6e-8 * std::sqrt(depth) * (a.abs().mm(b.abs().t()) + c.abs());
          EXPECT_TRUE(((c - want).abs() <= bound).all().item<bool>())
              << rows << " x " << depth << " x " << columns << ": " << (c - want).abs().max();
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentKernelsTest,
                         testing::Combine(testing::Values(RecurrentCell::kGru,
                                                          RecurrentCell::kLstm),
                                          testing::ValuesIn(InstructionSets())));

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
