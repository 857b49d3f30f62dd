// The fast recurrent layers on RecurrentRows: padding that is encoded, conversations of one row,
// and several sets of rows joined.
#include <gtest/gtest.h>
#include <torch/nn/modules/rnn.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "backbones/layers/recurrent.h"
#include "tests/backbones/layers/recurrent_testing.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;
using torch::nn::GRU;
using torch::nn::LSTM;

// rows of positions [B * T, ...] in the order of RecurrentRows.
Tensor UtterancesFirst(const Tensor& positions, const std::vector<int64_t>& lengths,
                       int64_t padded_length) {
  const Tensor valid =
      (torch::arange(padded_length) < torch::tensor(lengths).unsqueeze(1)).flatten();
  return torch::cat({positions.index_select(0, valid.nonzero().squeeze(1)),
                     positions.index_select(0, valid.logical_not().nonzero().squeeze(1))});
}

// What padding reads.
enum class Padding { kRowsOfItsOwn, kOneRow, kLastUtterance };

// Frees memory full of NaNs for the next tensors of as many numbers, which must not be read before
// they are written.
void LeaveNans(std::initializer_list<int64_t> sizes) {
  for (const int64_t size : sizes) {
    torch::full({size}, std::numeric_limits<float>::quiet_NaN());
  }
}

// Padding that is encoded, against LibTorch in float64 on whole conversations of T rows.
template <typename Module, typename Options>
void ExpectPaddingLikeLibTorch(const Options& options, Padding padding) {
  constexpr int64_t kLength = 8;
  const auto num_conversations = static_cast<int64_t>(kLengths.size());
  torch::manual_seed(3);
  Module module(options);
  Module exact(options);
  exact->to(torch::kFloat64);
  CopyParameters(*module, *exact);
  const int64_t num_rows = num_conversations * kLength, num_utterances = Sum(kLengths);
  const int64_t num_inputs = padding == Padding::kRowsOfItsOwn ? num_rows
                             : padding == Padding::kOneRow     ? num_utterances + 1
                                                               : num_utterances;
  const Tensor inputs = torch::randn({num_inputs, options.input_size()}).requires_grad_();
  const Tensor exact_inputs = inputs.detach().to(torch::kFloat64).requires_grad_();
  const Tensor input_of = torch::arange(num_rows).clamp_max(num_inputs - 1);
  const RecurrentRows rows{inputs, torch::tensor(kLengths), kLength,
                           padding == Padding::kRowsOfItsOwn ? Tensor() : input_of};
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
  LeaveNans({num_rows * 27, num_rows * 36, num_rows * 54, num_rows * 72});  // gates
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
  for (const Padding padding :
       {Padding::kRowsOfItsOwn, Padding::kOneRow, Padding::kLastUtterance}) {
    for (const int64_t layers : {1, 2, 3}) {
      for (const bool bidirectional : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << layers << " layers, padding " << static_cast<int>(padding)
                     << ", bidirectional " << bidirectional);
        ExpectPaddingLikeLibTorch<GRU>(
            torch::nn::GRUOptions(6, 9).num_layers(layers).bidirectional(bidirectional), padding);
        ExpectPaddingLikeLibTorch<LSTM>(
            torch::nn::LSTMOptions(6, 9).num_layers(layers).bidirectional(bidirectional), padding);
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

}  // namespace
}  // namespace cmerc
