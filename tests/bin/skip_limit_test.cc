#include "bin/skip_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

SkipLimit MustParse(const std::string& text) {
  const absl::StatusOr<SkipLimit> limit = SkipLimit::Parse(text);
  EXPECT_TRUE(limit.ok()) << limit.status();
  return limit.value_or(SkipLimit());
}

TEST(SkipLimitTest, ANumberIsLookedAtOnTheWay) {
  const SkipLimit limit = MustParse("3");
  EXPECT_TRUE(limit.CheckSoFar(3).ok());
  EXPECT_TRUE(limit.CheckAtEnd(3, 4).ok());
  EXPECT_EQ(limit.CheckSoFar(4).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(limit.CheckAtEnd(4, 1000).message(), HasSubstr("--max_skipped=3 allows"));
  EXPECT_FALSE(MustParse("0").CheckSoFar(1).ok());
}

TEST(SkipLimitTest, AShareIsLookedAtAtTheEnd) {
  const SkipLimit limit = MustParse("2.5%");
  EXPECT_TRUE(limit.CheckSoFar(100).ok());
  EXPECT_TRUE(limit.CheckAtEnd(1, 40).ok());
  EXPECT_THAT(std::string(limit.CheckAtEnd(2, 79).message()),
              StartsWith("2 of 79 conversations were skipped, and --max_skipped=2.5%"));
  EXPECT_TRUE(MustParse("0%").CheckAtEnd(0, 5).ok());
  EXPECT_FALSE(MustParse("0%").CheckAtEnd(1, 100000).ok());
  EXPECT_TRUE(MustParse("100%").CheckAtEnd(5, 5).ok());
}

TEST(SkipLimitTest, NoLimitAllowsAll) {
  EXPECT_TRUE(SkipLimit().CheckSoFar(1 << 30).ok());
  EXPECT_TRUE(SkipLimit().CheckAtEnd(9, 10).ok());
}

TEST(SkipLimitTest, RefusesWhatIsNeither) {
  for (const char* text : {"", "%", "ten", "-1", "+1", "1.5", "1e3", "5 %", "101%", "-1%", "inf%",
                           "nan%", "1.2.3%", ".5%", "5%%", "99999999999999999999"}) {
    const absl::StatusOr<SkipLimit> limit = SkipLimit::Parse(text);
    ASSERT_FALSE(limit.ok()) << text;
    EXPECT_EQ(limit.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(limit.status().message()),
                StartsWith(std::string("--max_skipped=") + text + ","));
  }
}

}  // namespace
}  // namespace cmerc
