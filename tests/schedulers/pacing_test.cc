// The numbers of linear, root, geometric and anti, and their laws over options that stretch them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <ostream>
#include <random>

#include "tests/schedulers/scheduler_testing.h"

namespace cmerc {
namespace {

std::unique_ptr<Scheduler> Make(const std::string& type, const std::string& options) {
  auto scheduler = SchedulerFromText(type, options);
  EXPECT_TRUE(scheduler.ok()) << scheduler.status();
  return scheduler.ok() ? *std::move(scheduler) : nullptr;
}

using Sizes = std::vector<size_t>;

// How many of `conversations` are selected in epochs 0, 1, ...
Sizes Counts(const std::string& type, const std::string& options, size_t conversations,
             int64_t epochs) {
  const auto scheduler = Make(type, options);
  Sizes counts;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    counts.push_back(scheduler->Select(epoch, std::vector<float>(conversations, 0.5F)).size());
  }
  return counts;
}

TEST(LinearTest, AddsTheSameShareEveryEpoch) {
  // 1/4, 1/2, 3/4, 1.
  EXPECT_EQ(Counts("cmerc.LinearOptions", "initial_share: 0.25 epochs_to_full: 3", 8, 5),
            (Sizes{2, 4, 6, 8, 8}));
  // 0.5, 0.625, 0.75, 0.875, 1; parts of a conversation are left out.
  EXPECT_EQ(Counts("cmerc.LinearOptions", "initial_share: 0.5 epochs_to_full: 4", 100, 5),
            (Sizes{50, 62, 75, 87, 100}));
}

TEST(RootTest, IsTheSquareRootByDefault) {
  // sqrt of 1/4, 1/2, 3/4, 1: 0.5, 0.7071, 0.8660, 1.
  EXPECT_EQ(Counts("cmerc.RootOptions", "initial_share: 0.5 epochs_to_full: 3", 100, 5),
            (Sizes{50, 70, 86, 100, 100}));
}

TEST(RootTest, TakesTheRootItIsTold) {
  // Cube roots of 1/8, 2/8, ..., 1: 0.5, 0.6300, 0.7211, 0.7937, 0.8550, 0.9086, 0.9565, 1.
  EXPECT_EQ(Counts("cmerc.RootOptions", "initial_share: 0.5 epochs_to_full: 7 power: 3", 100, 8),
            (Sizes{50, 62, 72, 79, 85, 90, 95, 100}));
}

TEST(RootTest, IsLinearForPowerOne) {
  const std::string options = "initial_share: 0.07 epochs_to_full: 13";
  EXPECT_EQ(Counts("cmerc.RootOptions", options + " power: 1", 1152, 14),
            Counts("cmerc.LinearOptions", options, 1152, 14));
}

TEST(RootTest, StartsWithTheInitialShareThoughItsPowerUnderflows) {
  // 0.1^400 is 0 in double; 0.1 * 100 is 10 exactly.
  EXPECT_EQ(Counts("cmerc.RootOptions", "initial_share: 0.1 power: 400", 100, 1), (Sizes{10}));
}

TEST(GeometricTest, MultipliesTheShareEveryEpoch) {
  // 1/16, 1/8, 1/4, 1/2, 1.
  EXPECT_EQ(Counts("cmerc.GeometricOptions", "initial_share: 0.0625 epochs_to_full: 4", 16, 6),
            (Sizes{1, 2, 4, 8, 16, 16}));
  // 0.3^1, 0.3^(2/3) = 0.4481, 0.3^(1/3) = 0.6694, 1.
  EXPECT_EQ(Counts("cmerc.GeometricOptions", "initial_share: 0.3 epochs_to_full: 3", 1000, 4),
            (Sizes{300, 448, 669, 1000}));
}

TEST(AntiTest, TakesAsManyAsLinearButTheHardest) {
  const std::string options = "initial_share: 0.5 epochs_to_full: 4";
  EXPECT_EQ(Counts("cmerc.AntiOptions", options, 100, 6),
            Counts("cmerc.LinearOptions", options, 100, 6));
  // The first two of the three at 0.3 are taken, whichever end is taken first.
  const std::vector<float> difficulty = {0.9F, 0.3F, 0.1F, 0.3F, 0.3F, 0.2F};
  EXPECT_EQ(Make("cmerc.AntiOptions", options)->Select(0, difficulty),
            (std::vector<int64_t>{0, 1, 3}));
  EXPECT_EQ(Make("cmerc.LinearOptions", options)->Select(0, difficulty),
            (std::vector<int64_t>{1, 2, 5}));
}

TEST(AntiTest, OfEqualOnesTakesTheFirst) {
  EXPECT_EQ(Make("cmerc.AntiOptions", "initial_share: 0.5")->Select(0, std::vector<float>(6, 1.0F)),
            (std::vector<int64_t>{0, 1, 2}));
}

struct Case {
  std::string type;
  std::string options;
  int64_t epochs_to_full;
};

void PrintTo(const Case& test_case, std::ostream* out) {
  *out << test_case.type << " {" << test_case.options << "}";
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const std::string plugin : {"Linear", "Root", "Geometric", "Anti"}) {
    const std::string type = "cmerc." + plugin + "Options";
    cases.push_back({type, "", 10});
    cases.push_back({type, "initial_share: 1e-300 epochs_to_full: 100", 100});
    cases.push_back({type, "initial_share: 0.013 epochs_to_full: 1", 1});
    cases.push_back({type, "initial_share: 1 epochs_to_full: 7", 7});
  }
  cases.push_back({"cmerc.RootOptions", "power: 1e300 epochs_to_full: 9", 9});
  cases.push_back({"cmerc.RootOptions", "power: 1.5 epochs_to_full: 33", 33});
  return cases;
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.type + info.param.options;
  name.erase(std::remove_if(name.begin(), name.end(),
                            [](unsigned char c) { return std::isalnum(c) == 0; }),
             name.end());
  return name;
}

class PacingTest : public testing::TestWithParam<Case> {};

TEST_P(PacingTest, GrowsFromOneConversationAtLeastToAllOfThem) {
  std::mt19937 random(11);
  std::vector<float> difficulty(137);
  for (float& value : difficulty) value = static_cast<float>(random() % 20) / 20;
  std::vector<int64_t> all(difficulty.size());
  std::iota(all.begin(), all.end(), 0);

  const auto scheduler = Make(GetParam().type, GetParam().options);
  EXPECT_TRUE(scheduler->needs_difficulty());
  std::vector<int64_t> before = scheduler->Select(0, difficulty);
  EXPECT_FALSE(before.empty());
  for (int64_t epoch = 1; epoch < GetParam().epochs_to_full; ++epoch) {
    std::vector<int64_t> selected = scheduler->Select(epoch, difficulty);
    EXPECT_TRUE(std::is_sorted(selected.begin(), selected.end())) << "epoch " << epoch;
    EXPECT_TRUE(std::includes(selected.begin(), selected.end(), before.begin(), before.end()))
        << "epoch " << epoch;
    before = std::move(selected);
  }
  for (const int64_t epoch : {GetParam().epochs_to_full, int64_t{1} << 62}) {
    EXPECT_EQ(scheduler->Select(epoch, difficulty), all) << "epoch " << epoch;
  }
}

TEST_P(PacingTest, LeavesOutOnlyConversationsThatComeNoEarlier) {
  const bool hardest_first = GetParam().type == "cmerc.AntiOptions";
  std::mt19937 random(12);
  std::vector<float> difficulty(137);
  for (float& value : difficulty) value = static_cast<float>(random() % 20) / 20;
  std::vector<int64_t> order(difficulty.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return hardest_first ? difficulty[a] > difficulty[b] : difficulty[a] < difficulty[b];
  });

  const auto scheduler = Make(GetParam().type, GetParam().options);
  for (int64_t epoch = 0; epoch < GetParam().epochs_to_full; ++epoch) {
    const std::vector<int64_t> selected = scheduler->Select(epoch, difficulty);
    std::vector<int64_t> first(order.begin(), order.begin() + selected.size());
    std::sort(first.begin(), first.end());
    EXPECT_EQ(selected, first) << "epoch " << epoch;
  }
}

INSTANTIATE_TEST_SUITE_P(AllPacings, PacingTest, testing::ValuesIn(Cases()), CaseName);

TEST(PacingOptionsTest, AreRefusedOutsideTheirRange) {
  const auto refusal = [](const std::string& type, const std::string& options) {
    const auto scheduler = SchedulerFromText(type, options);
    EXPECT_EQ(scheduler.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(scheduler.status().message());
  };
  for (const std::string plugin : {"Linear", "Root", "Geometric", "Anti"}) {
    const std::string type = "cmerc." + plugin + "Options";
    EXPECT_EQ(refusal(type, "initial_share: 0"), type + ": initial_share = 0, must be in (0, 1]");
    EXPECT_EQ(refusal(type, "initial_share: 1.5"),
              type + ": initial_share = 1.5, must be in (0, 1]");
    EXPECT_EQ(refusal(type, "initial_share: nan"),
              type + ": initial_share = nan, must be finite and in (0, 1]");
    EXPECT_EQ(refusal(type, "epochs_to_full: 0"), type + ": epochs_to_full = 0, must be >= 1");
  }
  EXPECT_EQ(refusal("cmerc.RootOptions", "power: 0.5"),
            "cmerc.RootOptions: power = 0.5, must be >= 1");
  EXPECT_EQ(refusal("cmerc.RootOptions", "power: inf"),
            "cmerc.RootOptions: power = inf, must be finite and >= 1");
}

}  // namespace
}  // namespace cmerc
