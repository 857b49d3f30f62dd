#include "bin/resumed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::unique_ptr<ResumedFile> MustOpen(const std::string& path, int64_t remembered) {
  absl::StatusOr<std::unique_ptr<ResumedFile>> file = ResumedFile::Open(path, remembered);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

TEST(ResumedFileTest, BeginsWhereNothingIs) {
  const std::string path = NewFolder() + "/answers.jsonl";
  const auto file = MustOpen(path, 2);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->lines(), 0);
  EXPECT_THAT(*file->LinesFrom(0), IsEmpty());
  EXPECT_TRUE(file->Append("a\n").ok());
  EXPECT_TRUE(file->Append("bc\n").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(ReadFile(path), "a\nbc\n");
}

TEST(ResumedFileTest, CutsHalfALineWhenItWritesAndNotBefore) {
  const std::string path = NewFolder() + "/answers.jsonl";
  WriteFile(path, "first\nsecond\nthird\nfou");
  {
    const auto file = MustOpen(path, 2);
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->lines(), 3);
    EXPECT_THAT(*file->LinesFrom(1), ElementsAre("second", "third"));
    EXPECT_THAT(*file->LinesFrom(3), IsEmpty());
    EXPECT_EQ(ReadFile(path), "first\nsecond\nthird\nfou");
    EXPECT_TRUE(file->Append("fourth\n").ok());
  }
  EXPECT_EQ(ReadFile(path), "first\nsecond\nthird\nfourth\n");
  WriteFile(path, "fir");
  const auto file = MustOpen(path, 2);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->lines(), 0);
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(ReadFile(path), "");
}

// Lines may be longer than what is read at once, and many more than what is remembered.
TEST(ResumedFileTest, RemembersTheLastLinesOfAnyLength) {
  const std::string path = NewFolder() + "/answers.jsonl";
  std::string text;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&text, "line ", i, "\n");
  const std::string longest(3000000, 'x');
  absl::StrAppend(&text, longest, "\n", "last\n");
  WriteFile(path, text);
  for (const int64_t remembered : {1, 3, 16}) {
    const auto file = MustOpen(path, remembered);
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->lines(), 1002);
    const absl::StatusOr<std::vector<std::string>> lines = file->LinesFrom(1002 - remembered);
    ASSERT_TRUE(lines.ok()) << lines.status();
    EXPECT_THAT(*lines, SizeIs(remembered));
    EXPECT_EQ(lines->back(), "last");
    if (remembered < 3) continue;
    EXPECT_EQ((*lines)[lines->size() - 2], longest);
    EXPECT_EQ((*lines)[lines->size() - 3], "line 999");
  }
}

TEST(ResumedFileTest, IsOfOneProcessAtATime) {
  const std::string path = NewFolder() + "/answers.jsonl";
  const auto file = MustOpen(path, 1);
  const absl::Status again = ResumedFile::Open(path, 1).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(again.message(), HasSubstr("answers.jsonl: another process is writing it"));
  const absl::Status nowhere = ResumedFile::Open(path + "/x", 1).status();
  EXPECT_THAT(nowhere.message(), HasSubstr("/answers.jsonl/x: cannot be opened"));
}

}  // namespace
}  // namespace cmerc
