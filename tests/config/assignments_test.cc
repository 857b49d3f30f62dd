// --set training.epochs=3: single values by the paths of their fields.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/loader.h"
#include "tests/config/config_text.h"
#include "tests/config/rank_loss.pb.h"
#include "tests/config/toy_loss.pb.h"
#include "tests/config/toy_net.pb.h"

namespace cmerc {
namespace {

using cmerc_test::RankLossOptions;
using cmerc_test::ToyLossOptions;
using cmerc_test::ToyNetOptions;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string TwoLosses() {
  return absl::StrCat(
      Valid(),
      "losses { loss { [type.googleapis.com/cmerc_test.RankLossOptions] { margin: 1 } } }");
}

TEST(AssignmentsTest, SetSingleValues) {
  const RunConfig config =
      Parse(Valid() + "training { epochs: 9 batch_size: 4 }",
            {"training.epochs=3", "training.learning_rate = 1e-3 data.protocol=OFFICIAL",
             "training.shuffle=false"});
  EXPECT_EQ(config.training().epochs(), 3);
  EXPECT_EQ(config.training().batch_size(), 4);
  EXPECT_EQ(config.training().learning_rate(), 1e-3);
  EXPECT_FALSE(config.training().shuffle());
  EXPECT_EQ(config.data().protocol(), DataConfig::OFFICIAL);
}

TEST(AssignmentsTest, AndFragmentsAreTakenInTheirOrder) {
  EXPECT_EQ(Parse(Valid(), {"training.epochs=3", "training { epochs: 4 }"}).training().epochs(), 4);
  EXPECT_EQ(Parse(Valid(), {"training { epochs: 4 }", "training.epochs=3"}).training().epochs(), 3);
}

TEST(AssignmentsTest, OptionsAreThoseOfThePluginThatIsConfigured) {
  const RunConfig config =
      Parse(std::string(kData) + kLoss + Net("hidden_width: 8 slope: 0.5 head { layers: 4 }"),
            {"backbone.dropout=0.25 backbone.head.layers=3", "backbone.norm=LAYER"});
  const auto net = Unpack<ToyNetOptions>(config.backbone());
  EXPECT_EQ(net.hidden_width(), 8);
  EXPECT_EQ(net.slope(), 0.5);
  EXPECT_EQ(net.dropout(), 0.25);
  EXPECT_EQ(net.head().layers(), 3);
  EXPECT_EQ(net.norm(), ToyNetOptions::LAYER);
}

TEST(AssignmentsTest, FormerNamesStillWork) {
  const RunConfig config = Parse(Valid(), {"backbone.hidden_size=16"});
  EXPECT_EQ(Unpack<ToyNetOptions>(config.backbone()).hidden_width(), 16);
}

TEST(AssignmentsTest, TextsNeedQuotesOnlyForSpaces) {
  const auto name = [](const std::string& value) {
    const RunConfig config = Parse(Valid(), {absl::StrCat("backbone.name=", value)});
    return Unpack<ToyNetOptions>(config.backbone()).name();
  };
  EXPECT_EQ(name("runs/m3net/a-b.pkl"), "runs/m3net/a-b.pkl");
  EXPECT_EQ(name("'a b'"), "a b");
  EXPECT_EQ(name("\"it's\""), "it's");
  EXPECT_EQ(name("a\\b"), "a\\b");
  EXPECT_EQ(name("12"), "12");
}

TEST(AssignmentsTest, ListsReplace) {
  const RunConfig config = Parse(std::string(kData) + kLoss + Net("gains: [1, 2]"),
                                 {"data.modalities=text,audio backbone.gains=[3,4.5]"});
  EXPECT_THAT(config.data().modalities(), ElementsAre("text", "audio"));
  EXPECT_THAT(Unpack<ToyNetOptions>(config.backbone()).gains(), ElementsAre(3, 4.5));
  EXPECT_THAT(Parse(Valid(), {"data.modalities=text", "data.modalities=[]"}).data().modalities(),
              IsEmpty());
}

TEST(AssignmentsTest, LossesByNameOrPosition) {
  const RunConfig config =
      Parse(TwoLosses(),
            {"losses.RankLoss.weight=0.25 losses.toyloss.smoothing=0.1", "losses[0].weight=2"});
  ASSERT_EQ(config.losses_size(), 2);
  EXPECT_EQ(config.losses(0).weight(), 2);
  EXPECT_EQ(Unpack<ToyLossOptions>(config.losses(0).loss()).smoothing(), 0.1);
  EXPECT_EQ(config.losses(1).weight(), 0.25);
  EXPECT_TRUE(config.losses(1).loss().Is<RankLossOptions>());
}

TEST(AssignmentsTest, APluginByItsName) {
  const RunConfig config =
      Parse(std::string(kData) + kLoss, {"backbone=ToyNet backbone.hidden_width=4"});
  EXPECT_EQ(Unpack<ToyNetOptions>(config.backbone()).hidden_width(), 4);
  // The one that is there keeps its options.
  const RunConfig same =
      Parse(std::string(kData) + kLoss + Net("hidden_width: 8"), {"backbone=toynet"});
  EXPECT_EQ(Unpack<ToyNetOptions>(same.backbone()).hidden_width(), 8);
}

TEST(AssignmentsTest, WhatIsWrongIsSaidWithTheAssignment) {
  const auto problem = [](const std::string& assignments) {
    return ProblemsIn(TwoLosses(), {assignments});
  };
  EXPECT_THAT(problem("training.epohcs=3"),
              StartsWith("\n  --set=training.epohcs=3: message type \"cmerc.TrainingConfig\" has "
                         "no field \"epohcs\"; did you mean \"epochs\"? fields: "));
  EXPECT_EQ(problem("training.epochs=3.5"),
            "\n  --set=training.epochs=3.5: training.epochs = 3.5, must be an integer of 32 bits");
  EXPECT_EQ(problem("training.epochs=0"), "\n  training.epochs = 0, must be >= 1");
  EXPECT_EQ(problem("data.protocol=Official"),
            "\n  --set=data.protocol=Official: data.protocol = Official, must be one of HELD_OUT, "
            "OFFICIAL");
  EXPECT_THAT(problem("training..epochs=3"), HasSubstr("\"\" in training..epochs is no field"));
  EXPECT_THAT(problem("training[0].epochs=3"), HasSubstr("training is no list"));
  EXPECT_THAT(problem("data.modalities[0]=text"), HasSubstr("data.modalities is set as a whole"));
  EXPECT_THAT(problem("losses.weight=1"), HasSubstr("losses has ToyLoss, RankLoss and no weight"));
  EXPECT_THAT(problem("losses=1"), HasSubstr("losses has ToyLoss, RankLoss; name one of them"));
  EXPECT_THAT(problem("backbone.teacher.dropout=1"),
              HasSubstr("backbone.teacher has no plugin whose option dropout could be set"));
  EXPECT_THAT(problem("backbone.encoders.layers=1"),
              HasSubstr("backbone.encoders is a list; name an entry, as in backbone.encoders[0]"));
}

TEST(AssignmentsTest, EveryProblemAtOnceAndNoneFollowsFromAnother) {
  EXPECT_EQ(ProblemsIn(Valid(), {"curriculum.difficulty=a training.epochs=x", "training.seed=y"})
                .find("curriculum.scheduler: "),
            std::string::npos);
  EXPECT_THAT(ProblemsIn(Valid(), {"training.epochs=x training.seed=y"}),
              testing::AllOf(HasSubstr("training.epochs = x"), HasSubstr("training.seed = y")));
}

TEST(UnknownFieldTest, TheNamesOfOtherProgramsAreKnown) {
  const auto problem = [](const std::string& text) { return ProblemsIn(Valid() + text); };
  EXPECT_THAT(problem("training { lr: 1 }"), HasSubstr("did you mean \"learning_rate\"?"));
  EXPECT_THAT(problem("training { LR: 1 }"), HasSubstr("did you mean \"learning_rate\"?"));
  EXPECT_THAT(problem("training { optim: 1 }"), HasSubstr("did you mean \"optimizer\"?"));
  EXPECT_THAT(problem("training { betas: 1 }"), HasSubstr("Adam or AdamW"));
  EXPECT_THAT(problem("patience: 3"), HasSubstr("did you mean training { patience: ... }?"));
  EXPECT_THAT(problem("early_stopping: 3"), HasSubstr("did you mean training { patience: ... }?"));
  EXPECT_THAT(problem("training { warmup: 3 }"), HasSubstr("learning_rate_schedule { "));
  EXPECT_THAT(problem("training { scheduler { } }"),
              HasSubstr("did you mean \"learning_rate_schedule\"?"));
  EXPECT_THAT(problem("checkpoint: 'a.pth'"),
              HasSubstr("did you mean training { init_checkpoint: ... }?"));
  EXPECT_THAT(problem("training { ema: 0.9 }"), HasSubstr("did you mean \"ema_decay\"?"));
  EXPECT_THAT(problem("training { monitor: 'loss' }"), HasSubstr("did you mean \"select_by\"?"));
  EXPECT_THAT(problem("lr: 1"), HasSubstr("did you mean training { learning_rate: ... }?"));
  EXPECT_THAT(problem("scheduler { }"),
              HasSubstr("did you mean curriculum { scheduler { ... } }?"));
  EXPECT_THAT(problem("training { smoothing: 1 }"),
              HasSubstr("did you mean smoothing of cmerc_test.ToyLossOptions?"));
  EXPECT_THAT(problem("xyzzy: 1"), HasSubstr("has no field \"xyzzy\"; fields: data, backbone"));
}

}  // namespace
}  // namespace cmerc
