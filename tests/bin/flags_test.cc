#include "bin/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
