#include "bin/configs_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/bin/files.h"

namespace cmerc {
namespace {

TEST(ConfigsFolderTest, IsThatOfACloneForThisTest) { EXPECT_EQ(ConfigsFolder(), "config"); }

TEST(ConfigsFolderTest, IsBesideTheFolderOfAnInstalledProgram) {
  const std::string prefix = NewFolder();
  EXPECT_EQ(ConfigsFolder(prefix + "/lib/cmerc/cmerc"), "config");  // no examples there
  std::filesystem::create_directories(prefix + "/share/cmerc/examples");
  EXPECT_EQ(ConfigsFolder(prefix + "/lib/cmerc/cmerc"), prefix + "/share/cmerc");
  EXPECT_EQ(ConfigsFolder(prefix + "/lib/cmerc/cmerc_engine"), prefix + "/share/cmerc");
  EXPECT_EQ(ConfigsFolder(prefix + "/bin/cmerc/cmerc"), "config");
  EXPECT_EQ(ConfigsFolder(prefix + "/lib/other/cmerc"), "config");
}

TEST(ConfigsFolderTest, IsThatOfACloneWhereTheProgramIsUnknown) {
  EXPECT_EQ(ConfigsFolder(""), "config");
  EXPECT_EQ(ConfigsFolder("/cmerc"), "config");
}

}  // namespace
}  // namespace cmerc
