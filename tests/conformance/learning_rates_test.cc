// The learning rate suite over the project's own plugins, with more of their options.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/learning_rate.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const ExtraCase kWarm("cmerc.ConstantRateOptions", "warmup_epochs: 2.5");
const ExtraCase kLongWarmUp("cmerc.CosineRateOptions", "warmup_epochs: 500 min_factor: 1");
const ExtraCase kSteep("cmerc.StepRateOptions", "step_epochs: 1 gamma: 1e-300");
const ExtraCase kMilestones("cmerc.StepRateOptions", "milestones: [40, 2]");
const ExtraCase kEager("cmerc.PlateauRateOptions", "patience: 0 cooldown: 3 gamma: 1e-300");

TEST(LearningRateLinkageTest, TheBundleLinksThesePlugins) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : LearningRates().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.ConstantRateOptions", "cmerc.CosineRateOptions",
                                             "cmerc.LinearRateOptions", "cmerc.PlateauRateOptions",
                                             "cmerc.StepRateOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
