#include "bin/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::vector<FlagSpec>& Specs() {
  static const auto* specs = new std::vector<FlagSpec>{
      {"config", FlagSpec::Kind::kValue, "the experiment", "FILE"},
      {"set", FlagSpec::Kind::kRepeatedValue, "merged over it", "FRAGMENT"},
      {"views", FlagSpec::Kind::kSwitch, "more scores", ""},
  };
  return *specs;
}

absl::StatusOr<Flags> Parse(const std::vector<std::string>& args, size_t max_words = 0) {
  return Flags::Parse(args, Specs(), max_words);
}

std::string Error(const std::vector<std::string>& args, size_t max_words = 0) {
  const absl::StatusOr<Flags> flags = Parse(args, max_words);
  EXPECT_EQ(flags.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(flags.status().message());
}

TEST(FlagsTest, NothingGiven) {
  const absl::StatusOr<Flags> flags = Parse({});
  ASSERT_TRUE(flags.ok());
  EXPECT_FALSE(flags->has("config"));
  EXPECT_EQ(flags->Get("config"), "");
  EXPECT_THAT(flags->All("set"), IsEmpty());
  EXPECT_THAT(flags->words(), IsEmpty());
}

TEST(FlagsTest, ValuesBehindAnEqualsSignOrInTheNextArgument) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"--config=a b", "--views"},
                                             {"--config", "a b", "--views"},
                                             {"--views", "--config", "a b"}}) {
    const absl::StatusOr<Flags> flags = Parse(args);
    ASSERT_TRUE(flags.ok()) << flags.status();
    EXPECT_EQ(flags->Get("config"), "a b");
    EXPECT_TRUE(flags->has("views"));
  }
}

TEST(FlagsTest, OnlyTheFirstEqualsSignSeparates) {
  const absl::StatusOr<Flags> flags = Parse({"--config=a=b=c"});
  ASSERT_TRUE(flags.ok());
  EXPECT_EQ(flags->Get("config"), "a=b=c");
}

TEST(FlagsTest, RepeatedValuesKeepTheirOrder) {
  const absl::StatusOr<Flags> flags = Parse({"--set=b", "--config=x", "--set", "a", "--set=b"});
  ASSERT_TRUE(flags.ok());
  EXPECT_THAT(flags->All("set"), ElementsAre("b", "a", "b"));
}

TEST(FlagsTest, WordsUpToTheLimit) {
  const absl::StatusOr<Flags> flags = Parse({"m3net", "--views"}, 1);
  ASSERT_TRUE(flags.ok());
  EXPECT_THAT(flags->words(), ElementsAre("m3net"));
  EXPECT_THAT(Error({"m3net", "gru"}, 1), HasSubstr("unexpected argument \"gru\""));
  EXPECT_THAT(Error({"m3net"}), HasSubstr("flags look like --name=value"));
}

TEST(FlagsTest, ASingleDashIsNoFlag) {
  EXPECT_THAT(Error({"-config=x"}), HasSubstr("unexpected argument \"-config=x\""));
}

TEST(FlagsTest, AnUnknownFlagNamesTheNearestAndAll) {
  EXPECT_EQ(Error({"--confg=x"}),
            "unknown flag --confg; did you mean --config? flags: --config, --set, --views");
  EXPECT_EQ(Error({"--quux"}), "unknown flag --quux; flags: --config, --set, --views");
  EXPECT_EQ(Error({"--=x"}), "unknown flag --; flags: --config, --set, --views");
  EXPECT_EQ(Error({"--"}), "unknown flag --; flags: --config, --set, --views");
}

TEST(FlagsTest, AssignmentsBehindARepeatedFlagAreItsValues) {
  const absl::StatusOr<Flags> flags =
      Parse({"--set", "training.epochs=3", "backbone.dropout=0.4", "losses[0].weight=1", "word",
             "--set=a { b: 1 }", "x=~/y"},
            1);
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_THAT(flags->All("set"), ElementsAre("training.epochs=3", "backbone.dropout=0.4",
                                             "losses[0].weight=1", "a { b: 1 }", "x=~/y"));
  EXPECT_THAT(flags->words(), ElementsAre("word"));
  EXPECT_THAT(Error({"--config=x", "training.epochs=3"}),
              HasSubstr("unexpected argument \"training.epochs=3\""));
  EXPECT_THAT(Error({"--set=a", "=3"}), HasSubstr("unexpected argument \"=3\""));
}

TEST(FlagsTest, ATildeIsTheHomeFolder) {
  setenv("HOME", "/home/ann", 1);
  const absl::StatusOr<Flags> flags = Parse({"--config=~/x", "--set=~/x", "~/y"}, 1);
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->Get("config"), "/home/ann/x");
  EXPECT_THAT(flags->All("set"), ElementsAre("~/x"));  // paths in a config are expanded there
  EXPECT_THAT(flags->words(), ElementsAre("/home/ann/y"));
}

TEST(FlagsTest, WhatAConfigSaysComesWithTheSetThatSaysIt) {
  EXPECT_EQ(Error({"--epochs=3"}),
            "unknown flag --epochs; a config says that; write --set=training.epochs=3; flags: "
            "--config, --set, --views");
  EXPECT_THAT(Error({"--lr", "1e-3", "--views"}),
              HasSubstr("write --set=training.learning_rate=1e-3;"));
  EXPECT_THAT(Error({"--Batch-Size=8"}), HasSubstr("write --set=training.batch_size=8;"));
  EXPECT_THAT(Error({"--seed", "--views"}), HasSubstr("write --set=training.seed=VALUE;"));
  EXPECT_THAT(Error({"--cuda=0"}), HasSubstr("write --set=training.device=cuda;"));
  EXPECT_THAT(Error({"--difficulty_file=my file"}),
              HasSubstr("write --set=curriculum.difficulty_file='my file';"));
  const absl::StatusOr<Flags> without_set = Flags::Parse({"--epochs=3"}, {}, 0);
  EXPECT_EQ(without_set.status().message(), "unknown flag --epochs; this command has no flags");
}

TEST(FlagsTest, ACommandWithoutFlagsSaysSo) {
  const absl::StatusOr<Flags> flags = Flags::Parse({"--x"}, {}, 0);
  EXPECT_EQ(flags.status().message(), "unknown flag --x; this command has no flags");
}

TEST(FlagsTest, AValueIsNeeded) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--config"}, {"--config="}, {"--config", "--views"}, {"--config", ""}}) {
    EXPECT_EQ(Error(args), "--config needs a value: --config=FILE");
  }
  EXPECT_EQ(Error({"--set="}), "--set needs a value: --set=FRAGMENT");
}

TEST(FlagsTest, ASwitchTakesNoValue) {
  EXPECT_EQ(Error({"--views=true"}), "--views takes no value");
  EXPECT_THAT(Error({"--views", "true"}), HasSubstr("unexpected argument \"true\""));
}

TEST(FlagsTest, OnlyRepeatedFlagsMayBeRepeated) {
  EXPECT_EQ(Error({"--config=x", "--config=x"}), "--config is given twice");
  EXPECT_EQ(Error({"--views", "--views"}), "--views is given twice");
}

TEST(FlagHelpTest, OneLineForEachFlag) {
  const std::string help = FlagHelp(Specs());
  EXPECT_THAT(help, HasSubstr("  --config=FILE          the experiment\n"));
  EXPECT_THAT(help, HasSubstr("  --set=FRAGMENT         merged over it\n"));
  EXPECT_THAT(help, HasSubstr("  --views                more scores\n"));
  EXPECT_THAT(help, Not(HasSubstr("--views=")));
}

}  // namespace
}  // namespace cmerc
