// Wrong use never crashes and leaves no files behind: the program ends with the exit status of the
// table and says what is wrong where, and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/bin/bad_files.h"
#include "tests/bin/bad_input_cases.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class BadInputTest : public testing::TestWithParam<BadInput> {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewFolder());
    WriteFile(*folder_ + "/tiny.textproto", TinyConfig());
    const Outcome trained =
        RunCmerc({"train", "--config=tiny.textproto", "--output=run"}, *folder_);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    WriteBadFiles(*folder_);
  }

  static std::string* folder_;
};

std::string* BadInputTest::folder_ = nullptr;

TEST_P(BadInputTest, EndsAsTheTableSaysAndSaysWhatToDo) {
  if (GetParam().standard_output == "/dev/full" && !std::filesystem::exists("/dev/full")) {
    GTEST_SKIP() << "this system has no /dev/full";
  }
  const auto before = Files(*folder_);
  Surroundings surroundings;
  surroundings.environment = GetParam().environment;
  surroundings.standard_output = GetParam().standard_output;
  const Outcome outcome = RunCmerc(GetParam().args, *folder_, surroundings);
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code);
  EXPECT_THAT(outcome.err, StartsWith("cmerc: "));
  EXPECT_THAT(outcome.err, EndsWith("\n"));
  size_t end_of_last = 0;  // docs/troubleshooting.md shows the parts as one message
  for (const std::string& part : GetParam().says) {
    const size_t place = outcome.err.find(part, end_of_last);
    if (place == std::string::npos) {
      ADD_FAILURE() << "want \"" << part << "\", behind the parts before it, in " << outcome.err;
      continue;
    }
    end_of_last = place + part.size();
  }
  EXPECT_THAT(outcome.err, Not(testing::ContainsRegex("\n[^ ]"))) << "a line is not indented";
  // What LibTorch, Protobuf and the C++ library say when nobody catches them.
  for (const char* dump : {"enforce fail", "Exception raised", "frame #", "c10::", "libprotobuf",
                           "terminate called", "what():", ".cpp:", "std::"}) {
    EXPECT_THAT(outcome.err, Not(HasSubstr(dump)));
  }
  EXPECT_EQ(Files(*folder_), before) << "files were written";
}

INSTANTIATE_TEST_SUITE_P(Table, BadInputTest, testing::ValuesIn(BadInputs()),
                         [](const auto& info) { return info.param.name; });

TEST(ReadOnlyFolderTest, EndsWithTwo) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere; run the tests as another user";
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  ASSERT_EQ(chmod(folder.c_str(), 0500), 0);
  const Outcome outcome = RunCmerc({"train", "--config=tiny.textproto", "--output=run"}, folder);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("cannot create run: Permission denied; choose a folder"));
  const Outcome here = RunCmerc({"train", "--config=tiny.textproto", "--output=."}, folder);
  EXPECT_EQ(here.exit_code, 2);
  EXPECT_THAT(here.err, HasSubstr("cannot write into .: Permission denied; choose a folder"));
  ASSERT_EQ(chmod(folder.c_str(), 0700), 0);
}

}  // namespace
}  // namespace cmerc
