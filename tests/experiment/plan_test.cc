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

Variation Named(const std::string& name, int epochs, const std::string& baseline = "") {
  Variation variation;
  variation.set_name(name);
  variation.mutable_set()->mutable_training()->set_epochs(epochs);
  if (!baseline.empty()) variation.set_baseline(baseline);
  return variation;
}

std::vector<int> EpochsOf(const PlannedVariant& variant) {
  std::vector<int> epochs;
  for (const RunConfig& layer : variant.layers) epochs.push_back(layer.training().epochs());
  return epochs;
}

TEST(VariantsOfTest, AreThoseOfEveryBackbone) {
  ExperimentPlan plan;
  EXPECT_EQ(VariantsOf(plan).size(), 1U);
  EXPECT_EQ(VariantsOf(plan)[0].name, "");
  *plan.add_variants() = Named("plain", 1);
  *plan.add_variants() = Named("calibrated", 2, "plain");
  ASSERT_EQ(VariantsOf(plan).size(), 2U);
  EXPECT_EQ(VariantsOf(plan)[1].name, "calibrated");
  EXPECT_EQ(VariantsOf(plan)[1].baseline, "plain");
  *plan.add_backbones() = Named("gru", 5);
  *plan.add_backbones() = Named("m3net", 6);
  const std::vector<PlannedVariant> variants = VariantsOf(plan);
  ASSERT_EQ(variants.size(), 4U);
  EXPECT_EQ(variants[0].name, "gru_plain");
  EXPECT_EQ(variants[0].baseline, "");
  EXPECT_EQ(variants[3].name, "m3net_calibrated");
  EXPECT_EQ(variants[3].baseline, "m3net_plain");
  EXPECT_THAT(EpochsOf(variants[1]), ElementsAre(5, 2)) << "the variant goes over the backbone";
  EXPECT_THAT(EpochsOf(variants[2]), ElementsAre(6, 1));
}

TEST(VariantsOfTest, BackbonesNeedNoVariants) {
  ExperimentPlan plan;
  *plan.add_backbones() = Named("gru", 5);
  const std::vector<PlannedVariant> variants = VariantsOf(plan);
  ASSERT_EQ(variants.size(), 1U);
  EXPECT_EQ(variants[0].name, "gru");
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
