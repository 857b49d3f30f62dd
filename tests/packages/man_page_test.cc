// The manual page, as source and as it is read.
#include "packages/man_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bin/command_line.h"
#include "bin/version.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The page as man(1) shows it, without bold and italics. Warnings of the typesetter fail the test.
std::string Read(const std::string& source) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/page.1", source);
  // By a shell, since groff wants to be called by its own name.
  const Outcome outcome = RunProgram(
      "/bin/sh",
      {"-c", absl::StrCat("exec /usr/bin/groff -man -ww -Tascii -P-cbou ", folder, "/page.1")},
      folder);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  return outcome.out;
}

// The subsection of a command, as it is read.
std::string PartOn(const std::string& command, const std::string& page) {
  const size_t begin = page.find(absl::StrCat("\n   ", command, "\n"));
  if (begin == std::string::npos) return "";
  size_t end = page.find("\n   ", begin + 1);
  while (end != std::string::npos && page[end + 4] == ' ') end = page.find("\n   ", end + 1);
  return page.substr(begin, end == std::string::npos ? end : end - begin);
}

bool HasGroff() { return std::filesystem::exists("/usr/bin/groff"); }

constexpr char kNoGroff[] = "there is no /usr/bin/groff (Debian: groff-base, with man-db)";

std::vector<CommandSpec> Table() {
  return {{"weigh",
           ".say what `x` weighs",
           "cmerc weigh one --config=config/examples/a.textproto\n  cmerc weigh two b~c.json",
           {{"scale", FlagSpec::Kind::kValue, "'its' C:\\dir and -1", "FILE"},
            {"dry", FlagSpec::Kind::kSwitch, "\"nothing\" ^ else", ""}},
           Words::kFiles,
           {"one", "two"}},
          {"ask", "what one likes", "cmerc ask [NAME]", {}, Words::kTopic}};
}

// Nothing of a text is taken for markup, and what can be copied has the characters of a keyboard.
TEST(ManPageTest, TextsComeOutAsTheyAre) {
  if (!HasGroff()) GTEST_SKIP() << kNoGroff;
  EXPECT_THAT(Read(ManPage(Table(), "7.8.9")),
              AllOf(HasSubstr("cmerc 7.8.9"), HasSubstr("\n       .say what `x` weighs\n"),
                    HasSubstr("'its' C:\\dir and -1\n"), HasSubstr("\"nothing\" ^ else\n"),
                    HasSubstr("\n       --scale=FILE"), HasSubstr("\n       --dry"),
                    HasSubstr("cmerc weigh {one|two} [FLAG]... [FILE]...\n"),
                    HasSubstr("cmerc ask [NAME]\n"),
                    HasSubstr("  cmerc weigh one --config=/usr/share/cmerc/examples/a.textproto\n"),
                    HasSubstr("  cmerc weigh two b~c.json\n")));
}

TEST(ManPageTest, HoldsEveryCommandAndFlag) {
  if (!HasGroff()) GTEST_SKIP() << kNoGroff;
  const std::string page = Read(ReadFile("packages/cmerc.1"));
  for (const CommandSpec& command : CommandSpecs()) {
    const std::string part = PartOn(command.name, page);
    EXPECT_THAT(part, HasSubstr("  cmerc " + command.name + " ")) << command.name;
    for (const FlagSpec& flag : command.flags) {
      EXPECT_THAT(part, HasSubstr(absl::StrCat("\n       --", flag.name,
                                               flag.value.empty() ? "" : "=", flag.value)));
    }
  }
}

// What a package holds is made when it is built, so that no one has to think of it.
TEST(ManPageTest, IsThatOfThisVersion) {
  EXPECT_EQ(ReadFile("packages/cmerc.1"), ManPage(CommandSpecs(), kVersion));
  EXPECT_THAT(ReadFile("packages/cmerc.1"),
              HasSubstr(absl::StrCat("\n.TH CMERC 1 \"\" \"cmerc ", kVersion, "\" ")));
}

}  // namespace
}  // namespace cmerc
