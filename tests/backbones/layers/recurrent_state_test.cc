// Utterance by utterance, a recurrent network says what it says of the whole conversation.
#include "backbones/layers/recurrent_state.h"

#include <gtest/gtest.h>

#include "backbones/layers/growing_rows.h"
#include "backbones/layers/recurrent.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr double kTolerance = 1e-6;  // float32 in another order

template <typename Module, typename Options>
void ExpectSameRows() {
  torch::manual_seed(6);
  Module module(Options(5, 4).num_layers(2).dropout(0.5));
  module->eval();
  const torch::NoGradGuard no_grad;
  const Tensor inputs = torch::randn({9, 5});
  const Tensor want = RunRecurrent(module, inputs, torch::tensor({int64_t{9}}));
  RecurrentState state, other;
  other.Step(module, torch::randn({1, 5}));  // states are of a conversation each
  for (int64_t i = 0; i < 9; ++i) {
    const Tensor got = state.Step(module, inputs.narrow(0, i, 1));
    ASSERT_EQ(got.sizes(), (torch::IntArrayRef{1, 4}));
    EXPECT_LE((got[0] - want[i]).abs().max().item<double>(), kTolerance) << i;
  }
}

TEST(RecurrentStateTest, StepsAreTheRowsOfTheWhole) {
  ExpectSameRows<torch::nn::GRU, torch::nn::GRUOptions>();
  ExpectSameRows<torch::nn::LSTM, torch::nn::LSTMOptions>();
}

TEST(RecurrentStateTest, ANetworkThatRunsBackwardsIsRefused) {
  const torch::nn::GRU both_ways(torch::nn::GRUOptions(5, 4).bidirectional(true));
  RecurrentState state;
  EXPECT_THROW(state.Step(both_ways, torch::zeros({1, 5})), c10::Error);
}

TEST(GrowingRowsTest, RowsComeOneAfterTheOther) {
  const Tensor all = torch::randn({70, 3});
  GrowingRows rows;
  EXPECT_EQ(rows.count(), 0);
  for (int64_t i = 0; i < 70; ++i) {
    rows.Append(all.narrow(0, i, 1));
    ASSERT_EQ(rows.count(), i + 1);
    ASSERT_TRUE(rows.rows().equal(all.narrow(0, 0, i + 1))) << i;
  }
}

}  // namespace
}  // namespace cmerc
