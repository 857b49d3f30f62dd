#include "config/loader.h"

#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/config/config_text.h"
#include "tests/config/toy_net.pb.h"

namespace cmerc {
namespace {

using cmerc_test::ToyNetOptions;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Follows every message about a plugin that is not linked in.
constexpr char kLinked[] =
    "\n    linked backbones: cmerc_test.ToyNetOptions"
    "\n    linked datasets: cmerc_test.ToyDataOptions"
    "\n    linked losses: cmerc_test.RankLossOptions, cmerc_test.ToyLossOptions"
    "\n    linked schedulers: cmerc_test.ToyScheduleOptions"
    "\n    a plugin is linked in by its entry in the cmerc_plugins() list of a BUILD file";

// ---- What the text says

TEST(ParseConfigTest, ReadsWhatTextFormatReads) {
  const RunConfig config =
      Parse(std::string("data < modalities: ['te' \"xt\", 'a'], modalities: 'v'; protocol: 1 "
                        "dataset { [type.googleapis.com/cmerc_test.ToyDataOptions]: {} } >") +
            kNet + kLoss + "training: { learning_rate: 1e-2f shuffle: f weight_decay: 16 } # end");
  EXPECT_THAT(config.data().modalities(), ElementsAre("text", "a", "v"));
  EXPECT_EQ(config.data().protocol(), DataConfig::OFFICIAL);
  EXPECT_EQ(config.training().learning_rate(), 0.01);
  EXPECT_EQ(config.training().weight_decay(), 16);
  EXPECT_FALSE(config.training().shuffle());
}

TEST(ParseConfigTest, AgreesWithTextFormatParser) {
  const std::string text =
      std::string(kData) +
      Net("hidden_width: 3 dropout: .25 norm: LAYER gains: [-1, 2.5e-3] gains: 3 encoders { "
          "layers: "
          "1 } encoders: [{ layers: 2 }, { inner {} }] head <> table: -5 name: \"\\303\\251\\n'\" "
          "teacher { [type.googleapis.com/cmerc_test.ToyNetOptions] { bits: 1 } } offset: -0x1F") +
      kLoss +
      "losses: [{ weight: 2 loss { [type.googleapis.com/cmerc_test.RankLossOptions] { "
      "margin: 1 } } }]";
  RunConfig expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &expected));
  EXPECT_TRUE(MessageDifferencer::Equals(Parse(text), expected));
}

TEST(ParseConfigTest, EveryErrorAtOnce) {
  EXPECT_EQ(
      ProblemsIn(R"(data { dataset { [type.googleapis.com/cmerc_test.ToyDatOptions] { x: 1 } } }
backbone { [type.googleapis.com/cmerc_test.ToyNetOptions] { dropuot: 0.1 norm: BATHC } }
losses { weight: -1 loss { [type.googleapis.com/cmerc_test.ToyLossOptions] {} } }
training { batch_size: 0 shuffle: maybe }
calibration { view_weights: SNAPSHOT }
)"),
      std::string("\n  f:1:18: no plugin cmerc_test.ToyDatOptions is linked into this program; did "
                  "you mean cmerc_test.ToyDataOptions?") +
          kLinked +
          "\n  f:2:61: message type \"cmerc_test.ToyNetOptions\" has no field \"dropuot\"; did you "
          "mean \"dropout\"? fields: hidden_width, dropout, slope, norm, mode, residual, seed, "
          "gains, encoders, head, file, table, teacher, name, offset, bits"
          "\n  f:2:80: backbone[cmerc_test.ToyNetOptions].norm = BATHC, must be one of NONE, "
          "BATCH, LAYER"
          "\n  f:4:35: training.shuffle = maybe, must be true or false"
          "\n  f:5:29: calibration.view_weights = SNAPSHOT, must be one of EPOCH_SNAPSHOT, LIVE, "
          "LIVE_WITH_GRADIENT, LIVE_PAIRED"
          "\n  losses[0].weight = -1, must be >= 0"
          "\n  training.batch_size = 0, must be >= 1");
}

TEST(ParseConfigTest, UnknownFields) {
  EXPECT_EQ(ProblemsIn(Valid() + "zzz { a: 1 b { c: [1, 'x'] } } training { lr: -inf }"),
            "\n  f:4:1: message type \"cmerc.RunConfig\" has no field \"zzz\"; fields: data, "
            "backbone, losses, curriculum, calibration, training"
            "\n  f:4:43: message type \"cmerc.TrainingConfig\" has no field \"lr\"; did you mean "
            "\"learning_rate\"? fields: epochs, "
            "batch_size, learning_rate, weight_decay, seed, shuffle, reseed_every_pass, threads, "
            "compare_uncalibrated, gradient_clip_norm, on_non_finite, device, "
            "precision, cuda_graphs, drop_evidence, init_checkpoint, init_parameters, init_skip, "
            "optimizer, "
            "learning_rate_schedule, patience, select_by, ema_decay, parts");
  EXPECT_EQ(ProblemsIn(std::string(kData) + kLoss + "backbone { hidden_width: 3 }"),
            "\n  f:3:12: expected [type.googleapis.com/TYPE] { ... }, got hidden_width"
            "\n  backbone: no backbone is given; write [type.googleapis.com/TYPE] { } with a TYPE "
            "of the linked backbones: cmerc_test.ToyNetOptions");
}

TEST(ParseConfigTest, WrongTypes) {
  EXPECT_EQ(ProblemsIn(
                Valid() +
                "training { epochs: 'ten' batch_size: 99999999999 learning_rate: true seed: -1 "
                "threads { a: 1 } }\n"
                "calibration: 3\n"
                "curriculum { scheduler { [type.googleapis.com/cmerc_test.ToyScheduleOptions] {} } "
                "difficulty_file: 7 }"),
            "\n  f:4:20: training.epochs = 'ten', must be an integer of 32 bits"
            "\n  f:4:38: training.batch_size = 99999999999, must be an integer of 32 bits"
            "\n  f:4:65: training.learning_rate = true, must be a number"
            "\n  f:4:76: training.seed = -1, must be an integer of 64 bits, 0 or more"
            "\n  f:4:87: training.threads = { a : 1 }, must be an integer of 32 bits"
            "\n  f:5:14: calibration = 3, must be a message in { }"
            "\n  f:6:100: curriculum.difficulty_file = 7, must be a string in quotes");
  EXPECT_EQ(
      ProblemsIn(std::string(kData) + kLoss + Net("gains: [1, x, 2] head: [1]")),
      "\n  f:3:72: backbone[cmerc_test.ToyNetOptions].gains[1] = x, must be a number"
      "\n  f:3:84: backbone[cmerc_test.ToyNetOptions].head = [ 1 ], must be a message in { }");
}

TEST(ParseConfigTest, GivenTwice) {
  EXPECT_EQ(ProblemsIn(Valid() + "training { epochs: 1 epochs: 2 }\n" + kNet),
            "\n  f:4:22: training.epochs is given twice; keep one"
            "\n  f:5:1: backbone is given twice; keep one");
  EXPECT_EQ(ProblemsIn(std::string(kData) + kLoss + Net("file: 'a' table: 1")),
            "\n  f:3:71: backbone[cmerc_test.ToyNetOptions].table is given beside file; keep one");
  EXPECT_EQ(ProblemsIn(std::string(kData) + kLoss +
                       "backbone { [type.googleapis.com/cmerc_test.ToyNetOptions] {}\n"
                       " [type.googleapis.com/cmerc_test.ToyLossOptions] {} }"),
            "\n  f:4:2: backbone is given twice, as cmerc_test.ToyNetOptions and as "
            "cmerc_test.ToyLossOptions; keep one");
}

TEST(ParseConfigTest, SyntaxErrors) {
  EXPECT_EQ(ProblemsIn(Valid() + "training {\n epochs: 3"), "\n  f:4:10: \"{\" is never closed");
  EXPECT_EQ(ProblemsIn(Valid() + "training { epochs 3 }"),
            "\n  f:4:19: expected : after epochs, got 3");
  EXPECT_EQ(ProblemsIn(Valid() + "training { epochs: }"), "\n  f:4:20: expected a value, got }");
  EXPECT_EQ(ProblemsIn(Valid() + "training"),
            "\n  f:4:9: the text ends; expected { after training");
  EXPECT_EQ(ProblemsIn(Valid() + "}"), "\n  f:4:1: expected the name of a field, got }");
  EXPECT_EQ(ProblemsIn(Valid() + "training < epochs: 3 }"),
            "\n  f:4:22: expected the name of a field, got }");
  EXPECT_EQ(ProblemsIn(Valid() + "zzz: { [ }"),
            "\n  f:4:1: message type \"cmerc.RunConfig\" has no field \"zzz\"; fields: data, "
            "backbone, losses, curriculum, calibration, training"
            "\n  f:4:6: \"{\" is never closed");
  EXPECT_THAT(ProblemsIn(Valid() + "data: \"unclosed\n"), HasSubstr("\n  f:4:16: "));
  EXPECT_EQ(ProblemsIn(Valid() + "[type.googleapis.com/cmerc_test.ToyNetOptions] {}"),
            "\n  f:4:1: the config takes no plugin; remove "
            "[type.googleapis.com/cmerc_test.ToyNetOptions]");
}

TEST(ParseConfigTest, DeepNestingIsAnError) {
  std::string inner;
  for (int i = 0; i < 100000; ++i) inner += "inner {";
  EXPECT_THAT(ProblemsIn(std::string(kData) + kLoss + Net("encoders { " + inner + "}")),
              HasSubstr("messages are nested deeper than 50"));
}

// As they come without the parser of text.
TEST(MergeConfigsTest, DeeplyNestedPluginsAreAnError) {
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/cmerc_test.ToyNetOptions");
  for (int i = 0; i < 200; ++i) {
    ToyNetOptions options;
    *options.mutable_teacher() = any;
    any.set_value(options.SerializeAsString());
  }
  RunConfig config = Parse(std::string(kData) + kLoss + kNet);
  *config.mutable_backbone() = any;
  for (const std::vector<RunConfig>& layers :
       std::vector<std::vector<RunConfig>>{{config}, {config, config}}) {
    EXPECT_THAT(MergeConfigs(layers, "merged").status().message(),
                HasSubstr(": plugins are nested deeper than 50"));
  }
}

TEST(MergeConfigsTest, PluginThatIsDamagedOrUnknown) {
  RunConfig config = Parse(std::string(kData) + kLoss + kNet);
  config.mutable_backbone()->set_value("\010");
  EXPECT_EQ(MergeConfigs({config}, "merged").status().message(),
            "merged is not a valid config:"
            "\n  backbone: the bytes of a cmerc_test.ToyNetOptions do not parse");
  config.mutable_backbone()->set_type_url("a/b.COptions");
  EXPECT_THAT(MergeConfigs({config}, "merged").status().message(),
              HasSubstr("\n  backbone: no plugin b.COptions is linked into this program\n"));
}

TEST(ParseConfigTest, DamagedTextIsAnErrorOrAConfig) {
  const std::string text = std::string(kData) + kLoss +
                           Net("gains: [1, -1] name: 'x' 'y' encoders < layers: 1 > norm: LAYER "
                               "teacher { [type.googleapis.com/cmerc_test.ToyNetOptions]: {} }") +
                           "training { shuffle: f, seed: 2; }";
  Parse(text);
  const auto check = [](const std::string& damaged) {
    const absl::Status status = ParseConfig(damaged, "f", {damaged}).status();
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << damaged;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    check(text.substr(0, i));
    for (const char c : std::string("{}[]<>:-.'#1x\n\x01\xff")) {
      std::string damaged = text;
      damaged[i] = c;
      check(damaged);
    }
  }
}

TEST(ParseConfigTest, LongValuesAreCut) {
  const std::string problems =
      ProblemsIn(Valid() + "training { epochs: \"" + std::string(5000, 'x') + "\" }");
  EXPECT_EQ(problems, "\n  f:4:20: training.epochs = \"" + std::string(59, 'x') +
                          "..., must be an integer of 32 bits");
}

TEST(ParseConfigTest, AtMostFiftyProblems) {
  std::string text = Valid();
  for (int i = 0; i < 60; ++i) text += "epoch: 1\n";
  const std::string problems = ProblemsIn(text);
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 51);
  EXPECT_THAT(problems, HasSubstr("\n  f:53:1: "));
  EXPECT_THAT(problems, Not(HasSubstr("f:54:1")));
  EXPECT_THAT(problems, EndsWith("\n  and 10 more"));
}

// ---- Plugins

TEST(ParseConfigTest, UnknownPluginWithNothingLikeIt) {
  EXPECT_EQ(ProblemsIn(std::string(kData) + kLoss +
                       "backbone { [type.googleapis.com/cmerc.TransformerOptions] { layers: 1 } }"),
            std::string("\n  f:3:12: no plugin cmerc.TransformerOptions is linked into this "
                        "program") +
                kLinked);
}

TEST(ParseConfigTest, MessageThatIsNoPlugin) {
  EXPECT_THAT(ProblemsIn(std::string(kData) + kLoss +
                         "backbone { [type.googleapis.com/cmerc.TrainingConfig] { epochs: 1 } }"),
              HasSubstr("f:3:12: no plugin cmerc.TrainingConfig is linked into this program\n"));
}

TEST(ParseConfigTest, MissingPrefix) {
  EXPECT_EQ(ProblemsIn(std::string(kData) + kLoss +
                       "backbone { [cmerc_test.ToyNetOptions] { dropout: 1.5 } }"),
            "\n  f:3:12: write [type.googleapis.com/cmerc_test.ToyNetOptions] instead of "
            "[cmerc_test.ToyNetOptions]"
            "\n  backbone[cmerc_test.ToyNetOptions].dropout = 1.5, must be in [0, 1)");
}

TEST(ParseConfigTest, AnyPrefixIsReadAsTheUsualOne) {
  const RunConfig config = Parse(std::string(kData) + kLoss +
                                 "backbone { [my-host.org/x/cmerc_test.ToyNetOptions] {} }");
  EXPECT_EQ(config.backbone().type_url(), "type.googleapis.com/cmerc_test.ToyNetOptions");
}

TEST(ParseConfigTest, WrongKind) {
  EXPECT_EQ(ProblemsIn(R"(
data { dataset { [type.googleapis.com/cmerc_test.ToyNetOptions] {} } }
backbone { [type.googleapis.com/cmerc_test.ToyLossOptions] {} }
losses { loss { [type.googleapis.com/cmerc_test.ToyScheduleOptions] {} } }
curriculum { scheduler { [type.googleapis.com/cmerc_test.ToyDataOptions] {} } })"),
            "\n  data.dataset: cmerc_test.ToyNetOptions is a backbone, not a dataset; linked "
            "datasets: cmerc_test.ToyDataOptions"
            "\n  backbone: cmerc_test.ToyLossOptions is a loss, not a backbone; linked backbones: "
            "cmerc_test.ToyNetOptions"
            "\n  losses[0].loss: cmerc_test.ToyScheduleOptions is a scheduler, not a loss; linked "
            "losses: cmerc_test.RankLossOptions, cmerc_test.ToyLossOptions"
            "\n  curriculum.scheduler: cmerc_test.ToyDataOptions is a dataset, not a scheduler; "
            "linked schedulers: cmerc_test.ToyScheduleOptions");
}

TEST(ParseConfigTest, MissingParts) {
  const std::string write = "; write [type.googleapis.com/TYPE] { } with a TYPE of the linked ";
  EXPECT_EQ(ProblemsIn("training { epochs: 1 } curriculum { difficulty_file: 'd' }"),
            "\n  data.dataset: no dataset is given" + write +
                "datasets: cmerc_test.ToyDataOptions"
                "\n  backbone: no backbone is given" +
                write +
                "backbones: cmerc_test.ToyNetOptions"
                "\n  losses: no loss is given" +
                write +
                "losses: cmerc_test.RankLossOptions, cmerc_test.ToyLossOptions"
                "\n  curriculum.scheduler: no scheduler is given" +
                write + "schedulers: cmerc_test.ToyScheduleOptions");
  EXPECT_EQ(ProblemsIn(std::string(kData) + kNet + "losses { weight: 1 }"),
            "\n  losses[0].loss: no loss is given" + write +
                "losses: cmerc_test.RankLossOptions, cmerc_test.ToyLossOptions");
}

TEST(ParseConfigTest, PluginAsBytes) {
  EXPECT_THAT(ProblemsIn(std::string(kData) + kLoss +
                         "\nbackbone { type_url: 'type.googleapis.com/cmerc_test.ToyNetOptions' "
                         "value: '\\010\\003' }"),
              StartsWith("\n  f:4:12: expected [type.googleapis.com/TYPE] { ... }, got type_url"
                         "\n  f:4:69: expected [type.googleapis.com/TYPE] { ... }, got value\n"));
}

TEST(ParseConfigTest, PluginInsidePlugin) {
  EXPECT_EQ(
      ProblemsIn(std::string(kData) + kLoss +
                 Net("teacher { [type.googleapis.com/cmerc_test.ToyNetOptions] { dropout: 1 } }")),
      "\n  backbone[cmerc_test.ToyNetOptions].teacher[cmerc_test.ToyNetOptions].dropout = 1, must "
      "be in [0, 1)");
}

// ---- Values

TEST(ParseConfigTest, Ranges) {
  EXPECT_EQ(ProblemsIn(std::string(kData) + kLoss +
                       Net("hidden_width: 0 dropout: 1.5 slope: 0 gains: [0, -1, -2] offset: 4 "
                           "encoders {} encoders { layers: 0 inner { layers: -3 } } bits: 33") +
                       "training { learning_rate: -1 threads: 1025 }"),
            "\n  backbone[cmerc_test.ToyNetOptions].hidden_width = 0, must be >= 1"
            "\n  backbone[cmerc_test.ToyNetOptions].dropout = 1.5, must be in [0, 1)"
            "\n  backbone[cmerc_test.ToyNetOptions].slope = 0, must be in (0, 1]"
            "\n  backbone[cmerc_test.ToyNetOptions].gains[2] = -2, must be >= -1"
            "\n  backbone[cmerc_test.ToyNetOptions].encoders[1].layers = 0, must be >= 1"
            "\n  backbone[cmerc_test.ToyNetOptions].encoders[1].inner[0].layers = -3, must be >= 1"
            "\n  backbone[cmerc_test.ToyNetOptions].offset = 4, must be <= 3"
            "\n  backbone[cmerc_test.ToyNetOptions].bits = 33, must be < 33"
            "\n  training.learning_rate = -1, must be > 0"
            "\n  training.threads = 1025, must be in [0, 1024]");
}

TEST(ParseConfigTest, EdgesOfRangesAreAllowed) {
  Parse(std::string(kData) + kLoss +
        Net("hidden_width: 1 dropout: 0 slope: 1 gains: -1 offset: 3 bits: 32") +
        "training { threads: 1024 weight_decay: 0 }");
}

TEST(ParseConfigTest, NotFinite) {
  EXPECT_EQ(
      ProblemsIn(std::string(kData) +
                 "losses { weight: nan loss { [type.googleapis.com/cmerc_test.ToyLossOptions] "
                 "{ class_weights: [1, inf] } } }" +
                 Net("slope: 1e40") + "training { learning_rate: -inf weight_decay: 1e999 }"),
      "\n  backbone[cmerc_test.ToyNetOptions].slope = inf, must be finite and in (0, 1]"
      "\n  losses[0].weight = nan, must be finite and >= 0"
      "\n  losses[0].loss[cmerc_test.ToyLossOptions].class_weights[1] = inf, must be finite "
      "and >= 0"
      "\n  training.learning_rate = -inf, must be finite and > 0"
      "\n  training.weight_decay = inf, must be finite and >= 0");
}

TEST(ParseConfigTest, RequiredField) {
  EXPECT_EQ(ProblemsIn(std::string(kData) + kNet +
                       "losses { loss { [type.googleapis.com/cmerc_test.RankLossOptions] {} } }"),
            "\n  losses[0].loss[cmerc_test.RankLossOptions].margin is missing");
}

TEST(ParseConfigTest, WeightsAllZero) {
  EXPECT_EQ(ProblemsIn(Valid(), {"losses { weight: 0 loss { "
                                 "[type.googleapis.com/cmerc_test.ToyLossOptions] {} } }"}),
            "\n  losses: every weight is 0, so there is nothing to minimize");
}

TEST(ParseConfigTest, TwoSourcesOfDifficulty) {
  EXPECT_EQ(
      ProblemsIn(Valid() + "curriculum { difficulty_file: 'a' difficulty_checkpoint: 'b' "
                           "scheduler { [type.googleapis.com/cmerc_test.ToyScheduleOptions] {} "
                           "} }"),
      "\n  curriculum: difficulty_file = \"a\" and difficulty_checkpoint = \"b\" are both "
      "given; keep one");
}

}  // namespace
}  // namespace cmerc
