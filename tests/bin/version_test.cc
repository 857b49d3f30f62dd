// The version stands in bin/version.h alone; whatever else names it must agree.
#include "bin/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(VersionTest, IsThreeNumbers) {
  EXPECT_THAT(kVersion, MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+"));
}

TEST(VersionTest, TheCommandPrintsIt) {
  EXPECT_THAT("\n" + RunCmerc({"--version"}, NewFolder()).out,
              HasSubstr("\ncmerc     " + std::string(kVersion) + "\n"));
}

// The first heading of a version, "## 1.2.3" or "## [1.2.3] - DATE"; what is not released yet may
// stand above it.
TEST(VersionTest, TheChangelogBeginsWithIt) {
  if (!std::filesystem::exists("CHANGELOG.md")) GTEST_SKIP() << "there is no CHANGELOG.md";
  const std::string changelog = ReadFile("CHANGELOG.md");
  std::string newest;
  for (const absl::string_view line : absl::StrSplit(changelog, '\n')) {
    if (!absl::StartsWith(line, "## ") || absl::StartsWithIgnoreCase(line, "## [unreleased]") ||
        absl::StartsWithIgnoreCase(line, "## unreleased")) {
      continue;
    }
    newest = std::string(line);
    break;
  }
  EXPECT_THAT(newest, HasSubstr(kVersion));
}

}  // namespace
}  // namespace cmerc
