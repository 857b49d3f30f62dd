// What an earlier version of the program wrote is read by this one: data/generate.sh made the
// files.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "config/loader.h"
#include "registry/range.pb.h"
#include "registry/registry.h"
#include "storage/checkpoint.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kData[] = "tests/compatibility/data/";
constexpr char kCheckpoint[] = "--checkpoint=whole/selected.pth";

// A copy of the data, which a command may write into.
std::string CopyOfData() {
  const std::filesystem::path folder = NewFolder();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kData)) {
    // Not relative(), which would follow the links that these files are in a test's folder.
    const std::filesystem::path copy = folder / entry.path().lexically_relative(kData);
    if (entry.is_directory()) {
      std::filesystem::create_directories(copy);
    } else {
      std::filesystem::create_directories(copy.parent_path());
      WriteFile(copy, ReadFile(entry.path()));
    }
  }
  return folder;
}

// The texts are equal, but for what another processor changes in the last digits of numbers.
void ExpectSameUpToRounding(const std::string& text, const std::string& expected,
                            double tolerance) {
  const char* got = text.c_str();
  const char* want = expected.c_str();
  while (*got != '\0' && *want != '\0') {
    char* got_end = nullptr;
    char* want_end = nullptr;
    const double got_number = std::strtod(got, &got_end);
    const double want_number = std::strtod(want, &want_end);
    if (got_end != got && want_end != want) {
      ASSERT_NEAR(got_number, want_number, tolerance * (1 + std::abs(want_number))) << text;
      got = got_end;
      want = want_end;
    } else {
      ASSERT_EQ(*got++, *want++) << text;
    }
  }
  EXPECT_EQ(std::string(got), std::string(want));
}

// The text of a config with the present names.
std::string WithPresentNames(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"hidden_size:", "hidden_width:"}, {"linear_size:", "linear_width:"}});
}

TEST(FormerVersionTest, ItsConfigMeansTheSame) {
  for (const std::string file : {"config.textproto", "interrupted/config.textproto"}) {
    const std::string text = ReadFile(kData + file);
    ASSERT_NE(WithPresentNames(text), text);
    std::vector<std::string> warnings;
    const auto config = LoadConfig(kData + file, {}, &warnings);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("hidden_size is now called hidden_width"),
                                      HasSubstr("linear_size is now called linear_width")));
    const auto present = ParseConfig(WithPresentNames(text), "present", {}, &warnings);
    ASSERT_TRUE(present.ok()) << present.status();
    EXPECT_THAT(warnings, IsEmpty());
    EXPECT_TRUE(MessageDifferencer::Equals(*config, *present));
  }
}

TEST(FormerVersionTest, EveryFieldThatWasRenamed) {
  const std::map<std::string, std::vector<std::string>> renamed = {
      {"Gru", {"hidden", "linear"}},
      {"DialogueGcn", {"hidden", "graph"}},
      {"DialogueRnn", {"global", "party", "emotion", "linear"}},
      {"Transformer", {"hidden", "feed_forward"}},
  };
  for (const auto& [plugin, fields] : renamed) {
    std::string former, present;
    for (const std::string& field : fields) {
      absl::StrAppend(&former, field, "_size: 12 ");
      absl::StrAppend(&present, field, "_width: 12 ");
    }
    const auto config = [&, name = plugin](const std::string& options) {
      return ParseConfig(ReadFile(std::string(kData) + "config.textproto"), "f",
                         {absl::StrCat("backbone { [type.googleapis.com/cmerc.", name,
                                       "Options] { ", options, "} }")});
    };
    ASSERT_TRUE(config(former).ok()) << config(former).status();
    EXPECT_THAT(ResolvedConfig(*config(former)), HasSubstr("_width: 12\n")) << plugin;
    EXPECT_TRUE(MessageDifferencer::Equals(*config(former), *config(present))) << plugin;
  }
}

TEST(FormerVersionTest, AFormerNameIsOfOneField) {
  int former_names = 0;
  for (const RegistryBase* registry : AllRegistries()) {
    for (const auto& [type, plugin] : registry->plugins()) {
      std::set<std::string> names;
      for (int i = 0; i < plugin.options->field_count(); ++i) {
        const auto* field = plugin.options->field(i);
        EXPECT_TRUE(names.insert(field->name()).second) << type << "." << field->name();
        for (int k = 0; k < field->options().ExtensionSize(former_name); ++k) {
          const std::string name = field->options().GetExtension(former_name, k);
          EXPECT_TRUE(names.insert(name).second) << type << "." << name;
          ++former_names;
        }
      }
    }
  }
  EXPECT_GE(former_names, 10);
}

TEST(FormerVersionTest, ItsCheckpointSaysHowItWasTrained) {
  const auto checkpoint = ReadCheckpoint(absl::StrCat(kData, "whole/selected.pth"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ASSERT_TRUE(checkpoint->metadata.has_value());
  const auto config = LoadConfig(absl::StrCat(kData, "interrupted/config.textproto"), {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(ResolvedConfig(checkpoint->metadata->config()), ResolvedConfig(*config));
  EXPECT_EQ(checkpoint->metadata->dataset().class_names_size(), 3);
  EXPECT_EQ(checkpoint->metadata->versions().at("cmerc"), "0.1.0");
  EXPECT_TRUE(checkpoint->metadata->has_standardization());
}

// What the former version knew of the calibration: without the columns of the ECE's error and
// floor, and without the line that explains them.
std::string WithoutEceNoise(const std::string& text) {
  std::string kept;
  bool calibration = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    calibration = calibration || absl::StartsWith(line, "calibration ");
    if (absl::StartsWith(line, "error: ")) continue;
    // Six numbers of ten characters: the first, and the last three.
    const bool row = calibration && line.size() > 60;
    absl::StrAppend(&kept, row ? line.substr(0, line.size() - 50) : line,
                    row ? line.substr(line.size() - 30) : "", "\n");
  }
  kept.pop_back();
  return kept;
}

TEST(FormerVersionTest, ItsCheckpointIsEvaluated) {
  const std::string folder = CopyOfData();
  const Outcome outcome = RunCmerc({"evaluate", kCheckpoint}, folder);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  ExpectSameUpToRounding(WithoutEceNoise(outcome.out), ReadFile(folder + "/evaluate.txt"), 2e-4);
}

TEST(FormerVersionTest, ItsCheckpointPredicts) {
  const std::string folder = CopyOfData();
  const Outcome outcome = RunCmerc({"predict", kCheckpoint}, folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("is now called")));
  // What answers have had since.
  const std::regex added(
      R"re("speaker":"[^"]*",|"true_label":"[^"]*",|"calibrated_probabilities":\{[^}]*\},)re");
  EXPECT_TRUE(std::regex_search(outcome.out, added));
  ExpectSameUpToRounding(std::regex_replace(outcome.out, added, ""),
                         ReadFile(folder + "/predictions.jsonl"), 1e-5);
}

// Goes on with the interrupted run in a copy of the data, and compares its end with that of the run
// that was not disturbed.
void ExpectToGoOn(const std::vector<std::string>& flags) {
  const std::string folder = CopyOfData();
  std::vector<std::string> command = {"train", "--resume", "--output=interrupted"};
  command.insert(command.end(), flags.begin(), flags.end());
  const Outcome outcome = RunCmerc(command, folder);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("goes on "));
  EXPECT_EQ(absl::StrContains(outcome.err, "hidden_size is now called"), !flags.empty());
  const std::string metrics = ReadFile(folder + "/interrupted/metrics.jsonl");
  const std::string expected = ReadFile(folder + "/whole/metrics.jsonl");
  const auto weights = ReadCheckpoint(folder + "/interrupted/selected.pth");
  const auto expected_weights = ReadCheckpoint(folder + "/whole/selected.pth");
  ASSERT_TRUE(weights.ok()) << weights.status();
  ASSERT_TRUE(expected_weights.ok()) << expected_weights.status();
  ASSERT_EQ(weights->state.size(), expected_weights->state.size());
  // The program says so where other libraries or instructions may change the last bits.
  const bool same_bits = !absl::StrContains(outcome.err, "warning: the run was begun with");
  if (same_bits) {
    EXPECT_EQ(metrics, expected);
  }
  ExpectSameUpToRounding(metrics, expected, 1e-4);
  for (const auto& [name, tensor] : expected_weights->state) {
    const torch::Tensor& got = weights->state.at(name);
    EXPECT_TRUE(same_bits ? torch::equal(got, tensor) : torch::allclose(got, tensor, 1e-3, 1e-4))
        << name;
  }
}

TEST(FormerVersionTest, ItsRunGoesOn) { ExpectToGoOn({}); }

TEST(FormerVersionTest, ItsRunGoesOnWithTheConfigItWasBegunWith) {
  ExpectToGoOn({"--config=config.textproto"});
}

}  // namespace
}  // namespace cmerc
