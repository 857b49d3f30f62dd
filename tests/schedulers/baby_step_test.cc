#include <gtest/gtest.h>

#include "tests/schedulers/scheduler_testing.h"

namespace cmerc {
namespace {

std::vector<size_t> Counts(const std::string& options, size_t conversations, int64_t epochs) {
  const auto scheduler = SchedulerFromText("cmerc.BabyStepOptions", options);
  EXPECT_TRUE(scheduler.ok()) << scheduler.status();
  std::vector<size_t> counts;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    counts.push_back((*scheduler)->Select(epoch, std::vector<float>(conversations, 0.5F)).size());
  }
  return counts;
}

using Sizes = std::vector<size_t>;

TEST(BabyStepTest, KeepsAsManyAsTheOfficialCode) {
  EXPECT_EQ(Counts("epoch_ratio: 0.15", 120, 8), (Sizes{18, 36, 54, 72, 90, 108, 120, 120}));
  EXPECT_EQ(Counts("epoch_ratio: 0.4", 1152, 4), (Sizes{460, 921, 1152, 1152}));
}

TEST(BabyStepTest, TruncatesTheProductOfDoubles) {
  // 0.7 * 90 is 62.99999999999999 in double.
  EXPECT_EQ(Counts("epoch_ratio: 0.7", 90, 2), (Sizes{62, 90}));
}

TEST(BabyStepTest, RoundsTheRatioAsPythonDoes) {
  // round(x, 2) of the exact value of each double; of 0.125, a true tie, to the even digit.
  EXPECT_EQ(Counts("epoch_ratio: 0.015", 1000, 1), (Sizes{10}));   // 0.01499999999999999944
  EXPECT_EQ(Counts("epoch_ratio: 0.025", 1000, 1), (Sizes{30}));   // 0.02500000000000000139
  EXPECT_EQ(Counts("epoch_ratio: 0.125", 1000, 1), (Sizes{120}));  // 0.125
  EXPECT_EQ(Counts("epoch_ratio: 0.375", 1000, 1), (Sizes{380}));  // 0.375
  EXPECT_EQ(Counts("epoch_ratio: 0.999", 1000, 1), (Sizes{1000}));
}

TEST(BabyStepTest, StepsEverySoManyEpochs) {
  EXPECT_EQ(Counts("epoch_ratio: 0.5 scheduler_steps: 3", 10, 7), (Sizes{5, 5, 5, 10, 10, 10, 10}));
}

TEST(BabyStepTest, TrainsOnOneConversationAtLeast) {
  EXPECT_EQ(Counts("epoch_ratio: 0.001", 50, 1), (Sizes{1}));
  EXPECT_EQ(Counts("epoch_ratio: 0.15", 3, 1), (Sizes{1}));
}

TEST(BabyStepTest, TakesTheEasiestAndOfEqualOnesTheFirst) {
  const auto scheduler = SchedulerFromText("cmerc.BabyStepOptions", "epoch_ratio: 0.5");
  ASSERT_TRUE(scheduler.ok()) << scheduler.status();
  EXPECT_TRUE((*scheduler)->needs_difficulty());
  const std::vector<float> difficulty = {0.9F, 0.3F, 0.1F, 0.3F, 0.3F, 0.2F};
  EXPECT_EQ((*scheduler)->Select(0, difficulty), (std::vector<int64_t>{1, 2, 5}));
}

TEST(BabyStepTest, RefusesBadOptions) {
  const auto refusal = [](const std::string& options) {
    return std::string(SchedulerFromText("cmerc.BabyStepOptions", options).status().message());
  };
  EXPECT_EQ(refusal("epoch_ratio: 0"), "cmerc.BabyStepOptions: epoch_ratio = 0, must be in (0, 1]");
  EXPECT_EQ(refusal("epoch_ratio: 1.5"),
            "cmerc.BabyStepOptions: epoch_ratio = 1.5, must be in (0, 1]");
  EXPECT_EQ(refusal("epoch_ratio: nan"),
            "cmerc.BabyStepOptions: epoch_ratio = nan, must be finite and in (0, 1]");
  EXPECT_EQ(refusal("scheduler_steps: 0"),
            "cmerc.BabyStepOptions: scheduler_steps = 0, must be >= 1");
}

}  // namespace
}  // namespace cmerc
