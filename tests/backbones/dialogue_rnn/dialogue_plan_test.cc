// The plan of DialogueRNN's recurrence, at small cases by hand.
#include "backbones/dialogue_rnn/dialogue_plan.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace cmerc {
namespace {

using Numbers = std::vector<int64_t>;

TEST(DialoguePlanTest, PositionsGoFromStepToStepLongestConversationsFirst) {
  // Conversations of 1, 3 and 2 utterances; their rows are 0, 1 to 3 and 4 to 5.
  const DialoguePlan plan({1, 3, 2}, {0, 0, 0, 0, 0, 0}, /*listeners=*/false);
  EXPECT_EQ(plan.first_position, Numbers({0, 3, 5, 6}));
  EXPECT_EQ(plan.directions[0].row, Numbers({1, 4, 0, 2, 5, 3}));
  EXPECT_EQ(plan.directions[1].row, Numbers({3, 5, 0, 2, 4, 1}));
  EXPECT_EQ(plan.first_past, Numbers({0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(plan.num_past, 4);
  // The two shorter conversations at the second step.
  const DialoguePlan::Block block = plan.PositionsAt(1, {1, 3});
  EXPECT_EQ(block.first, 4);
  EXPECT_EQ(block.count, 1);
  EXPECT_EQ(plan.PositionsAt(2, {1, 3}).count, 0);
}

TEST(DialoguePlanTest, StatesOfAPartyAreAChain) {
  // Speakers 7, 2, 7, 7, 2.
  const DialoguePlan plan({5}, {7, 2, 7, 7, 2}, /*listeners=*/false);
  EXPECT_EQ(plan.directions[0].source, Numbers({-1, -1, 0, 2, 1}));
  EXPECT_EQ(plan.directions[1].source, Numbers({-1, -1, 1, 0, 2}));
  EXPECT_TRUE(plan.directions[0].listener_source.empty());
}

TEST(DialoguePlanTest, WhoSpeaksAgainListens) {
  const DialoguePlan plan({4}, {7, 2, 7, 2}, /*listeners=*/true);
  const DialoguePlan::Direction& forward = plan.directions[0];
  // 2 listens at position 0 (state 4), 7 at 1 (state 5) and 2 at 2 (state 6); at 3 nobody who would
  // speak again.
  EXPECT_EQ(forward.first_listener, Numbers({0, 1, 2, 3, 3}));
  EXPECT_EQ(forward.listener_position, Numbers({0, 1, 2}));
  EXPECT_EQ(forward.listener_source, Numbers({-1, 0, 1}));
  EXPECT_EQ(forward.source, Numbers({-1, 4, 5, 6}));
}

TEST(DialoguePlanTest, StatesOfCopiesAreThoseOfTheFirstAlone) {
  // Conversations of 1, 3, 2 and 3 utterances, and the same again; 5 and 8 speak in turns.
  const Numbers lengths = {1, 3, 2, 3};
  const Numbers speakers = {5, 5, 8, 5, 8, 5, 8, 5, 8};
  const auto twice = [](Numbers numbers) {
    const Numbers once = numbers;
    numbers.insert(numbers.end(), once.begin(), once.end());
    return numbers;
  };
  const DialoguePlan alone(lengths, speakers, /*listeners=*/true);
  const DialoguePlan copies(twice(lengths), twice(speakers), /*listeners=*/true);
  const int64_t num_rows = alone.num_positions();
  for (const int64_t d : {0, 1}) {
    const DialoguePlan::Direction& of_alone = alone.directions[d];
    const DialoguePlan::Direction& of_copies = copies.directions[d];
    const Numbers states = copies.StatesInFirstCopy(d, 2);
    ASSERT_EQ(states.size(), of_copies.row.size() + of_copies.listener_source.size());
    const auto same = [&](int64_t state) { return state < 0 ? state : states[state]; };
    for (int64_t p = 0; p < 2 * num_rows; ++p) {
      SCOPED_TRACE(testing::Message() << "direction " << d << ", position " << p);
      // The row of the same utterance, whose speaker comes from the same state.
      EXPECT_EQ(of_alone.row[states[p]], of_copies.row[p] % num_rows);
      EXPECT_EQ(of_alone.source[states[p]], same(of_copies.source[p]));
    }
    for (size_t i = 0; i < of_copies.listener_source.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "direction " << d << ", listener " << i);
      const int64_t listener = states[2 * num_rows + i] - num_rows;
      EXPECT_EQ(of_alone.listener_source[listener], same(of_copies.listener_source[i]));
      EXPECT_EQ(of_alone.listener_position[listener], states[of_copies.listener_position[i]]);
    }
    EXPECT_EQ(alone.StatesInFirstCopy(d, 1).back(),
              static_cast<int64_t>(num_rows + of_alone.listener_source.size()) - 1);
  }
}

}  // namespace
}  // namespace cmerc
