#include "core/printable.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

TEST(PrintableTest, ControlCharactersAreSpelledOut) {
  EXPECT_EQ(Printable("a\x1b[2Jb\x7f\r"), "a\\x1b[2Jb\\x7f\\x0d");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "2J"),
            "\\u009b2J");
  EXPECT_EQ(Printable("two\nlines\tand \xC3\xA9"), "two\nlines\tand \xC3\xA9");
  EXPECT_EQ(OneLine("two\nlines\tand \x1b"), "two\\nlines\\tand \\x1b");
}

TEST(PrintableTest, ColumnsAreCharacters) {
  EXPECT_EQ(Columns(""), 0u);
  EXPECT_EQ(Columns("B\xC3\xA4r"), 3u);
}

TEST(CsvFieldTest, IsQuotedAndNoFormula) {
  EXPECT_EQ(CsvField(""), "\"\"");
  EXPECT_EQ(CsvField("au,d\"i|o"), "\"au,d\"\"i|o\"");
  EXPECT_EQ(CsvField("two\nlines"), "\"two\nlines\"");
  for (const char* text : {"=1+1", "+1", "-1", "@x", "\tx", "\rx"}) {
    EXPECT_EQ(CsvField(text), std::string("\"'") + text + "\"");
  }
  EXPECT_EQ(CsvField("a=1"), "\"a=1\"");
}

TEST(MarkdownCellTest, StaysInItsCell) {
  EXPECT_EQ(MarkdownCell("a|b"), "a\\|b");
  EXPECT_EQ(MarkdownCell("a\\|b"), "a\\\\\\|b");
  EXPECT_EQ(MarkdownCell("two\nlines"), "two\\nlines");
}

}  // namespace
}  // namespace cmerc
