// Weights for a model of other options: what differs is named, and the option that would match.
#include "storage/trained_backbone.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Widths differ from each other and from those of the models.
DatasetInfo Info() {
  DatasetInfo info;
  info.name = "test";
  info.modalities = {{"text", 8, 4}, {"audio", 5, 1}, {"visual", 3, 1}};
  info.class_names = {"a", "b", "c", "d", "e", "f", "g"};
  info.num_speakers = 2;
  info.class_counts = {1, 1, 1, 1, 1, 1, 1};
  return info;
}

// A plugin ("M3Net") with options.
RunConfig Config(const std::string& plugin, const std::string& options) {
  RunConfig config;
  const std::string text = absl::StrCat("backbone { [type.googleapis.com/cmerc.", plugin,
                                        "Options] { ", options, " } }");
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), text);
  return config;
}

// What Python saves of a model of these options: weights alone.
Checkpoint PythonWeights(const RunConfig& config, const DatasetInfo& info = Info()) {
  const auto backbone = MakeBackbone(config, info);
  TORCH_CHECK(backbone.ok(), backbone.status().ToString());
  Checkpoint checkpoint;
  checkpoint.state = StateOf(**backbone);
  return checkpoint;
}

std::string Problem(const RunConfig& config, const Checkpoint& checkpoint) {
  const absl::Status status = MakeTrainedBackbone(config, Info(), checkpoint, "best.pth").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("best.pth: "));
  return std::string(status.message());
}

// A backbone, options of all its models, what the weights were trained with besides, and what is
// to be set where that is left out, with a tensor that the message must name.
struct Case {
  std::string name;
  std::string plugin;
  std::string options;
  std::string trained_with;
  std::string says;
  std::string names;
};

class OtherOptionTest : public testing::TestWithParam<Case> {};

TEST_P(OtherOptionTest, IsNamed) {
  const Case& c = GetParam();
  const RunConfig trained = Config(c.plugin, absl::StrCat(c.options, " ", c.trained_with));
  const Checkpoint checkpoint = PythonWeights(trained);
  EXPECT_THAT(
      Problem(Config(c.plugin, c.options), checkpoint),
      AllOf(HasSubstr("these are not the weights of this model"), HasSubstr(c.names),
            HasSubstr(absl::StrCat("; with --set='backbone { [type.googleapis.com/cmerc.", c.plugin,
                                   "Options] { ", c.says, " } }' all names and shapes agree"))));
  const auto right = MakeTrainedBackbone(trained, Info(), checkpoint, "best.pth");
  EXPECT_TRUE(right.ok()) << right.status();
}

constexpr char kM3Net[] = "input_width: 12 hypergraph_layers: 1";
constexpr char kSmall[] = "input_width: 12 graph_width: 6 hypergraph_layers: 1";

INSTANTIATE_TEST_SUITE_P(
    Backbones, OtherOptionTest,
    testing::Values(
        Case{"TextEncoder", "M3Net", kSmall, "text_encoder: LSTM", "text_encoder: LSTM",
             "the model has no lstm_l.bias_hh_l0"},
        Case{"Speaker", "M3Net", kSmall, "use_speaker: false", "use_speaker: false",
             "it has no graph_model.speaker_embeddings.weight"},
        Case{"Layers", "M3Net", kSmall, "high_frequency_layers: 2", "high_frequency_layers: 2",
             "it has no graph_model.conv3.gate.bias"},
        Case{"Width", "M3Net", kM3Net, "graph_width: 22", "graph_width: 22",
             "graph_model.fc1.bias has shape [22], want [512]"},
        Case{"Several", "M3Net", kM3Net, "norm: LN use_residue: true graph_width: 22",
             "graph_width: 22 norm: LN use_residue: true",
             "graph_model.fc1.bias has shape [22], want [512]"},
        Case{"Official", "M3Net", kSmall, "semantics: OFFICIAL", "semantics: OFFICIAL",
             "the model has no graph_model.hyperedge_attr1"},
        Case{"TextLinear", "M3Net", "input_width: 8 graph_width: 6", "text_linear: false",
             "text_linear: false", "it has no linear_l.bias"},
        Case{"Gru", "Gru", "hidden_width: 6", "attention: false", "attention: false", "it has no "},
        Case{"Lstm", "Gru", "hidden_width: 6", "cell: LSTM", "cell: LSTM",
             "the model has no lstm.bias_hh_l0"},
        Case{"DialogueRnn", "DialogueRnn",
             "global_width: 12 party_width: 13 emotion_width: 14 linear_width: 11",
             "listener_state: true", "listener_state: true", "the model has no "},
        Case{"DialogueGcn", "DialogueGcn", "hidden_width: 6 graph_width: 8 num_bases: 3",
             "encoder: GRU", "encoder: GRU", "the model has no gru.bias_hh_l0"},
        Case{"Mmgcn", "Mmgcn", "input_width: 12 graph_width: 6", "use_modality_embedding: true",
             "use_modality_embedding: true", "the model has no "},
        Case{"Transformer", "Transformer", "hidden_width: 12 feed_forward_width: 18",
             "num_layers: 4", "num_layers: 4", "the model has no "}),
    [](const auto& info) { return info.param.name; });

TEST(TrainedBackboneTest, WithoutAWayNoOptionIsNamed) {
  DatasetInfo wider = Info();
  wider.modalities[1].width = 9;
  EXPECT_THAT(
      Problem(Config("M3Net", kSmall), PythonWeights(Config("M3Net", kSmall), wider)),
      AllOf(HasSubstr("linear_a.weight has shape [12, 9], want [12, 5]"), Not(HasSubstr("--set"))));
}

TEST(TrainedBackboneTest, APrefixOfAnotherWrapperIsNamed) {
  const RunConfig config = Config("M3Net", kSmall);
  Checkpoint wrapped;
  for (const auto& [name, tensor] : PythonWeights(config).state) {
    wrapped.state["model." + name] = tensor;
  }
  EXPECT_THAT(Problem(config, wrapped),
              HasSubstr("; without \"model.\" in front, all of its names are the model's"));
}

TEST(TrainedBackboneTest, WhetherItHasTheWeights) {
  const RunConfig config = Config("M3Net", kSmall);
  const StateDict state = PythonWeights(config).state;
  EXPECT_TRUE(HasWeightsOf(config, Info(), state));
  EXPECT_FALSE(HasWeightsOf(Config("M3Net", "input_width: 12"), Info(), state));
}

// The official code's state dict has linear_l whether it is applied or not. It is left out on MELD
// with GRU alone, so that names and shapes agree and every number would be wrong.
constexpr char kMeld[] =
    "input_width: 8 graph_width: 6 hypergraph_layers: 1 high_frequency_layers: 1 "
    "semantics: OFFICIAL text_linear: ";

class OfficialLinearTest : public testing::TestWithParam<std::string> {
 protected:
  const std::string encoder_ = absl::StrCat(" text_encoder: ", GetParam());
  // Text that is as wide as the graph's input, as in MELD.
  const RunConfig with_ = Config("M3Net", absl::StrCat(kMeld, "true", encoder_));
  const RunConfig without_ = Config("M3Net", absl::StrCat(kMeld, "false", encoder_));
  const Checkpoint official_ = PythonWeights(with_);
};

TEST_P(OfficialLinearTest, WeightsOfTheOfficialCodeAreRefusedWithoutIt) {
  EXPECT_THAT(Problem(without_, official_),
              AllOf(HasSubstr(absl::StrCat("text_linear = false with text_encoder = ", GetParam())),
                    HasSubstr("leaves linear_l out with --base-model GRU alone"),
                    HasSubstr("--set='backbone { [type.googleapis.com/cmerc.M3NetOptions] { "
                              "text_linear: true } }'")));
  const auto right = MakeTrainedBackbone(with_, Info(), official_, "best.pth");
  EXPECT_TRUE(right.ok()) << right.status();
}

TEST_P(OfficialLinearTest, OurOwnWeightsAreWhatTheirConfigSays) {
  Checkpoint ours = PythonWeights(without_);
  ours.metadata.emplace();
  const auto model = MakeTrainedBackbone(without_, Info(), ours, "selected.pth");
  EXPECT_TRUE(model.ok()) << model.status();
}

INSTANTIATE_TEST_SUITE_P(Encoders, OfficialLinearTest, testing::Values("LSTM", "TRANSFORMER"),
                         [](const auto& info) { return info.param; });

// With GRU the values tell: a layer that is left out keeps the numbers it was made with.
TEST(TrainedBackboneTest, WeightsThatSpeakAgainstTextLinearAreDoubted) {
  const RunConfig meld = Config("M3Net", absl::StrCat(kMeld, "false"));
  const RunConfig other = Config("M3Net", absl::StrCat(kMeld, "true"));
  const auto doubt = [](const RunConfig& config, const Checkpoint& checkpoint) {
    std::string text;
    const auto model = MakeTrainedBackbone(config, Info(), checkpoint, "best.pth", &text);
    EXPECT_TRUE(model.ok()) << model.status();
    return text;
  };
  const Checkpoint untrained = PythonWeights(meld);
  EXPECT_EQ(doubt(meld, untrained), "");
  EXPECT_THAT(doubt(other, untrained),
              AllOf(HasSubstr("linear_l.weight holds nothing but numbers as PyTorch draws them"),
                    HasSubstr("text_linear: false")));
  Checkpoint trained = untrained;
  trained.state["linear_l.weight"] = trained.state["linear_l.weight"] * 1.5;
  EXPECT_EQ(doubt(other, trained), "");
  EXPECT_THAT(doubt(meld, trained), AllOf(HasSubstr("linear_l.weight holds other numbers"),
                                          HasSubstr("text_linear: true")));
  // Where the text is not as wide there is no choice, and so no doubt.
  const RunConfig iemocap = Config("M3Net", "input_width: 12 graph_width: 6 semantics: OFFICIAL");
  EXPECT_EQ(doubt(iemocap, PythonWeights(iemocap)), "");
  // Ours say themselves what they are.
  Checkpoint ours = untrained;
  ours.metadata.emplace();
  EXPECT_EQ(doubt(other, ours), "");
}

}  // namespace
}  // namespace cmerc
