#include "bin/polled_input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <istream>
#include <string>
#include <thread>

namespace cmerc {
namespace {

class PolledInputTest : public testing::Test {
 protected:
  PolledInputTest() : ends_(Pipe()), input_(ends_[0]), stream_(&input_) {}
  ~PolledInputTest() override {
    close(ends_[0]);
    if (ends_[1] >= 0) close(ends_[1]);
  }

  static std::array<int, 2> Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    return ends;
  }

  void Say(const std::string& text) const {
    EXPECT_EQ(write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void End() {
    close(ends_[1]);
    ends_[1] = -1;
  }
  std::string Line() {
    std::string line;
    return std::getline(stream_, line) ? line : "end";
  }

  std::array<int, 2> ends_;
  PolledInput input_;
  std::istream stream_;
};

TEST_F(PolledInputTest, KnowsWhetherALineIsThere) {
  EXPECT_FALSE(input_.HasLine());
  Say("one");
  EXPECT_FALSE(input_.HasLine());
  Say(" more\ntwo\nth");
  EXPECT_TRUE(input_.HasLine());
  EXPECT_EQ(Line(), "one more");
  EXPECT_TRUE(input_.HasLine());
  EXPECT_EQ(Line(), "two");
  EXPECT_FALSE(input_.HasLine());
  End();
  EXPECT_TRUE(input_.HasLine());  // the end is
  EXPECT_EQ(Line(), "th");
  EXPECT_TRUE(input_.HasLine());
  EXPECT_EQ(Line(), "end");
  EXPECT_EQ(input_.error(), 0);
}

// Whoever waits behind a blank line waits for somebody to write another.
TEST_F(PolledInputTest, BlankLinesAreNone) {
  Say("\n \t\r\n");
  EXPECT_FALSE(input_.HasLine());
  Say("x\n");
  EXPECT_TRUE(input_.HasLine());
  EXPECT_EQ(Line(), "");
  EXPECT_EQ(Line(), " \t\r");
  EXPECT_EQ(Line(), "x");
}

TEST_F(PolledInputTest, ReadsLinesOfAnyLength) {
  const std::string longest(9 << 20, 'x');
  std::thread writer([&] {
    for (const std::string& text : {longest, std::string("\n"), std::string("y\n")}) {
      for (size_t begin = 0; begin < text.size();) {
        const ssize_t count = write(ends_[1], text.data() + begin, text.size() - begin);
        if (count <= 0) return;
        begin += static_cast<size_t>(count);
      }
    }
  });
  EXPECT_EQ(Line(), longest);
  EXPECT_EQ(Line(), "y");
  writer.join();
}

TEST_F(PolledInputTest, ShowsTheHeadAndTakesNothing) {
  Say("abc\n");
  EXPECT_EQ(input_.Head(), "abc\n");
  EXPECT_EQ(input_.Head(), "abc\n");
  EXPECT_EQ(Line(), "abc");
  End();
  EXPECT_EQ(input_.Head(), "");
}

TEST(PolledInputErrorTest, SaysWhyItEnded) {
  const int folder = open("/", O_RDONLY);
  ASSERT_GE(folder, 0);
  PolledInput input(folder);
  std::istream stream(&input);
  std::string line;
  EXPECT_FALSE(std::getline(stream, line));
  EXPECT_EQ(input.error(), EISDIR);
  EXPECT_TRUE(input.HasLine());
  close(folder);
}

}  // namespace
}  // namespace cmerc
