// The scheduler suite over the project's own plugins, with more of their options.
#include <gtest/gtest.h>

#include "core/scheduler.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const ExtraCase kSlow("cmerc.BabyStepOptions", "epoch_ratio: 0.013 scheduler_steps: 2");
const ExtraCase kAtOnce("cmerc.BabyStepOptions", "epoch_ratio: 1");

TEST(SchedulerLinkageTest, TheBundleLinksThesePlugins) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Schedulers().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.AntiOptions", "cmerc.BabyStepOptions",
                                             "cmerc.ConstantOptions", "cmerc.GeometricOptions",
                                             "cmerc.LinearOptions", "cmerc.RootOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
