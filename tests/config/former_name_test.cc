// Fields that were renamed, under the names that they had before.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "config/loader.h"
#include "tests/config/config_text.h"
#include "tests/config/toy_net.pb.h"

namespace cmerc {
namespace {

using cmerc_test::ToyNetOptions;
using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string With(const std::string& fields) {
  return std::string(kData) + kLoss + Net(fields) + "\n";
}

std::string Renamed(const std::string& place, const std::string& before, const std::string& now) {
  return place + ": " + before + " is now called " + now +
         "; the former name is still read, but better write the new one";
}

TEST(FormerNameTest, ReadsAsThePresentField) {
  std::vector<std::string> warnings;
  const auto config =
      ParseConfig(With("hidden_size: 8 factors: [1, 2] factors: 3 top { layers: 3 } path: 'p'"),
                  "f", {}, &warnings);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(MessageDifferencer::Equals(
      *config, Parse(With("hidden_width: 8 gains: [1, 2, 3] head { layers: 3 } file: 'p'"))));
  EXPECT_THAT(warnings,
              ElementsAre(Renamed("f:3:61", "hidden_size", "hidden_width"),
                          Renamed("f:3:76", "factors", "gains"), Renamed("f:3:103", "top", "head"),
                          Renamed("f:3:121", "path", "file")));
}

TEST(FormerNameTest, EveryFormerNameOfAField) {
  EXPECT_EQ(Unpack<ToyNetOptions>(Parse(With("width: 8")).backbone()).hidden_width(), 8);
}

TEST(FormerNameTest, OneWarningForAName) {
  std::vector<std::string> warnings = {"of another config"};
  const auto config = ParseConfig(With("hidden_size: 8"), "f",
                                  {Net("hidden_size: 9"), Net("width: 10")}, &warnings);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(Unpack<ToyNetOptions>(config->backbone()).hidden_width(), 10);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(warnings[0], Renamed("f:3:61", "hidden_size", "hidden_width"));
  EXPECT_THAT(warnings[1], HasSubstr("--set='" + Net("width: 10") + "':1:61: width is now called"));
}

TEST(FormerNameTest, NoWarningForPresentNames) {
  std::vector<std::string> warnings = {"of another config"};
  ASSERT_TRUE(ParseConfig(With("hidden_width: 8"), "f", {}, &warnings).ok());
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(FormerNameTest, BothNamesAreOneTooMany) {
  const std::string both =
      ": backbone[cmerc_test.ToyNetOptions].hidden_width is given twice (it was once called "
      "hidden_size, width); keep one";
  EXPECT_EQ(ProblemsIn(With("hidden_size: 8 hidden_width: 9")), "\n  f:3:76" + both);
  EXPECT_EQ(ProblemsIn(With("hidden_width: 8 hidden_size: 9")), "\n  f:3:77" + both);
  EXPECT_EQ(ProblemsIn(With("hidden_size: 8 width: 8")), "\n  f:3:76" + both);
  EXPECT_EQ(ProblemsIn(With("table: 8 path: 'p'")),
            "\n  f:3:70: backbone[cmerc_test.ToyNetOptions].file is given beside table; keep one");
}

TEST(FormerNameTest, ProblemsNameThePresentField) {
  EXPECT_EQ(ProblemsIn(With("hidden_size: 0")),
            "\n  backbone[cmerc_test.ToyNetOptions].hidden_width = 0, must be >= 1");
  EXPECT_EQ(ProblemsIn(With("hidden_size: 'x'")),
            "\n  f:3:74: backbone[cmerc_test.ToyNetOptions].hidden_width = 'x', must be an integer "
            "of 32 bits");
}

TEST(FormerNameTest, BelongsToItsMessageAlone) {
  EXPECT_THAT(ProblemsIn(With("head { width: 1 }")),
              HasSubstr("\"cmerc_test.ToyNetOptions.Encoder\" has no field \"width\""));
}

TEST(FormerNameTest, IsNotWritten) {
  const std::string text = ResolvedConfig(Parse(With("hidden_size: 8")));
  EXPECT_THAT(text, HasSubstr("hidden_width: 8\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("hidden_size")));
}

TEST(FormerNameTest, InFilesAndAnyMessage) {
  const std::string path = testing::TempDir() + "/former.textproto";
  std::ofstream(path) << "width: 8 hidden_size: 8";
  ToyNetOptions options;
  std::vector<std::string> warnings;
  EXPECT_THAT(std::string(ReadTextFile(path, &options, &warnings).message()),
              HasSubstr("hidden_width is given twice"));
  std::ofstream(path) << "width: 8";
  ASSERT_TRUE(ReadTextFile(path, &options, &warnings).ok());
  EXPECT_EQ(options.hidden_width(), 8);
  EXPECT_THAT(warnings, ElementsAre(Renamed(path + ":1:1", "width", "hidden_width")));
  ASSERT_TRUE(ReadText("hidden_size: 9", "g", &options).ok());
  EXPECT_EQ(options.hidden_width(), 9);
}

}  // namespace
}  // namespace cmerc
