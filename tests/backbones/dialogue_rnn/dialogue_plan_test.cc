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

}  // namespace
}  // namespace cmerc
