// The loss suite over the project's own plugins, with more of their options.
#include <gtest/gtest.h>

#include "core/loss.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const ExtraCase kExtraCases[] = {
    {"cmerc.NllOptions", "class_weights: INVERSE_FREQUENCY"},
    {"cmerc.NllOptions", "class_weights: CLASS_BALANCED"},
    {"cmerc.LabelSmoothingOptions", "epsilon: 0 class_weights: INVERSE_FREQUENCY"},
    {"cmerc.SupConOptions", "temperature: 0.5"},
    {"cmerc.FocalOptions", "gamma: 0.5"},
    {"cmerc.FocalOptions", "form: OFFICIAL_ALL_CLASSES"},
    {"cmerc.CalibrationRankingOptions", "views: 'audio' views: 'same_speaker'"},
    {"cmerc.CalibrationRankingOptions", "reduction: MEAN gate: FULL_IS_RIGHT stop_gradient: FULL"},
    {"cmerc.ShrunkDistillationOptions", "views: 'text' views: 'other_speakers' shrinkage: 1"},
    {"cmerc.ShrunkDistillationOptions", "view_shrinkage { view: 'same_speaker' shrinkage: 0 }"},
    {"cmerc.ShrunkDistillationOptions", "center: UNIFORM"},
    {"cmerc.ViewNllOptions", "class_weights: INVERSE_FREQUENCY"},
    {"cmerc.TargetShareOptions", "initial_weight: 1.5 utterances: ALL target: 0"},
    {"cmerc.TargetShareOptions",
     "initial_weight: 1 loss { [type.googleapis.com/cmerc.ShrunkDistillationOptions] "
     "{ views: 'text' views: 'same_speaker' shrinkage: 0.5 } }"},
    {"cmerc.TargetShareOptions",
     "initial_weight: 1 loss { [type.googleapis.com/cmerc.CsclOptions] {} }"},
    {"cmerc.MsclOptions", "semantics: OFFICIAL"},
    {"cmerc.MsclOptions", "temperature: 0.005"},
    {"cmerc.CsclOptions", "semantics: OFFICIAL"},
};

TEST(LossLinkageTest, TheBundleLinksThesePlugins) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Losses().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{
                       "cmerc.CalibrationRankingOptions", "cmerc.CsclOptions", "cmerc.FocalOptions",
                       "cmerc.LabelSmoothingOptions", "cmerc.MsclOptions", "cmerc.NllOptions",
                       "cmerc.ShrunkDistillationOptions", "cmerc.SupConOptions",
                       "cmerc.TargetShareOptions", "cmerc.ViewNllOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
