#include "storage/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

void Write(const std::string& path, const std::string& contents) {
  const absl::Status status = WriteFileAtomically(path, contents);
  ASSERT_TRUE(status.ok()) << status;
}

TEST(AtomicFileTest, ReplacesWhatWasThere) {
  const std::string path = NewFolder() + "/file";
  Write(path, "old");
  chmod(path.c_str(), 0640);
  Write(path, "new");
  EXPECT_EQ(ReadFile(path), "new");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_EQ(Files(fs::path(path).parent_path()).size(), 1u);
}

TEST(AtomicFileTest, FollowsLinks) {
  const std::string folder = NewFolder();
  fs::create_directory(folder + "/far");
  WriteFile(folder + "/far/there", "old");
  fs::create_symlink("far/there", folder + "/link");
  fs::create_symlink(folder + "/link", folder + "/link_to_link");
  Write(folder + "/link_to_link", "new");
  EXPECT_EQ(ReadFile(folder + "/far/there"), "new");
  EXPECT_TRUE(fs::is_symlink(folder + "/link"));
  EXPECT_TRUE(fs::is_symlink(folder + "/link_to_link"));
}

TEST(AtomicFileTest, FollowsALinkToAFileThatIsNotThereYet) {
  const std::string folder = NewFolder();
  fs::create_directory(folder + "/far");
  fs::create_directory(folder + "/near");
  fs::create_symlink("../far/yet_to_come", folder + "/near/link");
  Write(folder + "/near/link", "new");
  EXPECT_TRUE(fs::is_symlink(folder + "/near/link"));
  EXPECT_EQ(ReadFile(folder + "/far/yet_to_come"), "new");
  fs::create_symlink("no/such/folder/file", folder + "/nowhere");
  const absl::Status nowhere = WriteFileAtomically(folder + "/nowhere", "new");
  EXPECT_TRUE(absl::IsNotFound(nowhere)) << nowhere;
  EXPECT_TRUE(fs::is_symlink(folder + "/nowhere"));
}

TEST(AtomicFileTest, LinksThatGoRoundInCirclesAreRefused) {
  const std::string folder = NewFolder();
  fs::create_symlink("b", folder + "/a");
  fs::create_symlink("a", folder + "/b");
  const absl::Status status = WriteFileAtomically(folder + "/a", "new");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat("cannot write ", folder, "/a: Too many levels of symbolic")));
  EXPECT_TRUE(fs::is_symlink(folder + "/a"));
}

// A process that is killed while it writes `path`, and what it leaves behind.
void KillWhileWriting(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    const auto file = AtomicFile::Create(path);
    if (file.ok() && (*file)->Write("half").ok()) raise(SIGKILL);
    _exit(1);
  }
  int ending = 0;
  ASSERT_EQ(waitpid(child, &ending, 0), child);
  ASSERT_TRUE(WIFSIGNALED(ending));
}

int Temporaries(const std::string& folder) {
  int count = 0;
  for (const auto& [name, contents] : Files(folder))
    count += absl::EndsWith(name, kTemporaryEnding);
  return count;
}

TEST(AtomicFileTest, WhatAKilledProcessLeftIsRemoved) {
  const std::string folder = NewFolder();
  KillWhileWriting(folder + "/file");
  KillWhileWriting(folder + "/other");
  ASSERT_GE(Temporaries(folder), 1);  // the second has removed that of the first
  Write(folder + "/file", "whole");
  EXPECT_EQ(Temporaries(folder), 0);
  EXPECT_EQ(ReadFile(folder + "/file"), "whole");
  EXPECT_FALSE(fs::exists(folder + "/other"));
}

TEST(AtomicFileTest, WhatIsBeingWrittenIsNotRemoved) {
  const std::string folder = NewFolder();
  auto slow = AtomicFile::Create(folder + "/slow");
  ASSERT_TRUE(slow.ok()) << slow.status();
  ASSERT_TRUE((*slow)->Write("a").ok());
  Write(folder + "/quick", "x");
  const pid_t child = fork();
  if (child == 0) _exit(WriteFileAtomically(folder + "/third", "x").ok() ? 0 : 1);
  int ending = 0;
  ASSERT_EQ(waitpid(child, &ending, 0), child);
  ASSERT_EQ(ending, 0);
  ASSERT_TRUE((*slow)->Write("b").ok());
  ASSERT_TRUE((*slow)->Commit().ok());
  EXPECT_EQ(ReadFile(folder + "/slow"), "ab");
}

TEST(AtomicFileTest, OtherFilesAreNobodysLeftovers) {
  const std::string folder = NewFolder();
  for (const char* name : {"notes.cmerc-tmp", "a.1.b.cmerc-tmp", "a..1.cmerc-tmp", ".1.1.cmerc-tmp",
                           "a.1.1.cmerc-tmp.txt"}) {
    WriteFile(absl::StrCat(folder, "/", name), "mine");
  }
  const size_t before = Files(folder).size();
  Write(folder + "/file", "x");
  EXPECT_EQ(Files(folder).size(), before + 1);
}

}  // namespace
}  // namespace cmerc
