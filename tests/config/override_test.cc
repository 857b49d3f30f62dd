// --set fragments and ResolvedConfig().
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

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
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;

// ---- --set

TEST(OverrideTest, ErrorsNameTheFragment) {
  EXPECT_EQ(
      ProblemsIn(Valid(), {"training { epochs: 3 }", "training { epohcs: 3\n}", "training {"}),
      "\n  --set='training { epohcs: 3 }':1:12: message type \"cmerc.TrainingConfig\" has no "
      "field \"epohcs\"; did you mean \"epochs\"? fields: epochs, batch_size, learning_rate, "
      "weight_decay, seed, shuffle, reseed_every_pass, threads, compare_uncalibrated, "
      "gradient_clip_norm, on_non_finite, device, precision, cuda_graphs, drop_evidence, "
      "init_checkpoint, "
      "init_parameters, init_skip, optimizer, learning_rate_schedule, patience, select_by, "
      "ema_decay, parts"
      "\n  --set='training {':1:10: \"{\" is never closed");
}

TEST(OverrideTest, LaterWins) {
  const RunConfig config = Parse(Valid() + "training { epochs: 9 batch_size: 4 }",
                                 {"training { epochs: 1 seed: 5 }", "training { epochs: 2 }", ""});
  EXPECT_EQ(config.training().epochs(), 2);
  EXPECT_EQ(config.training().batch_size(), 4);
  EXPECT_EQ(config.training().seed(), 5u);
}

TEST(OverrideTest, DefaultValueReplacesToo) {
  EXPECT_EQ(
      Parse(Valid() + "training { epochs: 9 }", {"training { epochs: 60 }"}).training().epochs(),
      60);
}

TEST(OverrideTest, MergedResultIsValidated) {
  Parse(Valid() + "training { epochs: 0 }", {"training { epochs: 1 }"});
  EXPECT_EQ(ProblemsIn(Valid(), {"training { epochs: 0 }"}),
            "\n  training.epochs = 0, must be >= 1");
  Parse(std::string(kData) + kLoss, {kNet});
}

TEST(OverrideTest, ListsReplace) {
  const std::string text = std::string(kLoss) + Net("gains: [1, 2] encoders { layers: 3 }") +
                           "data { modalities: ['text', 'audio'] dataset { "
                           "[type.googleapis.com/cmerc_test.ToyDataOptions] {} } }";
  const RunConfig config = Parse(
      text, {"data { modalities: 'visual' }", Net("gains: 5 encoders { layers: 7 } encoders {}")});
  EXPECT_THAT(config.data().modalities(), ElementsAre("visual"));
  const auto net = Unpack<ToyNetOptions>(config.backbone());
  EXPECT_THAT(net.gains(), ElementsAre(5));
  ASSERT_EQ(net.encoders_size(), 2);
  EXPECT_EQ(net.encoders(0).layers(), 7);
}

TEST(OverrideTest, SamePluginMergesFieldByField) {
  const RunConfig config =
      Parse(std::string(kData) + kLoss +
                Net("hidden_width: 8 dropout: 0.25 head { layers: 4 } file: 'f'"),
            {Net("dropout: 0.125 head { inner {} } table: 3")});
  const auto net = Unpack<ToyNetOptions>(config.backbone());
  EXPECT_EQ(net.hidden_width(), 8);
  EXPECT_EQ(net.dropout(), 0.125);
  EXPECT_EQ(net.head().layers(), 4);
  EXPECT_EQ(net.head().inner_size(), 1);
  EXPECT_FALSE(net.has_file());
  EXPECT_EQ(net.table(), 3);
}

TEST(OverrideTest, AnotherPluginReplaces) {
  EXPECT_THAT(
      ProblemsIn(Valid(), {"backbone { [type.googleapis.com/cmerc_test.ToyLossOptions] {} }"}),
      HasSubstr("backbone: cmerc_test.ToyLossOptions is a loss, not a backbone"));
  EXPECT_THAT(
      ProblemsIn(Valid(), {"backbone { [type.googleapis.com/cmerc_test.TyNetOptions] {} }"}),
      HasSubstr(":1:12: no plugin cmerc_test.TyNetOptions is linked into this program; did "
                "you mean cmerc_test.ToyNetOptions?"));
}

TEST(OverrideTest, LossesMergeByType) {
  const std::string toy = "[type.googleapis.com/cmerc_test.ToyLossOptions]";
  const std::string rank = "[type.googleapis.com/cmerc_test.RankLossOptions]";
  const RunConfig config = Parse(
      std::string(kData) + kNet + "losses { loss { " + toy +
          " { smoothing: 0.5 } } } losses { weight: 3 loss { " + toy + " { class_weights: 1 } } }",
      {"losses { weight: 2 loss { " + toy + " { class_weights: [4, 5] } } }",
       "losses { weight: 7 loss { " + rank + " { margin: 1 } } }",
       "losses { loss { " + rank + " { margin: 2 } } }",
       "losses { loss { " + toy + " {} } } losses { loss { " + toy + " { smoothing: 0.25 } } }"});
  ASSERT_EQ(config.losses_size(), 3);
  // The first of its type: weight and options, field by field.
  EXPECT_EQ(config.losses(0).weight(), 2);
  const auto first = Unpack<ToyLossOptions>(config.losses(0).loss());
  EXPECT_EQ(first.smoothing(), 0.5);
  EXPECT_THAT(first.class_weights(), ElementsAre(4, 5));
  // The second of its type, by the second of one fragment.
  EXPECT_EQ(config.losses(1).weight(), 3);
  EXPECT_EQ(Unpack<ToyLossOptions>(config.losses(1).loss()).smoothing(), 0.25);
  // Added by one fragment, changed by the next.
  EXPECT_EQ(config.losses(2).weight(), 7);
  EXPECT_EQ(Unpack<RankLossOptions>(config.losses(2).loss()).margin(), 2);
}

// ---- ResolvedConfig

TEST(ResolvedConfigTest, WritesEveryDefault) {
  EXPECT_EQ(ResolvedConfig(Parse(Valid() + "training { epochs: 3 }")),
            R"(data {
  dataset {
    [type.googleapis.com/cmerc_test.ToyDataOptions] {
      directory: "d"
    }
  }
  protocol: HELD_OUT
  standardize: true
  folds: 0
  fold: 0
  round_scores: false
  context: CONVERSATION
  test_folds: 0
  test_fold: 0
}
backbone {
  [type.googleapis.com/cmerc_test.ToyNetOptions] {
    hidden_width: 512
    dropout: 0.5
    slope: 0.01
    norm: BATCH
    mode: EXACT
    residual: true
    seed: 18446744073709551615
    name: "it\'s \"toy\""
    bits: 8
  }
}
losses {
  weight: 1
  loss {
    [type.googleapis.com/cmerc_test.ToyLossOptions] {
      smoothing: 0
    }
  }
  warm_up_epochs: 0
}
calibration {
  view_weights: EPOCH_SNAPSHOT
  masked_mean: REAL_UTTERANCES
  evidence_flags: false
  views_per_step: 0
}
training {
  epochs: 3
  batch_size: 16
  learning_rate: 0.0001
  weight_decay: 3e-05
  seed: 1
  shuffle: true
  reseed_every_pass: false
  threads: 0
  compare_uncalibrated: false
  gradient_clip_norm: 0
  on_non_finite: STOP
  device: "cpu"
  precision: FLOAT32
  cuda_graphs: false
  drop_evidence: 0
  optimizer: ADAM
  patience: 0
  select_by: WEIGHTED_F1
  ema_decay: 0
  parts: 0
}
)");
}

TEST(ResolvedConfigTest, LoadsToTheSame) {
  const RunConfig config = Parse(
      std::string(kData) +
      Net("dropout: 0.1 slope: 0.3 gains: [0.1, -0.7] encoders { inner { layers: 5 } } encoders {} "
          "table: 7 teacher { [type.googleapis.com/cmerc_test.ToyNetOptions] {} } name: "
          "\"\\303\\251 '\\\"\\n\"") +
      kLoss +
      "curriculum { difficulty_file: 'x' scheduler { "
      "[type.googleapis.com/cmerc_test.ToyScheduleOptions] {} } } training { learning_rate: "
      "0.30000000000000004 }");
  const std::string resolved = ResolvedConfig(config);
  EXPECT_THAT(resolved, HasSubstr("é"));
  EXPECT_THAT(resolved, HasSubstr("table: 7"));
  const RunConfig again = Parse(resolved);
  EXPECT_EQ(ResolvedConfig(again), resolved);
  EXPECT_EQ(again.training().learning_rate(), 0.30000000000000004);
  const auto before = Unpack<ToyNetOptions>(config.backbone());
  const auto after = Unpack<ToyNetOptions>(again.backbone());
  EXPECT_FALSE(after.has_head());
  EXPECT_FALSE(after.has_offset());
  MessageDifferencer same_meaning;
  same_meaning.set_message_field_comparison(MessageDifferencer::EQUIVALENT);
  // The teacher's bytes differ by the defaults in them.
  same_meaning.IgnoreField(ToyNetOptions::descriptor()->FindFieldByName("teacher"));
  EXPECT_TRUE(same_meaning.Compare(before, after));
  EXPECT_EQ(Unpack<ToyNetOptions>(after.teacher()).hidden_width(), 512);
  EXPECT_TRUE(Unpack<ToyNetOptions>(after.teacher()).has_hidden_width());
}

TEST(ResolvedConfigTest, UnsetOneofStaysUnset) {
  const auto net = Unpack<ToyNetOptions>(Parse(ResolvedConfig(Parse(Valid()))).backbone());
  EXPECT_EQ(net.source_case(), ToyNetOptions::SOURCE_NOT_SET);
}

}  // namespace
}  // namespace cmerc
