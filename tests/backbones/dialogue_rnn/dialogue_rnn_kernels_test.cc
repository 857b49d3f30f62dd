// The loops of DialogueRNN's recurrence by themselves; dialogue_rnn_test.cc has the whole.
#include "kernels/cpu/dialogue_rnn_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace cmerc::dialogue_rnn {
namespace {

using Row = std::vector<double>;

Row Random(int64_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Row row(size);
  for (double& x : row) x = normal(generator);
  return row;
}

constexpr int64_t kWidth = 5;
constexpr int64_t kStates = 4;

// An utterance that may draw on the states 3 and 0, and not on what lies between.
struct Case {
  AttentionQuery<double> query() const {
    return {vector.data(), state.data(), static_cast<int64_t>(state.size()), kWidth};
  }
  // factor . gathered
  double Total() const {
    Row alpha(state.size()), gathered(kWidth);
    Attend(query(), states.data(), alpha.data(), gathered.data());
    double total = 0;
    for (int64_t i = 0; i < kWidth; ++i) total += factor[i] * gathered[i];
    return total;
  }

  Row vector = Random(kWidth, 1);
  Row states = Random(kStates * kWidth, 2);
  Row factor = Random(kWidth, 3);
  std::vector<int64_t> state = {3, -1, 0};
};

TEST(DialogueRnnKernelsTest, AttentionIsTheSoftmaxOverTheContext) {
  const Case all;
  double score[2] = {0, 0};
  for (int64_t i = 0; i < kWidth; ++i) {
    score[0] += all.vector[i] * all.states[3 * kWidth + i];
    score[1] += all.vector[i] * all.states[i];
  }
  const double share = 1 / (1 + std::exp(score[1] - score[0]));
  Row alpha(3, 7), gathered(kWidth, 7);
  Attend(all.query(), all.states.data(), alpha.data(), gathered.data());
  EXPECT_NEAR(alpha[0], share, 1e-15);
  EXPECT_EQ(alpha[1], 0);
  EXPECT_NEAR(alpha[2], 1 - share, 1e-15);
  for (int64_t i = 0; i < kWidth; ++i) {
    EXPECT_NEAR(gathered[i], share * all.states[3 * kWidth + i] + (1 - share) * all.states[i],
                1e-14);
  }
}

TEST(DialogueRnnKernelsTest, WithoutContextNothingIsGathered) {
  Case none;
  none.state = {-1, -1};
  Row alpha(2, 7), gathered(kWidth, 7);
  Attend(none.query(), none.states.data(), alpha.data(), gathered.data());
  EXPECT_EQ(alpha, Row({0, 0}));
  EXPECT_EQ(gathered, Row(kWidth, 0));
  Row scratch(2), d_query(kWidth, 7);
  Row d_states(kStates * kWidth, 7);
  AttendBackward(none.query(), none.states.data(), alpha.data(), none.factor.data(), scratch.data(),
                 d_states.data(), d_query.data());
  EXPECT_EQ(d_query, Row(kWidth, 0));
  EXPECT_EQ(d_states, Row(kStates * kWidth, 7));
}

TEST(DialogueRnnKernelsTest, GradientsOfAttentionAreDifferences) {
  Case all;
  Row alpha(3), gathered(kWidth), scratch(3), d_query(kWidth);
  Row d_states(kStates * kWidth, 1);  // what is added to
  Attend(all.query(), all.states.data(), alpha.data(), gathered.data());
  AttendBackward(all.query(), all.states.data(), alpha.data(), all.factor.data(), scratch.data(),
                 d_states.data(), d_query.data());
  constexpr double kStep = 1e-5;
  const auto difference = [&](double& x) {
    const double before = x;
    x = before + kStep;
    const double above = all.Total();
    x = before - kStep;
    const double below = all.Total();
    x = before;
    return (above - below) / (2 * kStep);
  };
  for (int64_t i = 0; i < kWidth; ++i) {
    EXPECT_NEAR(d_query[i], difference(all.vector[i]), 1e-8) << i;
  }
  for (int64_t i = 0; i < kStates * kWidth; ++i) {
    EXPECT_NEAR(d_states[i], 1 + difference(all.states[i]), 1e-8) << i;
  }
}

}  // namespace
}  // namespace cmerc::dialogue_rnn
