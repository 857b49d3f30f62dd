#include "calibration/random_removal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using torch::Tensor;

double Share(const Tensor& bools) { return bools.to(torch::kFloat64).mean().item<double>(); }

TEST(RemoveAtRandomTest, TakesTheShareThatIsAskedForAndLeavesOne) {
  const Tensor all = torch::ones({20000, 3}, torch::kBool);
  for (const double rate : {0.0, 0.1, 0.5, 0.66, 0.9}) {
    std::mt19937 random = RandomOf(7, "dialogue");
    const Tensor left = RemoveAtRandom(all, rate, random);
    EXPECT_GE(left.sum(1).min().item<int64_t>(), 1) << rate;
    // Of 20000 utterances a share is known to .0035 (one deviation).
    for (int64_t m = 0; m < 3; ++m) {
      EXPECT_NEAR(1 - Share(left.select(1, m)), std::min(rate, 2.0 / 3), 0.0175) << rate;
    }
  }
  EXPECT_TRUE(all.all().item<bool>());
}

TEST(RemoveAtRandomTest, OnlyWhatIsThereCanBeLost) {
  Tensor present = torch::ones({10000, 3}, torch::kBool);
  present.select(1, 1).fill_(false);
  present[0].fill_(false);
  present[1][0] = false;  // it has one, and keeps it
  std::mt19937 random = RandomOf(7, "dialogue");
  const Tensor left = RemoveAtRandom(present, 0.4, random);
  EXPECT_FALSE(left.logical_and(present.logical_not()).any().item<bool>());
  EXPECT_TRUE(left[1][2].item<bool>());
  EXPECT_NEAR(1 - Share(left.select(1, 0)), 0.4, 0.025);
  EXPECT_NEAR(1 - Share(left.select(1, 2)), 0.4, 0.025);
}

TEST(RemoveAtRandomTest, WhatIsLostAtARateIsLostAtEachThatIsHigher) {
  const Tensor all = torch::ones({500, 4}, torch::kBool);
  std::mt19937 few = RandomOf(2, 3, 4), many = RandomOf(2, 3, 4);
  const Tensor at_low = RemoveAtRandom(all, 0.2, few), at_high = RemoveAtRandom(all, 0.6, many);
  EXPECT_FALSE(at_high.logical_and(at_low.logical_not()).any().item<bool>());
  EXPECT_LT(Share(at_high), Share(at_low));
  EXPECT_EQ(few(), many());  // as many numbers were drawn
}

TEST(RemoveAtRandomTest, EveryPlaceHasItsOwnNumbersAndLibTorchsAreLeftAlone) {
  torch::manual_seed(1);
  const Tensor expected = torch::rand({1});
  torch::manual_seed(1);
  std::vector<std::mt19937::result_type> first = {
      RandomOf(1, 2, 3)(), RandomOf(2, 2, 3)(),         RandomOf(1, 3, 3)(),
      RandomOf(1, 2, 4)(), RandomOf(1, 2, 1LL << 40)(), RandomOf(1, "a")(),
      RandomOf(1, "b")(),  RandomOf(1, "")(),           RandomOf(1ULL << 40, "a")()};
  EXPECT_EQ(RandomOf(1, 2, 3)(), first[0]);
  EXPECT_EQ(RandomOf(1, "a")(), first[5]);
  std::sort(first.begin(), first.end());
  EXPECT_EQ(std::unique(first.begin(), first.end()), first.end());
  EXPECT_TRUE(torch::rand({1}).equal(expected));
}

TEST(RemoveAtRandomTest, WhatIsGoneIsFilledInAndSaid) {
  torch::manual_seed(4);
  const Conversation whole = RandomConversation("c", 40);
  Conversation thinned = whole;
  std::mt19937 random = RandomOf(1, 1, 0);
  ASSERT_TRUE(RemoveAtRandom(0.4, {}, StubInfo(), random, thinned).ok());
  ASSERT_TRUE(thinned.present.defined());
  EXPECT_TRUE(LacksAny(thinned));
  for (size_t m = 0; m < 2; ++m) {
    const Tensor rows = RowsWith(thinned, m);
    const Tensor mean = whole.features[m][0].index_select(0, rows).mean(0);
    for (int64_t i = 0; i < 40; ++i) {
      const bool has = thinned.present[i][static_cast<int64_t>(m)].item<bool>();
      EXPECT_TRUE(torch::equal(thinned.features[m][0][i], has ? whole.features[m][0][i] : mean));
    }
  }
  // Of what is left, half is lost once more; the mean is over the rest alone.
  Conversation twice = thinned;
  ASSERT_TRUE(RemoveAtRandom(0.4, ZeroMeans(StubInfo()), StubInfo(), random, twice).ok());
  EXPECT_FALSE(twice.present.logical_and(thinned.present.logical_not()).any().item<bool>());
  EXPECT_LT(Share(twice.present), Share(thinned.present));
}

TEST(ThinOutTest, TakesOfTheseConversationsAlone) {
  PreparedData data = StubData();
  data.means = ZeroMeans(data.info);  // a conversation of one utterance can lose all that it has
  const auto thinned = ThinOut(data, data.train, 0.5, 1);
  ASSERT_TRUE(thinned.ok()) << thinned.status();
  EXPECT_EQ(thinned->removed, 0.5);  // one of two, of every utterance
  for (size_t i = 0; i < data.conversations.size(); ++i) {
    const bool of_train =
        std::count(data.train.begin(), data.train.end(), static_cast<int64_t>(i)) > 0;
    EXPECT_EQ(thinned->data.conversations[i].present.defined(), of_train);
    EXPECT_FALSE(data.conversations[i].present.defined());
  }
  // Which other conversations there are does not matter.
  const auto alone = ThinOut(data, {data.train[2]}, 0.5, 1);
  EXPECT_TRUE(alone->data.conversations[data.train[2]].present.equal(
      thinned->data.conversations[data.train[2]].present));
  const Batch batch = thinned->data.MakeBatch(data.train).value();
  EXPECT_FALSE(batch.evidence.narrow(2, 0, 2).all().item<bool>());
}

TEST(ThinOutTest, RefusesWhereNothingCanBeRemoved) {
  PreparedData data = StubData();
  data.means = ZeroMeans(data.info);
  for (Conversation& conversation : data.conversations) {
    conversation.present = torch::ones({conversation.length(), 2}, torch::kBool);
    conversation.present.select(1, 0).fill_(false);
  }
  const absl::Status status = ThinOut(data, data.test, 0.5, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nothing can be removed"));
}

}  // namespace
}  // namespace cmerc
