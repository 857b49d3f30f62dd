// The loops of DialogueRNN's recurrence by themselves; dialogue_recurrence_test.cc has the whole.
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
  kernels::AttentionQuery<double> query() const {
    return {vector.data(), state.data(), static_cast<int64_t>(state.size()), kWidth};
  }
  // factor . gathered
  double Total() const {
    Row alpha(state.size()), gathered(kWidth);
    kernels::Attend(query(), states.data(), alpha.data(), gathered.data());
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
  kernels::Attend(all.query(), all.states.data(), alpha.data(), gathered.data());
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
  kernels::Attend(none.query(), none.states.data(), alpha.data(), gathered.data());
  EXPECT_EQ(alpha, Row({0, 0}));
  EXPECT_EQ(gathered, Row(kWidth, 0));
  Row scratch(2), d_query(kWidth, 7);
  Row d_states(kStates * kWidth, 7);
  kernels::AttendBackward(none.query(), none.states.data(), alpha.data(), none.factor.data(),
                          scratch.data(), d_states.data(), d_query.data());
  EXPECT_EQ(d_query, Row(kWidth, 0));
  EXPECT_EQ(d_states, Row(kStates * kWidth, 7));
}

TEST(DialogueRnnKernelsTest, GradientsOfAttentionAreDifferences) {
  Case all;
  Row alpha(3), gathered(kWidth), scratch(3), d_query(kWidth);
  Row d_states(kStates * kWidth, 1);  // what is added to
  kernels::Attend(all.query(), all.states.data(), alpha.data(), gathered.data());
  kernels::AttendBackward(all.query(), all.states.data(), alpha.data(), all.factor.data(),
                          scratch.data(), d_states.data(), d_query.data());
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

// Rows of any width, for each type of number. What they hold are small integers and halves of them,
// with which arithmetic is exact. A number behind the end of a row is kNotWritten.
template <typename T>
class RowsOfAnyWidthTest : public testing::Test {
 protected:
  static constexpr T kNotWritten = 7;
  static constexpr int64_t kMaxWidth = 67;  // more than four vectors of AVX-512

  // Numbers from -2 to 2.
  static std::vector<T> Integers(int64_t size, int64_t seed) {
    std::vector<T> row(size);
    for (int64_t i = 0; i < size; ++i) row[i] = static_cast<T>((3 * i + seed) % 5 - 2);
    return row;
  }

  static std::vector<T> NotWritten(int64_t size) { return std::vector<T>(size + 1, kNotWritten); }
};

using Numbers = testing::Types<float, double>;
TYPED_TEST_SUITE(RowsOfAnyWidthTest, Numbers);

TYPED_TEST(RowsOfAnyWidthTest, AreAddedToTheEnd) {
  for (int64_t width = 1; width <= this->kMaxWidth; ++width) {
    const auto from = this->Integers(width, 1);
    auto to = this->NotWritten(width);
    kernels::AddScaled<TypeParam>(0.5, from.data(), width, to.data());
    for (int64_t j = 0; j < width; ++j) {
      ASSERT_EQ(to[j], this->kNotWritten + from[j] / 2) << j << " of " << width;
    }
    ASSERT_EQ(to[width], this->kNotWritten) << width;
  }
}

TYPED_TEST(RowsOfAnyWidthTest, AreSteppedToTheEnd) {
  using T = TypeParam;
  for (int64_t width = 1; width <= this->kMaxWidth; ++width) {
    const auto input = this->Integers(3 * width, 1), more = this->Integers(3 * width, 2);
    const auto sums = this->Integers(3 * width, 3), bias = this->Integers(3 * width, 0);
    const auto before = this->Integers(width, 4);
    const kernels::GruInputs<T> row = {input.data(), more.data(), sums.data(), bias.data()};
    auto gates = this->NotWritten(2 * width), gated = this->NotWritten(width);
    auto fresh = this->NotWritten(width), state = this->NotWritten(width);
    kernels::StartGruGates(row, width, gates.data(), gated.data());
    kernels::StartGruFresh(row, gates.data(), gated.data(), width, fresh.data());
    kernels::FinishGruState(gates.data() + width, fresh.data(), before.data(), width, state.data());
    for (int64_t j = 0; j < width; ++j) {
      const int64_t z = width + j, n = 2 * width + j;
      const T reset = input[j] + more[j] + sums[j] + bias[j];
      const T update = input[z] + more[z] + sums[z] + bias[z];
      ASSERT_EQ(gates[j], reset) << j << " of " << width;
      ASSERT_EQ(gates[z], update) << j << " of " << width;
      ASSERT_EQ(gated[j], sums[n] + bias[n]) << j << " of " << width;
      ASSERT_EQ(fresh[j], input[n] + more[n] + reset * gated[j]) << j << " of " << width;
      ASSERT_EQ(state[j], (before[j] - fresh[j]) * update + fresh[j]) << j << " of " << width;
    }
    ASSERT_EQ(gates[2 * width], this->kNotWritten) << width;
    for (const auto& written : {gated, fresh, state}) {
      ASSERT_EQ(written[width], this->kNotWritten) << width;
    }
  }
}

TYPED_TEST(RowsOfAnyWidthTest, AreSteppedBackToTheEnd) {
  using T = TypeParam;
  for (int64_t width = 1; width <= this->kMaxWidth; ++width) {
    const auto gates = this->Integers(2 * width, 1), fresh = this->Integers(width, 2);
    const auto gated = this->Integers(width, 3), before = this->Integers(width, 4);
    const auto gradient = this->Integers(width, 0);
    auto d_state = gradient;
    d_state.push_back(this->kNotWritten);
    auto d_input = this->NotWritten(3 * width), d_sums = this->NotWritten(3 * width);
    kernels::GruRowBackward<T>({gates.data(), fresh.data(), gated.data(), before.data()}, width,
                               d_state.data(), d_input.data(), d_sums.data());
    for (int64_t j = 0; j < width; ++j) {
      const T reset = gates[j], update = gates[width + j];
      const T d_fresh = gradient[j] * (1 - update) * (1 - fresh[j] * fresh[j]);
      const T d_reset = d_fresh * gated[j] * reset * (1 - reset);
      const T d_update = gradient[j] * (before[j] - fresh[j]) * update * (1 - update);
      ASSERT_EQ(d_input[j], d_reset) << j << " of " << width;
      ASSERT_EQ(d_input[width + j], d_update) << j << " of " << width;
      ASSERT_EQ(d_input[2 * width + j], d_fresh) << j << " of " << width;
      ASSERT_EQ(d_sums[j], d_reset) << j << " of " << width;
      ASSERT_EQ(d_sums[width + j], d_update) << j << " of " << width;
      ASSERT_EQ(d_sums[2 * width + j], d_fresh * reset) << j << " of " << width;
      ASSERT_EQ(d_state[j], gradient[j] * update) << j << " of " << width;
    }
    ASSERT_EQ(d_state[width], this->kNotWritten) << width;
    ASSERT_EQ(d_input[3 * width], this->kNotWritten) << width;
    ASSERT_EQ(d_sums[3 * width], this->kNotWritten) << width;
  }
}

// A query of zeros weighs two states alike, of which one is zero too.
TYPED_TEST(RowsOfAnyWidthTest, AreAttendedToTheEnd) {
  using T = TypeParam;
  const std::vector<int64_t> past = {0, 1};
  for (int64_t width = 1; width <= this->kMaxWidth; ++width) {
    const std::vector<T> zero(width);
    auto states = this->Integers(width, 1);
    states.resize(2 * width);
    const auto d_gathered = this->Integers(width, 2);
    const kernels::AttentionQuery<T> query = {zero.data(), past.data(), 2, width};
    std::vector<T> alpha(2), scratch(2), d_states(2 * width);
    auto gathered = this->NotWritten(width), d_query = this->NotWritten(width);
    kernels::Attend(query, states.data(), alpha.data(), gathered.data());
    kernels::AttendBackward(query, states.data(), alpha.data(), d_gathered.data(), scratch.data(),
                            d_states.data(), d_query.data());
    T product = 0;
    for (int64_t j = 0; j < width; ++j) product += d_gathered[j] * states[j];
    ASSERT_EQ(alpha, std::vector<T>({0.5, 0.5})) << width;
    for (int64_t j = 0; j < width; ++j) {
      ASSERT_EQ(gathered[j], states[j] / 2) << j << " of " << width;
      ASSERT_EQ(d_query[j], product / 4 * states[j]) << j << " of " << width;
      ASSERT_EQ(d_states[j], d_gathered[j] / 2) << j << " of " << width;
    }
    ASSERT_EQ(gathered[width], this->kNotWritten) << width;
    ASSERT_EQ(d_query[width], this->kNotWritten) << width;
  }
}

}  // namespace
}  // namespace cmerc::dialogue_rnn
