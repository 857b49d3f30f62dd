#include "report/markup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/report/xml.h"

namespace cmerc::report {
namespace {

TEST(EscapeXmlTest, WhatMarkupIsMadeOf) {
  EXPECT_EQ(EscapeXml("a < b && \"c\" > 'd'"),
            "a &lt; b &amp;&amp; &quot;c&quot; &gt; &#39;d&#39;");
  EXPECT_EQ(EscapeXml("&amp;"), "&amp;amp;");
  EXPECT_EQ(EscapeXml("]]>"), "]]&gt;");
}

TEST(EscapeXmlTest, KeepsUtf8) {
  for (const char* text : {"", "joy", "tab\tline\n", "愤怒", "é", "😀", "\xED\x9F\xBF"}) {
    EXPECT_EQ(EscapeXml(text), text);
  }
}

// Each of these is no character of XML 1.0, or no UTF-8.
TEST(EscapeXmlTest, ReplacesWhatXmlForbids) {
  const std::string gone = "\xEF\xBF\xBD";
  EXPECT_EQ(EscapeXml(absl::string_view("a\0b", 3)), "a" + gone + "b");
  EXPECT_EQ(EscapeXml("\x1B[1m"), gone + "[1m");
  EXPECT_EQ(EscapeXml("\x80"), gone);
  EXPECT_EQ(EscapeXml("\xC3"), gone);                                   // cut short
  EXPECT_EQ(EscapeXml("\xC3<"), gone + "&lt;");                         // swallows nothing
  EXPECT_EQ(EscapeXml("\xC0\xBC"), gone + gone);                        // an overlong '<'
  EXPECT_EQ(EscapeXml("\xE0\x80\xBC"), gone + gone + gone);             // and again
  EXPECT_EQ(EscapeXml("\xED\xA0\x80"), gone + gone + gone);             // a surrogate
  EXPECT_EQ(EscapeXml("\xEF\xBF\xBF"), gone + gone + gone);             // U+FFFF
  EXPECT_EQ(EscapeXml("\xF4\x90\x80\x80"), gone + gone + gone + gone);  // beyond Unicode
}

TEST(MarkupTest, ElementsNestAndFinishClosesThem) {
  Markup markup;
  markup.Open("p", {{"class", "a\"b"}}).Text("1 < 2").Empty("br").Open("b").Text("x");
  EXPECT_EQ(markup.Finish(), "<p class=\"a&quot;b\">1 &lt; 2<br/>\n<b>x</b>\n</p>\n");
}

// The tests' own reader must see what it is there for.
TEST(ParseXmlTest, IsStrict) {
  EXPECT_TRUE(ParseXml("<!DOCTYPE html>\n<a b=\"1\"><c/>x &lt; y</a>\n").ok());
  for (const char* text :
       {"", "x", "<a>", "<a></b>", "<a><b></a></b>", "<a b=1></a>", "<a b=\"1\" b=\"2\"></a>",
        "<a b=\"<\"></a>", "<a>&</a>", "<a>&nbsp;</a>", "<a/><b/>", "<a>\x01</a>", "<a b></a>",
        "<a><br></a>", "<a b=\"1\"c=\"2\"></a>"}) {
    EXPECT_FALSE(ParseXml(text).ok()) << text;
  }
}

}  // namespace
}  // namespace cmerc::report
