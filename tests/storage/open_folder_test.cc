#include "storage/open_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/bin/files.h"

namespace cmerc {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

TEST(OpenFolderTest, IsThereUntilItIsMovedOrDeleted) {
  const std::string above = NewFolder(), path = above + "/run";
  fs::create_directory(path);
  const absl::StatusOr<OpenFolder> folder = OpenFolder::Open(path);
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_TRUE(folder->CheckThere().ok());
  fs::rename(path, above + "/elsewhere");
  const absl::Status moved = folder->CheckThere();
  EXPECT_TRUE(absl::IsUnavailable(moved));
  EXPECT_THAT(std::string(moved.message()), HasSubstr(path + " was moved or deleted"));
  fs::rename(above + "/elsewhere", path);
  EXPECT_TRUE(folder->CheckThere().ok());
  // Another folder of that name is not it.
  fs::remove(path);
  EXPECT_FALSE(folder->CheckThere().ok());
  fs::create_directory(path);
  EXPECT_FALSE(folder->CheckThere().ok());
}

TEST(OpenFolderTest, MayBeALink) {
  const std::string above = NewFolder();
  fs::create_directory(above + "/real");
  fs::create_directory_symlink(above + "/real", above + "/link");
  const absl::StatusOr<OpenFolder> folder = OpenFolder::Open(above + "/link");
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_TRUE(folder->CheckThere().ok());
}

TEST(OpenFolderTest, WhatIsNoFolderCannotBeOpened) {
  const std::string above = NewFolder();
  EXPECT_TRUE(absl::IsUnavailable(OpenFolder::Open(above + "/none").status()));
  WriteFile(above + "/file", "");
  EXPECT_TRUE(absl::IsUnavailable(OpenFolder::Open(above + "/file").status()));
}

}  // namespace
}  // namespace cmerc
