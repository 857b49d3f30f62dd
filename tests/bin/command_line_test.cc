#include "bin/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::EndsWith;
using testing::StartsWith;

// "COMMAND WORD...", or "error".
std::string Parsed(const std::vector<std::string>& args) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(args);
  if (!line.ok()) return "error";
  std::string text = line->command;
  for (const std::string& word : line->flags.words()) text += " " + word;
  return text;
}

TEST(CommandLineTest, ACommandAndItsFlags) {
  const absl::StatusOr<CommandLine> line =
      ParseCommandLine({"train", "--config=a b", "--overwrite"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->command, "train");
  EXPECT_EQ(line->flags.Get("config"), "a b");
  EXPECT_TRUE(line->flags.has("overwrite"));
  EXPECT_EQ(Parsed({"report", "a", "b", "c"}), "report a b c");
}

TEST(CommandLineTest, HelpIsAskedForInManyWays) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{}, {"--help"}, {"-h"}, {"help"}, {"-h", "train"}}) {
    EXPECT_EQ(Parsed(args), "help");
  }
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"help", "train"}, {"train", "--help"}, {"train", "--ouput=x", "-h"}}) {
    EXPECT_EQ(Parsed(args), "help train");
  }
  EXPECT_EQ(Parsed({"help", "--help"}), "help help");
  EXPECT_EQ(Parsed({"help", "config"}), "help config");
}

TEST(CommandLineTest, TheVersionIsAFlagWithoutCommand) {
  EXPECT_EQ(Parsed({"--version"}), "--version");
  EXPECT_EQ(Parsed({"train", "--version"}), "error");
}

TEST(CommandLineTest, ErrorsSayWhereTheHelpIs) {
  const absl::Status flag = ParseCommandLine({"train", "--ouput=x"}).status();
  EXPECT_EQ(flag.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(flag.message()),
              StartsWith("unknown flag --ouput; did you mean --output? flags: --config, "));
  EXPECT_THAT(std::string(flag.message()), EndsWith("\n  see: cmerc help train"));
  const absl::Status command = ParseCommandLine({"trian"}).status();
  EXPECT_EQ(command.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(command.message()),
              StartsWith("unknown command \"trian\"; did you mean train? commands: train, "));
}

TEST(CommandLineTest, OnlySomeCommandsTakeWords) {
  EXPECT_EQ(Parsed({"train", "a"}), "error");
  EXPECT_EQ(Parsed({"plugins", "losses"}), "plugins losses");
  EXPECT_EQ(Parsed({"plugins", "losses", "datasets"}), "error");
  EXPECT_EQ(Parsed({"data", "describe", "a", "b"}), "data describe a b");
  for (const CommandSpec& command : CommandSpecs()) {
    EXPECT_TRUE(command.actions.empty() || command.words == Words::kFiles) << command.name;
  }
}

TEST(CommandLineTest, ExamplesNameConfigsWhereTheyAre) {
  const absl::StatusOr<const CommandSpec*> data = FindCommand("data");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(ExampleOf(**data, "config"), (*data)->example);
  EXPECT_THAT(
      ExampleOf(**data, "/there/cmerc"),
      StartsWith("cmerc data describe --config=/there/cmerc/examples/quickstart.textproto\n"));
}

TEST(CommandLineTest, EveryCommandIsExplained) {
  std::set<std::string> names;
  for (const CommandSpec& command : CommandSpecs()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    EXPECT_FALSE(command.purpose.empty()) << command.name;
    EXPECT_THAT(command.example, StartsWith("cmerc " + command.name + " "));
    for (const FlagSpec& flag : command.flags) {
      EXPECT_FALSE(flag.help.empty()) << command.name << " --" << flag.name;
      EXPECT_EQ(flag.value.empty(), flag.kind == FlagSpec::Kind::kSwitch)
          << command.name << " --" << flag.name;
    }
    const absl::StatusOr<const CommandSpec*> found = FindCommand(command.name);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, &command);
  }
}

}  // namespace
}  // namespace cmerc
