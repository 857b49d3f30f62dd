// Seeds and jobs of the command line in place of the plan's. Plans themselves, and --set:
// //tests/end_to_end:experiment_test and //tests/bin:bad_input_test.
#include "experiment/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

absl::Status WithSeeds(const std::string& seeds, ExperimentPlan* plan) {
  PlanChanges changes;
  changes.seeds = seeds;
  return ChangePlan(changes, plan);
}

TEST(ChangePlanTest, SeedsAreAListOfNumbersAndRanges) {
  ExperimentPlan plan;
  plan.add_seeds(9);
  ASSERT_TRUE(WithSeeds("4", &plan).ok());
  EXPECT_THAT(plan.seeds(), ElementsAre(4));
  ASSERT_TRUE(WithSeeds("7,1-3,0", &plan).ok());
  EXPECT_THAT(plan.seeds(), ElementsAre(7, 1, 2, 3, 0));
  ASSERT_TRUE(WithSeeds("18446744073709551614-18446744073709551615", &plan).ok());
  EXPECT_THAT(plan.seeds(), ElementsAre(18446744073709551614U, 18446744073709551615U));
  ASSERT_TRUE(ChangePlan({}, &plan).ok());
  EXPECT_EQ(plan.seeds_size(), 2);
}

TEST(ChangePlanTest, WhatIsNoListOfSeedsIsRefused) {
  for (const std::string seeds : {"", "one", "1,", ",1", "1 2", "1, 2", "-1", "1-", "5-1", "1-2-3",
                                  "1..5", "0x1", "+1", "1.5", "18446744073709551616"}) {
    ExperimentPlan plan;
    const absl::Status status = WithSeeds(seeds, &plan);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << seeds;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--seeds=" + seeds)) << seeds;
    EXPECT_THAT(std::string(status.message()), HasSubstr("want seeds as in --seeds=1,2,3"))
        << seeds;
  }
  ExperimentPlan plan;
  EXPECT_THAT(std::string(WithSeeds("1-3,2", &plan).message()), HasSubstr("2 occurs twice"));
  EXPECT_THAT(std::string(WithSeeds("0-1000000000", &plan).message()),
              HasSubstr("is more than 1000 seeds"));
  EXPECT_THAT(std::string(WithSeeds("1-600,601-1200", &plan).message()),
              HasSubstr("more than 1000 seeds"));
}

TEST(ChangePlanTest, JobsAreANumberOfRuns) {
  ExperimentPlan plan;
  PlanChanges changes;
  changes.jobs = "3";
  ASSERT_TRUE(ChangePlan(changes, &plan).ok());
  EXPECT_EQ(plan.parallel_runs(), 3);
  changes.jobs = "0";
  ASSERT_TRUE(ChangePlan(changes, &plan).ok());
  EXPECT_EQ(plan.parallel_runs(), 0);
  for (const char* jobs : {"", "-1", "1025", "two", "99999999999", "1.5"}) {
    changes.jobs = jobs;
    EXPECT_THAT(std::string(ChangePlan(changes, &plan).message()),
                HasSubstr(", must be a number of runs in [0, 1024]"))
        << jobs;
  }
}

TEST(PlanTextTest, SaysHowThePlanWasChanged) {
  ExperimentPlan plan;
  plan.add_seeds(4);
  const std::string text = PlanText(plan, "9.8.7", {"training {\n epochs: 3 }"});
  EXPECT_THAT(text, HasSubstr("; cmerc 9.8.7 wrote it"));
  // What is in a comment must stay there.
  EXPECT_THAT(text, HasSubstr("\n# --set='training {  epochs: 3 }'\nseeds: 4\n"));
}

}  // namespace
}  // namespace cmerc
