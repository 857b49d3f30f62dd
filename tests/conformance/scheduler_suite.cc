// Laws that every registered scheduler obeys.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "core/scheduler.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

// Far more epochs than a scheduler needs to select everything.
constexpr int64_t kEpochs = 200;

std::vector<float> RandomDifficulties(size_t count) {
  std::mt19937 random(5);
  std::vector<float> difficulty(count);
  // Tenths, so that there are ties.
  for (float& value : difficulty) value = static_cast<float>(random() % 10) / 10;
  return difficulty;
}

class SchedulerLaws : public testing::TestWithParam<PluginCase> {
 protected:
  void SetUp() override {
    auto scheduler = Create(Schedulers(), GetParam());
    ASSERT_TRUE(scheduler.ok()) << scheduler.status();
    scheduler_ = *std::move(scheduler);
  }

  std::unique_ptr<Scheduler> scheduler_;
};

TEST_P(SchedulerLaws, SelectsAscendingIndicesWithoutRepeatsAndNeverNone) {
  for (const size_t count : {1, 2, 7, 120}) {
    const std::vector<float> difficulty = RandomDifficulties(count);
    for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
      const std::vector<int64_t> selected = scheduler_->Select(epoch, difficulty);
      ASSERT_FALSE(selected.empty()) << "epoch " << epoch << " of " << count << " conversations";
      ASSERT_EQ(std::adjacent_find(selected.begin(), selected.end(), std::greater_equal<int64_t>()),
                selected.end())
          << "epoch " << epoch << " of " << count << " conversations";
      ASSERT_GE(selected.front(), 0);
      ASSERT_LT(selected.back(), static_cast<int64_t>(count));
    }
  }
}

TEST_P(SchedulerLaws, EachEpochContainsTheOneBefore) {
  const std::vector<float> difficulty = RandomDifficulties(120);
  std::vector<int64_t> before;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    std::vector<int64_t> selected = scheduler_->Select(epoch, difficulty);
    ASSERT_TRUE(std::includes(selected.begin(), selected.end(), before.begin(), before.end()))
        << "epoch " << epoch;
    before = std::move(selected);
  }
}

TEST_P(SchedulerLaws, SelectsEverythingFromSomeEpochOn) {
  std::vector<int64_t> all(120);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(scheduler_->Select(kEpochs, RandomDifficulties(120)), all);
  EXPECT_EQ(scheduler_->Select(int64_t{1} << 62, RandomDifficulties(120)), all);
}

TEST_P(SchedulerLaws, SelectsTheSameAgain) {
  const std::vector<float> difficulty = RandomDifficulties(120);
  for (const int64_t epoch : {3, 0, 3}) {
    const std::vector<int64_t> selected = scheduler_->Select(epoch, difficulty);
    EXPECT_EQ(scheduler_->Select(epoch, difficulty), selected) << "epoch " << epoch;
  }
}

TEST_P(SchedulerLaws, SelectsNothingFromNothing) { EXPECT_TRUE(scheduler_->Select(0, {}).empty()); }

TEST_P(SchedulerLaws, IgnoresDifficultiesThatItDoesNotNeed) {
  if (scheduler_->needs_difficulty()) return;
  const std::vector<float> zeros(120, 0.0F);
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    ASSERT_EQ(scheduler_->Select(epoch, zeros), scheduler_->Select(epoch, RandomDifficulties(120)))
        << "epoch " << epoch;
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, SchedulerLaws, testing::ValuesIn(CasesOf(Schedulers())),
                         CaseName);

TEST(SchedulerSuite, HasSomethingToTest) { ExpectSomethingToTest(Schedulers()); }

}  // namespace
}  // namespace cmerc::conformance
