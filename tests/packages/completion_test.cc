// The completion that packages bring, asked by a real bash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bin/command_line.h"
#include "packages/topics.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"
#include "tests/packages/typed_shell.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

std::string Script() { return std::filesystem::absolute("packages/cmerc.bash"); }

// What is offered behind these words, as bash takes a command line apart; the last is at the
// cursor.
std::vector<std::string> Offered(const std::vector<std::string>& words,
                                 const std::string& folder = NewFolder()) {
  std::vector<std::string> args = {
      "--norc", "-c",
      "set -u; source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _cmerc; "
      "printf '%s\\n' \"${COMPREPLY[@]}\"",
      "bash", Script()};
  args.insert(args.end(), words.begin(), words.end());
  Surroundings surroundings;
  surroundings.unset = {"BUILD_WORKING_DIRECTORY"};
  const Outcome outcome = RunProgram("/bin/bash", args, folder, surroundings);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  return absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const CommandSpec& command : CommandSpecs()) names.push_back(command.name);
  return names;
}

TEST(CompletionTest, Commands) {
  EXPECT_THAT(Offered({"cmerc", ""}), ElementsAreArray(CommandNames()));
  EXPECT_THAT(Offered({"cmerc", "ex"}), ElementsAre("experiment"));
  EXPECT_THAT(Offered({"cmerc", "-"}), ElementsAre("--help", "--version"));
  EXPECT_THAT(Offered({"cmerc", "nothing"}), IsEmpty());
  EXPECT_THAT(Offered({"cmerc", "nothing", ""}), IsEmpty());
}

TEST(CompletionTest, EveryFlagOfEveryCommand) {
  for (const CommandSpec& command : CommandSpecs()) {
    std::vector<std::string> flags;
    for (const FlagSpec& flag : command.flags) {
      flags.push_back(
          absl::StrCat("--", flag.name, flag.kind == FlagSpec::Kind::kSwitch ? "" : "="));
    }
    flags.push_back("--help");
    EXPECT_THAT(Offered({"cmerc", command.name, "-"}), ElementsAreArray(flags)) << command.name;
  }
}

TEST(CompletionTest, FlagsThatBeginSo) {
  EXPECT_THAT(Offered({"cmerc", "predict", "--stream", "--max_o"}), ElementsAre("--max_open="));
  EXPECT_THAT(Offered({"cmerc", "predict", "--input", "=", "a.jsonl", "--str"}),
              ElementsAre("--stream"));
  EXPECT_THAT(Offered({"cmerc", "train", "--profile", ""}), Contains("--config="));
}

TEST(CompletionTest, EveryTopic) {
  const Topics topics = LinkedTopics();
  EXPECT_THAT(topics.plugins, IsSupersetOf({"losses", "Focal", "backbones", "M3Net"}));
  EXPECT_THAT(topics.config, IsSupersetOf({"config", "training", "data"}));
  const std::vector<std::string> help = Offered({"cmerc", "help", ""});
  EXPECT_EQ(std::set<std::string>(help.begin(), help.end()).size(), help.size());
  EXPECT_THAT(help, AllOf(IsSupersetOf(topics.plugins), IsSupersetOf(topics.config),
                          IsSupersetOf(CommandNames())));
  EXPECT_THAT(Offered({"cmerc", "plugins", ""}), ElementsAreArray(topics.plugins));
  EXPECT_THAT(Offered({"cmerc", "help", "Foc"}), ElementsAre("Focal"));
  EXPECT_THAT(Offered({"cmerc", "help", "Focal", ""}), Not(Contains("Focal")));
}

// What is offered is understood.
TEST(CompletionTest, TopicsCanBeAskedAbout) {
  const std::string folder = NewFolder();
  const Topics topics = LinkedTopics();
  for (const std::string& topic :
       {topics.plugins.front(), topics.plugins.back(), topics.config.back()}) {
    const Outcome outcome = RunCmerc({"help", topic}, folder);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
}

TEST(CompletionTest, ActionsComeBeforeFiles) {
  EXPECT_THAT(Offered({"cmerc", "data", ""}), ElementsAre("describe", "convert"));
  EXPECT_THAT(Offered({"cmerc", "data", "--overwrite", "con"}), ElementsAre("convert"));
  EXPECT_THAT(Offered({"cmerc", "data", "describe", ""}), IsEmpty());  // bash offers files
  EXPECT_THAT(Offered({"cmerc", "data", "describe", "--set"}), ElementsAre("--set="));
  EXPECT_THAT(Offered({"cmerc", "report", ""}), IsEmpty());
}

TEST(CompletionTest, NothingIsOfferedForOtherValues) {
  EXPECT_THAT(Offered({"cmerc", "evaluate", "--split", "=", ""}), IsEmpty());
  EXPECT_THAT(Offered({"cmerc", "evaluate", "--split", "="}), IsEmpty());
  EXPECT_THAT(Offered({"cmerc", "evaluate", "--split", ""}), IsEmpty());
  EXPECT_THAT(Offered({"cmerc", "train", "--set", "=", "training.epochs", "=", ""}), IsEmpty());
}

// Some take "=" out of COMP_WORDBREAKS.
TEST(CompletionTest, FilesWhereAnEqualsSignDividesNoWords) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/own.textproto", "");
  std::filesystem::create_directory(folder + "/owned");
  EXPECT_THAT(Offered({"cmerc", "train", "--config=own."}, folder),
              ElementsAre("--config=own.textproto"));
  EXPECT_THAT(Offered({"cmerc", "train", "--output=ow"}, folder), ElementsAre("--output=owned"));
}

TEST(CompletionTest, OnATerminal) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/my data.jsonl", "");
  WriteFile(folder + "/rules.txt", "");
  std::filesystem::create_directory(folder + "/runs");
  TypedShell shell(folder);
  shell.Type("cmerc() { printf '<%s>\\n' \"$@\"; }");
  shell.Type(absl::StrCat("source '", Script(), "'"));
  EXPECT_THAT(shell.Type("cmerc tr\t--prof\t--outp\tru\t"),
              HasSubstr("\n<train>\r\n<--profile>\r\n<--output=runs/>\r\n"));
  EXPECT_THAT(shell.Type("cmerc eval\t--inp\tmy\t--views"),
              HasSubstr("\n<evaluate>\r\n<--input=my data.jsonl>\r\n<--views>\r\n"));
  EXPECT_THAT(shell.Type("cmerc data desc\tmy\t"),
              HasSubstr("\n<data>\r\n<describe>\r\n<my data.jsonl>\r\n"));
  EXPECT_THAT(shell.Type("cmerc evaluate --checkpoint rul\t"),
              HasSubstr("\n<evaluate>\r\n<--checkpoint>\r\n<rules.txt>\r\n"));
  EXPECT_THAT(shell.Type("cmerc evaluate --split=my\t"),
              HasSubstr("\n<evaluate>\r\n<--split=my>\r\n"));  // no file
}

}  // namespace
}  // namespace cmerc
