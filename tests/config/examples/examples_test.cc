// Every example config is valid with the plugins of `cmerc`, and the official presets say what the
// commands in the official README say.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/loader.h"
#include "experiment/plan.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using google::protobuf::Any;
using google::protobuf::Message;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

constexpr char kFolder[] = "config/examples/";

std::vector<std::string> Examples() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

RunConfig Load(const std::string& name) {
  absl::StatusOr<RunConfig> config = LoadConfig(absl::StrCat(kFolder, name, ".textproto"), {});
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? *std::move(config) : RunConfig();
}

// The options of a plugin, which must be of type `name`.
std::unique_ptr<Message> Options(const Any& any, const std::string& name) {
  EXPECT_EQ(PluginType(any), name);
  for (const RegistryBase* registry : AllRegistries()) {
    if (registry->plugins().count(name) == 0) continue;
    absl::StatusOr<std::unique_ptr<Message>> options = registry->Unpack(any);
    EXPECT_TRUE(options.ok()) << options.status();
    if (options.ok()) return *std::move(options);
  }
  ADD_FAILURE() << name << " is not linked in";
  return nullptr;
}

// The value of a field as text format has it, its default when it is not set.
std::string Value(const Message& message, const std::string& field, int index = -1) {
  const auto* descriptor = message.GetDescriptor()->FindFieldByName(field);
  if (descriptor == nullptr) return absl::StrCat("no field ", field);
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, descriptor, index, &text);
  return text;
}

TEST(ExamplesTest, ThereIsOneForEveryOfficialCommandAndAQuickStart) {
  EXPECT_THAT(Examples(), IsSupersetOf({"cmerc_calibrated", "iemocap_m3net", "iemocap_m3net_cmerc",
                                        "meld_m3net", "meld_m3net_cmerc", "quickstart"}));
}

// What of a config makes up the recipe: the losses that have a weight, and how views are predicted.
std::string RecipeOf(const RunConfig& config) {
  RunConfig recipe;
  for (const LossConfig& loss : config.losses()) {
    if (loss.weight() != 0) *recipe.add_losses() = loss;
  }
  *recipe.mutable_calibration() = config.calibration();
  return ResolvedConfig(recipe);
}

TEST(RecipeTest, IsTheSameWhereverItStands) {
  const std::string recommended = RecipeOf(Load("cmerc_calibrated"));
  EXPECT_EQ(RecipeOf(Load("quickstart")), recommended);
  EXPECT_EQ(RecipeOf(Load("fine_tune")), recommended);
  const std::vector<std::pair<std::string, std::string>> variants = {
      {"calibration", "iemocap/gru_calibrated/seed-1"},
      {"calibration_center", "meld/m3net_u20w3v2/seed-0"},
      {"robustness", "meld/mmgcn_flags/seed-5"},
      {"your_corpus", "transformer_calibrated/seed-2"}};
  for (const auto& [name, path] : variants) {
    const auto plan = LoadPlan(absl::StrCat("config/experiments/", name, ".textproto"));
    ASSERT_TRUE(plan.ok()) << plan.status();
    const auto runs = RunsOf(*plan, "any version");
    ASSERT_TRUE(runs.ok()) << runs.status();
    const auto run = std::find_if(runs->begin(), runs->end(),
                                  [&](const PlannedRun& one) { return one.path() == path; });
    ASSERT_NE(run, runs->end()) << name << " has no run " << path;
    EXPECT_EQ(RecipeOf(run->config), recommended) << path;
  }
}

class ExampleTest : public testing::TestWithParam<std::string> {};

TEST_P(ExampleTest, LoadsAndSurvivesBeingResolved) {
  const std::string resolved = ResolvedConfig(Load(GetParam()));
  const absl::StatusOr<RunConfig> again = ParseConfig(resolved, "the resolved config", {});
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(ResolvedConfig(*again), resolved);
}

INSTANTIATE_TEST_SUITE_P(All, ExampleTest, testing::ValuesIn(Examples()),
                         [](const auto& info) { return info.param; });

// What the official README's commands say, and what the official code makes of it.
struct Official {
  std::string name;
  std::string features_file, roberta_file;
  int epochs;
  std::string dropout;
  uint64_t seed;
  bool shuffle;
  std::string input_width, num_l, num_k, text_linear;
  // Empty without --calibrate.
  std::vector<double> loss_weights;  // --rank_coff, --mscl_coff, --cscl_coff
  std::string epoch_ratio, difficulty_file;
};

Official Iemocap() {
  return {"iemocap_m3net",
          "data/IEMOCAP_features.pkl",
          "data/iemocap_features_roberta.pkl",
          80,
          "0.5",
          1475,
          false,
          "512",
          "3",
          "4",
          "true",
          {},
          "",
          ""};
}
Official IemocapCmerc() {
  Official official = Iemocap();
  official.name = "iemocap_m3net_cmerc";
  official.loss_weights = {0.005, 0.05, 0.05};
  official.epoch_ratio = "0.15";
  official.difficulty_file = "caldiff/IEMOCAP_diff.pkl";
  return official;
}
Official Meld() {
  return {"meld_m3net",
          "data/MELD_features_raw1.pkl",
          "data/meld_features_roberta.pkl",
          40,
          "0.4",
          67137,
          true,
          "1024",
          "3",
          "3",
          "false",
          {},
          "",
          ""};
}
Official MeldCmerc() {
  Official official = Meld();
  official.name = "meld_m3net_cmerc";
  official.loss_weights = {0.002, 0.15, 0.15};
  official.epoch_ratio = "0.4";
  official.difficulty_file = "caldiff/MELD_diff.pkl";
  return official;
}

class OfficialPresetTest : public testing::TestWithParam<Official> {
 protected:
  const RunConfig config_ = Load(GetParam().name);
};

TEST_P(OfficialPresetTest, Data) {
  const DataConfig& data = config_.data();
  const auto files = Options(data.dataset(), "cmerc.OfficialPicklesOptions");
  ASSERT_NE(files, nullptr);
  EXPECT_EQ(Value(*files, "features_file"), absl::StrCat("\"", GetParam().features_file, "\""));
  EXPECT_EQ(Value(*files, "roberta_file"), absl::StrCat("\"", GetParam().roberta_file, "\""));
  EXPECT_THAT(data.modalities(), ElementsAre("text", "audio", "visual"));
  EXPECT_EQ(data.protocol(), DataConfig::OFFICIAL);
  EXPECT_FALSE(data.standardize());
}

TEST_P(OfficialPresetTest, Backbone) {
  const auto m3net = Options(config_.backbone(), "cmerc.M3NetOptions");
  ASSERT_NE(m3net, nullptr);
  EXPECT_EQ(Value(*m3net, "input_width"), GetParam().input_width);
  EXPECT_EQ(Value(*m3net, "graph_width"), "512");
  EXPECT_EQ(Value(*m3net, "hypergraph_layers"), GetParam().num_l);
  EXPECT_EQ(Value(*m3net, "high_frequency_layers"), GetParam().num_k);
  EXPECT_EQ(Value(*m3net, "dropout"), GetParam().dropout);
  EXPECT_EQ(Value(*m3net, "norm"), "BN");
  EXPECT_EQ(Value(*m3net, "text_encoder"), "GRU");
  EXPECT_EQ(Value(*m3net, "text_linear"), GetParam().text_linear);
  EXPECT_EQ(Value(*m3net, "semantics"), "OFFICIAL");
  // The official defaults of --use_speaker, --use_modal, --use_residue and --av_using_lstm.
  EXPECT_EQ(Value(*m3net, "use_speaker"), "true");
  EXPECT_EQ(Value(*m3net, "use_modality_embedding"), "false");
  EXPECT_EQ(Value(*m3net, "use_residue"), "false");
  EXPECT_EQ(Value(*m3net, "encode_other_modalities"), "false");
}

TEST_P(OfficialPresetTest, Training) {
  const TrainingConfig& training = config_.training();
  EXPECT_EQ(training.epochs(), GetParam().epochs);
  EXPECT_EQ(training.batch_size(), 16);
  EXPECT_EQ(training.learning_rate(), 1e-4);
  EXPECT_EQ(training.weight_decay(), 3e-5);
  EXPECT_EQ(training.seed(), GetParam().seed);
  EXPECT_EQ(training.shuffle(), GetParam().shuffle);
  EXPECT_TRUE(training.reseed_every_pass());
  EXPECT_FALSE(training.compare_uncalibrated());
  EXPECT_EQ(config_.calibration().view_weights(), CalibrationConfig::EPOCH_SNAPSHOT);
  EXPECT_EQ(config_.calibration().masked_mean(), CalibrationConfig::PADDED_ROWS);
}

TEST_P(OfficialPresetTest, TaskLoss) {
  ASSERT_GE(config_.losses_size(), 1);
  EXPECT_EQ(config_.losses(0).weight(), 1);
  if (GetParam().name.rfind("meld", 0) == 0) {
    const auto focal = Options(config_.losses(0).loss(), "cmerc.FocalOptions");
    ASSERT_NE(focal, nullptr);
    EXPECT_EQ(Value(*focal, "form"), "OFFICIAL_ALL_CLASSES");
    EXPECT_EQ(Value(*focal, "gamma"), "2.5");
    return;
  }
  const auto nll = Options(config_.losses(0).loss(), "cmerc.NllOptions");
  ASSERT_NE(nll, nullptr);
  EXPECT_EQ(Value(*nll, "class_weights"), "GIVEN");
  // The shares of the classes in model_cm.py.
  const std::vector<double> shares = {0.086747, 0.144406, 0.227883, 0.160585, 0.127711, 0.252668};
  const auto* weight = nll->GetDescriptor()->FindFieldByName("weight");
  ASSERT_NE(weight, nullptr);
  ASSERT_EQ(nll->GetReflection()->FieldSize(*nll, weight), 6);
  for (int c = 0; c < 6; ++c) {
    // The preset has nine decimals.
    EXPECT_NEAR(nll->GetReflection()->GetRepeatedDouble(*nll, weight, c), 1 / shares[c], 5.1e-10);
  }
}

TEST_P(OfficialPresetTest, Calibration) {
  if (GetParam().loss_weights.empty()) {
    EXPECT_EQ(config_.losses_size(), 1);
    EXPECT_FALSE(config_.has_curriculum());
    return;
  }
  ASSERT_EQ(config_.losses_size(), 4);
  const std::vector<std::string> names = {"cmerc.CalibrationRankingOptions", "cmerc.MsclOptions",
                                          "cmerc.CsclOptions"};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(config_.losses(i + 1).weight(), GetParam().loss_weights[i]);
    const auto options = Options(config_.losses(i + 1).loss(), names[i]);
    ASSERT_NE(options, nullptr);
    if (i == 0) continue;
    EXPECT_EQ(Value(*options, "temperature"), "0.07");
    EXPECT_EQ(Value(*options, "semantics"), "OFFICIAL");
  }
  const CurriculumConfig& curriculum = config_.curriculum();
  const auto steps = Options(curriculum.scheduler(), "cmerc.BabyStepOptions");
  ASSERT_NE(steps, nullptr);
  EXPECT_EQ(Value(*steps, "epoch_ratio"), GetParam().epoch_ratio);
  EXPECT_EQ(Value(*steps, "scheduler_steps"), "1");
  EXPECT_EQ(curriculum.difficulty_file(), GetParam().difficulty_file);
  EXPECT_THAT(curriculum.difficulty_checkpoint(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Presets, OfficialPresetTest,
                         testing::Values(Iemocap(), IemocapCmerc(), Meld(), MeldCmerc()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cmerc
