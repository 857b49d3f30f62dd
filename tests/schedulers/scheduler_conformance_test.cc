// Laws that every registered scheduler obeys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <numeric>
#include <ostream>
#include <random>

#include "tests/schedulers/scheduler_testing.h"

namespace cmerc {
namespace {

struct Case {
  std::string type;
  std::string options;
};

void PrintTo(const Case& test_case, std::ostream* out) {
  *out << test_case.type << " {" << test_case.options << "}";
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const auto& [type, plugin] : Schedulers().plugins()) cases.push_back({type, ""});
  cases.push_back({"cmerc.BabyStepOptions", "epoch_ratio: 0.013 scheduler_steps: 2"});
  cases.push_back({"cmerc.BabyStepOptions", "epoch_ratio: 1"});
  return cases;
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.type + info.param.options;
  name.erase(std::remove_if(name.begin(), name.end(),
                            [](unsigned char c) { return std::isalnum(c) == 0; }),
             name.end());
  return name;
}

// Far more epochs than any of the cases needs to select everything.
constexpr int64_t kEpochs = 200;

std::vector<float> RandomDifficulties(size_t count) {
  std::mt19937 random(5);
  std::vector<float> difficulty(count);
  // Tenths, so that there are ties.
  for (float& value : difficulty) value = static_cast<float>(random() % 10) / 10;
  return difficulty;
}

class SchedulerConformanceTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    auto scheduler = SchedulerFromText(GetParam().type, GetParam().options);
    ASSERT_TRUE(scheduler.ok()) << scheduler.status();
    scheduler_ = *std::move(scheduler);
  }

  std::unique_ptr<Scheduler> scheduler_;
};

TEST_P(SchedulerConformanceTest, SelectsAscendingIndicesWithoutRepeatsAndNeverNone) {
  for (const size_t count : {1, 2, 7, 120}) {
    const std::vector<float> difficulty = RandomDifficulties(count);
    for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
      const std::vector<int64_t> selected = scheduler_->Select(epoch, difficulty);
      ASSERT_FALSE(selected.empty()) << "epoch " << epoch << " of " << count;
      EXPECT_EQ(std::adjacent_find(selected.begin(), selected.end(), std::greater_equal<int64_t>()),
                selected.end())
          << "epoch " << epoch << " of " << count;
      EXPECT_GE(selected.front(), 0);
      EXPECT_LT(selected.back(), static_cast<int64_t>(count));
    }
  }
}

TEST_P(SchedulerConformanceTest, EachEpochContainsTheOneBefore) {
  const std::vector<float> difficulty = RandomDifficulties(120);
  std::vector<int64_t> before;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    std::vector<int64_t> selected = scheduler_->Select(epoch, difficulty);
    EXPECT_TRUE(std::includes(selected.begin(), selected.end(), before.begin(), before.end()))
        << "epoch " << epoch;
    before = std::move(selected);
  }
}

TEST_P(SchedulerConformanceTest, SelectsEverythingFromSomeEpochOn) {
  std::vector<int64_t> all(120);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(scheduler_->Select(kEpochs, RandomDifficulties(120)), all);
  EXPECT_EQ(scheduler_->Select(int64_t{1} << 62, RandomDifficulties(120)), all);
}

TEST_P(SchedulerConformanceTest, SelectsNothingFromNothing) {
  EXPECT_TRUE(scheduler_->Select(0, {}).empty());
}

TEST_P(SchedulerConformanceTest, IgnoresDifficultiesThatItDoesNotNeed) {
  if (scheduler_->needs_difficulty()) return;
  const std::vector<float> zeros(120, 0.0F);
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    EXPECT_EQ(scheduler_->Select(epoch, zeros), scheduler_->Select(epoch, RandomDifficulties(120)));
  }
}

INSTANTIATE_TEST_SUITE_P(AllSchedulers, SchedulerConformanceTest, testing::ValuesIn(Cases()),
                         CaseName);

TEST(SchedulerLinkageTest, TheBundleLinksTheseSchedulers) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Schedulers().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.AntiOptions", "cmerc.BabyStepOptions", "cmerc.ConstantOptions", "cmerc.GeometricOptions", "cmerc.LinearOptions", "cmerc.RootOptions"}));
}

}  // namespace
}  // namespace cmerc
