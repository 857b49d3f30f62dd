// On a terminal a bar shows the progress, never wraps, and is gone in the end.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kClearLine[] = "\r\033[K";

// The standard error of `cmerc train` on the tiny config, where that is a terminal of so many
// columns and of the type `term`.
std::string TerminalOf(int columns, const char* term) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  const std::string binary = std::filesystem::absolute("bin/cmerc");
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_EQ(grantpt(master), 0);
  EXPECT_EQ(unlockpt(master), 0);
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  EXPECT_EQ(ioctl(master, TIOCSWINSZ, &size), 0);
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  EXPECT_GE(slave, 0);
  const pid_t child = fork();
  if (child == 0) {
    const int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    dup2(slave, STDERR_FILENO);
    close(slave);
    close(master);
    setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), 1);
    setenv("TERM", term, 1);
    execl(binary.c_str(), "cmerc", "train", "--config=tiny.textproto", "--output=run",
          static_cast<char*>(nullptr));
    _exit(127);
  }
  close(slave);
  std::string text;
  char buffer[4096];
  ssize_t count;
  // Ends with an error when the child, the last that has the other side open, ends.
  while ((count = read(master, buffer, sizeof(buffer))) > 0) text.append(buffer, count);
  close(master);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << text;
  return text;
}

class TerminalTest : public testing::Test {
 protected:
  void SetUp() override {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) {
      GTEST_SKIP() << "this machine gives no pseudo-terminals (no devpts in a bare chroot): "
                   << std::strerror(errno);
    }
    close(master);
  }
};

TEST_F(TerminalTest, ABarFitsIntoTheTerminal) {
  for (const int columns : {200, 80, 40, 20}) {
    const std::string text = TerminalOf(columns, "xterm");
    EXPECT_THAT(text, StartsWith(kClearLine));
    EXPECT_THAT(text, EndsWith(kClearLine)) << "the last bar is still there";
    std::vector<std::string> bars =
        absl::StrSplit(absl::StrReplaceAll(text, {{kClearLine, "\n"}}), '\n', absl::SkipEmpty());
    ASSERT_FALSE(bars.empty());
    for (const std::string& bar : bars) {
      // In the last column some terminals go on to the next line.
      EXPECT_LT(bar.size(), static_cast<size_t>(columns)) << bar;
      EXPECT_THAT(bar, StartsWith("epoch 1/1 ["));
    }
    // Half of 24 where there is room; the bar shrinks before the numbers are cut off.
    const std::string half = columns >= 80 ? "[############............] 1/2  " : "] 1/2  ";
    if (columns > 20) {
      EXPECT_THAT(bars[0], HasSubstr(half));
    }
  }
}

TEST_F(TerminalTest, NoBarWhereALineCannotBeCleared) { EXPECT_EQ(TerminalOf(80, "dumb"), ""); }

}  // namespace
}  // namespace cmerc
