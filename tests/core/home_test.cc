#include "core/home.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace cmerc {
namespace {

class HomeTest : public testing::Test {
 protected:
  void SetUp() override { setenv("HOME", "/home/ann", 1); }
};

TEST_F(HomeTest, ATildeInFrontIsTheHomeFolder) {
  EXPECT_EQ(*ExpandHome("~/runs/x"), "/home/ann/runs/x");
  EXPECT_EQ(*ExpandHome("~"), "/home/ann");
  EXPECT_EQ(*ExpandHome("~/"), "/home/ann/");
}

TEST_F(HomeTest, AnyOtherPathStaysAsItIs) {
  for (const char* path : {"", "runs/x", "/runs/~/x", "./~", "./~/x", "x~", "~ann/runs", "~.bak"}) {
    EXPECT_EQ(*ExpandHome(path), path);
  }
}

TEST_F(HomeTest, WithoutAHomeFolderItIsAnError) {
  for (const bool empty : {false, true}) {
    unsetenv("HOME");
    if (empty) setenv("HOME", "", 1);
    const absl::StatusOr<std::string> path = ExpandHome("~/runs/x");
    EXPECT_EQ(path.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(path.status().message()),
                testing::HasSubstr("~/runs/x: the environment variable HOME"));
    EXPECT_EQ(*ExpandHome("runs/x"), "runs/x");
  }
}

}  // namespace
}  // namespace cmerc
