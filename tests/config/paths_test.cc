#include "config/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "config/loader.h"
#include "tests/config/config_text.h"
#include "tests/config/toy_data.pb.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string WithPaths(const std::string& directory, const std::string& difficulty) {
  return std::string(kNet) + kLoss +
         "data { dataset { [type.googleapis.com/cmerc_test.ToyDataOptions] { directory: '" +
         directory +
         "' } } } curriculum { scheduler { [type.googleapis.com/cmerc_test.ToyScheduleOptions] {} "
         "} difficulty_file: '" +
         difficulty + "' }";
}

class PathsTest : public testing::Test {
 protected:
  void SetUp() override { setenv("HOME", "/home/ann", 1); }
};

TEST_F(PathsTest, AreThoseOfPluginsToo) {
  EXPECT_THAT(PathsIn(Parse(WithPaths("a/b", "c.pkl"))), ElementsAre("a/b", "c.pkl"));
  EXPECT_THAT(PathsIn(Parse(Valid())), ElementsAre("d"));
}

TEST_F(PathsTest, ATildeIsTheHomeFolder) {
  const RunConfig config = Parse(WithPaths("~/data", "~/c.pkl"));
  EXPECT_THAT(PathsIn(config), ElementsAre("/home/ann/data", "/home/ann/c.pkl"));
  EXPECT_EQ(Unpack<cmerc_test::ToyDataOptions>(config.data().dataset()).directory(),
            "/home/ann/data");
  EXPECT_EQ(Parse(WithPaths("a", "b"), {"curriculum.difficulty_file=~/x.pkl"})
                .curriculum()
                .difficulty_file(),
            "/home/ann/x.pkl");
  // What is no path is nobody's home.
  EXPECT_EQ(Parse(WithPaths("a", "b"), {"data.folds=2 data.fold_group='~/*_'"}).data().fold_group(),
            "~/*_");
}

TEST_F(PathsTest, WithoutAHomeFolderTheFieldIsNamed) {
  unsetenv("HOME");
  EXPECT_THAT(ProblemsIn(WithPaths("~/data", "c.pkl")),
              HasSubstr("data.dataset[cmerc_test.ToyDataOptions].directory = ~/data: the "
                        "environment variable HOME"));
  Parse(WithPaths("data", "c.pkl"));
}

}  // namespace
}  // namespace cmerc
