#include "registry/nearest_name.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

TEST(NearestNameTest, FindsTypingErrors) {
  const std::vector<std::string> fields = {"epochs", "batch_size", "learning_rate", "seed"};
  EXPECT_EQ(NearestName("epohcs", fields), "epochs");
  EXPECT_EQ(NearestName("epoch", fields), "epochs");
  EXPECT_EQ(NearestName("batchsize", fields), "batch_size");
  EXPECT_EQ(NearestName("learnin_rates", fields), "learning_rate");
  EXPECT_EQ(NearestName("SEED", fields), "seed");
}

TEST(NearestNameTest, SilentWhenNothingIsNear) {
  EXPECT_EQ(NearestName("momentum", {"epochs", "seed"}), "");
  EXPECT_EQ(NearestName("epochs", {}), "");
  EXPECT_EQ(NearestName("", {"epochs"}), "");
}

TEST(NearestNameTest, AllowsMoreEditsInLongerNames) {
  EXPECT_EQ(NearestName("abc", {"abx"}), "abx");
  EXPECT_EQ(NearestName("abc", {"axx"}), "");
  EXPECT_EQ(NearestName("abcd", {"abxx"}), "abxx");
  EXPECT_EQ(NearestName("abcd", {"axxx"}), "");
  EXPECT_EQ(NearestName("abcdefghi", {"abcdefxxx"}), "abcdefxxx");
  EXPECT_EQ(NearestName("abcdefghi", {"abcdexxxx"}), "");
}

TEST(NearestNameTest, TakesTheNearestAndThenTheFirst) {
  EXPECT_EQ(NearestName("gamma", {"gxmmx", "gamm", "gamm_"}), "gamm");
}

}  // namespace
}  // namespace cmerc
