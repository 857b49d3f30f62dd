// docs/troubleshooting.md is what the table of wrong uses makes of it.
#include "tests/bin/troubleshooting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::EndsWith;

TEST(TroubleshootingTest, ThePageIsUpToDate) {
  const std::vector<std::string> found = absl::StrSplit(ReadFile("docs/troubleshooting.md"), '\n');
  const std::vector<std::string> want = absl::StrSplit(TroubleshootingPage(BadInputTopics()), '\n');
  EXPECT_EQ(found.size(), want.size());
  for (size_t i = 0; i < std::min(found.size(), want.size()); ++i) {
    ASSERT_EQ(found[i], want[i]) << "docs/troubleshooting.md, line " << i + 1
                                 << ", is out of date: bazel run //tests/bin:troubleshooting";
  }
}

TEST(TroubleshootingTest, ACaseBecomesARow) {
  const std::vector<BadInputTopic> topics = {
      {"Two `words`",
       {{"ConfigIsJson",
         {"train", "--config=tiny.textproto", "--set=a { b: 'c' }", "--output=out/of/this"},
         {"a | b", "see `cmerc help`"}},
        {"Closed", {"data", "x y"}, {"cannot write"}, {{"VARIABLE", "abc"}}, 1, "&-"}}}};
  EXPECT_THAT(
      TroubleshootingPage(topics),
      EndsWith("- [Two `words`](#two-words)\n\n## Two `words`\n\n"
               "| wrong use | exit status | what `cmerc` says |\n| --- | --- | --- |\n"
               "| Config is json:<br>`cmerc train --set=\"a { b: 'c' }\"` | 2 | "
               "`a \\| b` … `` see `cmerc help` `` |\n"
               "| Closed:<br>`VARIABLE=abc cmerc data 'x y' >&-` | 1 | `cannot write` |\n"));
}

// A reader finds a row by its name, which no other has, and by the text of the message.
TEST(TroubleshootingTest, EveryCaseCanBeFound) {
  std::set<std::string> names;
  for (const BadInput& input : BadInputs()) {
    EXPECT_TRUE(names.insert(input.name).second) << input.name << " occurs twice";
    EXPECT_FALSE(input.says.empty()) << input.name;
    EXPECT_NE(input.exit_code, 0) << input.name;
  }
  EXPECT_GE(names.size(), 80u);
}

}  // namespace
}  // namespace cmerc
