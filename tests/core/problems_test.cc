#include "core/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cmerc {
namespace {

using testing::ElementsAre;

TEST(ProblemsTest, NoneIsOk) {
  const Problems problems;
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(problems.more(), 0u);
  EXPECT_EQ(problems.ToStatus(), absl::OkStatus());
}

TEST(ProblemsTest, ALineForEach) {
  Problems problems;
  problems.Add("a");
  problems.Add("b");
  EXPECT_FALSE(problems.empty());
  EXPECT_EQ(problems.ToStatus(), absl::InvalidArgumentError("a\nb"));
}

TEST(ProblemsTest, CountsWhatIsBeyondTheLimit) {
  Problems ten, two(2);
  for (int i = 0; i < 12; ++i) {
    ten.Add(std::to_string(i));
    two.Add(std::to_string(i));
  }
  EXPECT_EQ(ten.ToStatus(),
            absl::InvalidArgumentError("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n(and 2 more)"));
  EXPECT_THAT(two.in_words(), ElementsAre("0", "1"));
  EXPECT_EQ(two.more(), 10u);
}

}  // namespace
}  // namespace cmerc
