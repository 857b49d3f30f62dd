#include "storage/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

TEST(FolderLockTest, HoldsAFolderUntilItGoes) {
  const std::string folder = NewFolder();
  EXPECT_FALSE(IsLocked(folder));
  {
    const absl::StatusOr<FolderLock> lock = FolderLock::Take(folder);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_TRUE(IsLocked(folder));
    EXPECT_EQ(ReadFile(folder + "/lock"), absl::StrCat(getpid(), "\n"));
    const absl::Status other = FolderLock::Take(folder).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(other));
    EXPECT_EQ(other.message(),
              absl::StrCat("another process (process ", getpid(), ") writes into ", folder));
  }
  EXPECT_FALSE(IsLocked(folder));
  EXPECT_FALSE(std::filesystem::exists(folder + "/lock"));
  EXPECT_TRUE(FolderLock::Take(folder).ok());
}

TEST(FolderLockTest, AnotherProcessIsKeptOut) {
  const std::string folder = NewFolder();
  const absl::StatusOr<FolderLock> lock = FolderLock::Take(folder);
  ASSERT_TRUE(lock.ok()) << lock.status();
  const pid_t child = fork();
  if (child == 0) _exit(absl::IsFailedPrecondition(FolderLock::Take(folder).status()) ? 0 : 1);
  int ending = 0;
  ASSERT_EQ(waitpid(child, &ending, 0), child);
  EXPECT_EQ(ending, 0);
  EXPECT_TRUE(IsLocked(folder));
}

TEST(FolderLockTest, ADeadProcessHoldsNothing) {
  const std::string folder = NewFolder();
  const pid_t child = fork();
  if (child == 0) {
    const absl::StatusOr<FolderLock> lock = FolderLock::Take(folder);
    _exit(lock.ok() ? 0 : 1);  // the file stays
  }
  int ending = 0;
  ASSERT_EQ(waitpid(child, &ending, 0), child);
  ASSERT_EQ(ending, 0);
  ASSERT_TRUE(std::filesystem::exists(folder + "/lock"));
  EXPECT_FALSE(IsLocked(folder));
  EXPECT_TRUE(FolderLock::Take(folder).ok());
}

TEST(FolderLockTest, CanBeMoved) {
  const std::string folder = NewFolder();
  absl::StatusOr<FolderLock> lock = FolderLock::Take(folder);
  ASSERT_TRUE(lock.ok()) << lock.status();
  std::optional<FolderLock> moved(*std::move(lock));
  EXPECT_TRUE(IsLocked(folder));
  moved.reset();
  EXPECT_FALSE(IsLocked(folder));
}

TEST(FolderLockTest, AFileOfAnotherKindIsNotTheNameOfAProcess) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/lock", "\033[2J");
  const absl::StatusOr<FolderLock> lock = FolderLock::Take(folder);
  ASSERT_TRUE(lock.ok()) << lock.status();
  WriteFile(folder + "/lock", "\033[2J");
  EXPECT_EQ(FolderLock::Take(folder).status().message(),
            absl::StrCat("another process writes into ", folder));
}

TEST(FolderLockTest, AFolderThatIsNotThere) {
  const absl::Status status = FolderLock::Take("/nonexistent/folder").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(status.message(), HasSubstr("cannot write /nonexistent/folder/lock: No such file"));
}

TEST(FolderLockTest, ALinkIsNotFollowed) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/precious", "kept");
  std::filesystem::create_symlink(folder + "/precious", folder + "/lock");
  EXPECT_FALSE(FolderLock::Take(folder).ok());
  EXPECT_EQ(ReadFile(folder + "/precious"), "kept");
}

}  // namespace
}  // namespace cmerc
