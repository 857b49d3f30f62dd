// Pins what //bin:cmerc links in: a plugin that is dropped by the linker, or by a slip in a BUILD
// file, must not be found out by a user.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "registry/proto_source.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using testing::ElementsAre;

std::vector<std::string> Linked(const std::string& kind) {
  std::vector<std::string> names;
  for (const RegistryBase* registry : AllRegistries()) {
    if (registry->kind() != kind) continue;
    for (const auto& [name, plugin] : registry->plugins()) names.push_back(name);
  }
  return names;
}

TEST(LinkageTest, Kinds) {
  std::vector<std::string> kinds;
  for (const RegistryBase* registry : AllRegistries()) kinds.push_back(registry->kind());
  EXPECT_THAT(kinds,
              ElementsAre("backbone", "dataset", "launcher", "learning_rate", "loss", "scheduler"));
}

TEST(LinkageTest, Backbones) {
  EXPECT_THAT(Linked("backbone"),
              ElementsAre("cmerc.DialogueGcnOptions", "cmerc.DialogueRnnOptions",
                          "cmerc.EvidentialOptions", "cmerc.GruOptions", "cmerc.M3NetOptions",
                          "cmerc.MmgcnOptions", "cmerc.TransformerOptions"));
}

TEST(LinkageTest, Datasets) {
  EXPECT_THAT(Linked("dataset"), ElementsAre("cmerc.OfficialPicklesOptions", "cmerc.RecordsOptions",
                                             "cmerc.SyntheticOptions"));
}

TEST(LinkageTest, Launchers) {
  EXPECT_THAT(Linked("launcher"), ElementsAre("cmerc.LocalOptions", "cmerc.SlurmOptions"));
}

TEST(LinkageTest, LearningRates) {
  EXPECT_THAT(
      Linked("learning_rate"),
      ElementsAre("cmerc.ConstantRateOptions", "cmerc.CosineRateOptions", "cmerc.LinearRateOptions",
                  "cmerc.PlateauRateOptions", "cmerc.StepRateOptions"));
}

TEST(LinkageTest, Losses) {
  EXPECT_THAT(Linked("loss"), ElementsAre("cmerc.CalibrationRankingOptions", "cmerc.CsclOptions",
                                          "cmerc.FocalOptions", "cmerc.LabelSmoothingOptions",
                                          "cmerc.MsclOptions", "cmerc.NllOptions",
                                          "cmerc.ShrunkDistillationOptions", "cmerc.SupConOptions",
                                          "cmerc.TargetShareOptions", "cmerc.ViewNllOptions"));
}

// `cmerc plugins` prints the comments of these.
TEST(LinkageTest, TheTextOfEveryPluginsProtoFile) {
  for (const RegistryBase* registry : AllRegistries()) {
    for (const auto& [name, plugin] : registry->plugins()) {
      EXPECT_EQ(ProtoSources().count(plugin.options->file()->name()), 1u) << name;
    }
  }
}

TEST(LinkageTest, Schedulers) {
  EXPECT_THAT(Linked("scheduler"),
              ElementsAre("cmerc.AntiOptions", "cmerc.BabyStepOptions", "cmerc.ConstantOptions",
                          "cmerc.GeometricOptions", "cmerc.LinearOptions", "cmerc.RootOptions"));
}

}  // namespace
}  // namespace cmerc
