// What is drawn where: coordinates are those of the picture, 360 wide.
#include "report/charts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "report/figure.h"
#include "report/frame.h"
#include "tests/report/xml.h"

namespace cmerc::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

XmlElement Parsed(const std::string& figure) {
  const absl::StatusOr<XmlElement> root = ParseXml(figure);
  EXPECT_TRUE(root.ok()) << root.status() << "\n" << figure;
  return root.ok() ? *root : XmlElement();
}

// What a mark says when it is pointed at.
std::string Tooltip(const XmlElement& mark) {
  return mark.children.empty() ? "" : mark.children[0].text;
}

std::vector<std::string> Row(const XmlElement& figure, size_t row) {
  std::vector<std::string> cells;
  const std::vector<XmlElement> rows = FindAll(figure, "tr");
  if (row >= rows.size()) return cells;
  for (const XmlElement& cell : rows[row].children) cells.push_back(cell.text);
  return cells;
}

// The edges that a Frame has unless it is told otherwise.
const Frame kFrame;

LineChart TwoLines() {
  LineChart chart;
  chart.heading = {"Loss", "How it falls."};
  chart.x_label = "epoch";
  chart.x = {0, 1, 2};
  chart.series = {{"train", {0, 10, 5}}, {"valid", {10, std::nan(""), 0}}};
  chart.mark = 2;
  chart.mark_label = "selected";
  return chart;
}

TEST(LineChartTest, LinesRunThroughTheirValues) {
  const XmlElement figure = Parsed(DrawLineChart(TwoLines()));
  const std::vector<XmlElement> lines = FindAll(figure, "path");
  ASSERT_EQ(lines.size(), 2u);
  // x from 46 to 350, y from 186 up to 10: the axes are 0 to 2 and 0 to 10.
  EXPECT_EQ(lines[0].attributes.at("d"), "M46 186 L198 10 L350 98");
  EXPECT_EQ(lines[0].attributes.at("class"), "line s0");
  // A value that is missing breaks the line.
  EXPECT_EQ(lines[1].attributes.at("d"), "M46 10 M350 186");
  const std::vector<XmlElement> dots = FindAll(figure, "circle", "fill s1");
  ASSERT_EQ(dots.size(), 2u);
  EXPECT_EQ(dots[1].number("cx"), kFrame.right);
  EXPECT_EQ(dots[1].number("cy"), kFrame.bottom);
  EXPECT_EQ(Tooltip(dots[1]), "valid, epoch 2: 0");
  const std::vector<XmlElement> marks = FindAll(figure, "line", "mark");
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].number("x1"), kFrame.right);
  EXPECT_EQ(Tooltip(marks[0]), "selected");
}

TEST(LineChartTest, HasATitleADescriptionALegendAndItsNumbers) {
  const XmlElement figure = Parsed(DrawLineChart(TwoLines()));
  const XmlElement svg = FindAll(figure, "svg")[0];
  EXPECT_EQ(svg.attributes.at("role"), "img");
  EXPECT_EQ(svg.children[0].tag, "title");
  EXPECT_EQ(svg.children[0].text, "Loss");
  EXPECT_EQ(svg.children[1].tag, "desc");
  EXPECT_EQ(svg.children[1].text, "How it falls.");
  EXPECT_EQ(FindAll(figure, "figcaption")[0].text, "Loss");
  const std::vector<XmlElement> legend = FindAll(figure, "p", "legend");
  ASSERT_EQ(legend.size(), 1u);
  EXPECT_EQ(FindAll(legend[0], "span").size(), 3u);  // two lines and the mark
  EXPECT_THAT(Row(figure, 0), ElementsAre("epoch", "train", "valid"));
  EXPECT_THAT(Row(figure, 2), ElementsAre("1", "10", "-"));
}

TEST(LineChartTest, PercentAndAGivenAxis) {
  LineChart chart = TwoLines();
  chart.series = {{"f1", {0.25, 0.5, 0.75}}};
  chart.mark.reset();
  chart.numbers = Numbers::kPercent;
  chart.y_axis = Axis{0, 1, 0.5};
  const XmlElement figure = Parsed(DrawLineChart(chart));
  EXPECT_EQ(FindAll(figure, "path")[0].attributes.at("d"), "M46 142 L198 98 L350 54");
  EXPECT_THAT(FindAll(figure, "svg")[0].text, HasSubstr("50 %"));
  EXPECT_THAT(Row(figure, 1), ElementsAre("0", "25.0 %"));
  // A single line needs no legend.
  EXPECT_TRUE(FindAll(figure, "p", "legend").empty());
}

TEST(LineChartTest, OneEpochIsADot) {
  LineChart chart = TwoLines();
  chart.x = {1};
  chart.mark.reset();
  chart.series = {{"train", {3}}};
  const XmlElement figure = Parsed(DrawLineChart(chart));
  ASSERT_EQ(FindAll(figure, "circle").size(), 1u);
  EXPECT_EQ(FindAll(figure, "circle")[0].number("cx"), (kFrame.left + kFrame.right) / 2);
}

TEST(LineChartTest, NoNumberThatIsNotFiniteIsDrawn) {
  LineChart chart = TwoLines();
  const double infinity = std::numeric_limits<double>::infinity();
  chart.series = {{"a", {infinity, std::nan(""), -infinity}}, {"b", {1e308, -1e308, 0}}};
  const std::string text = DrawLineChart(chart);
  Parsed(text);
  EXPECT_THAT(text, Not(testing::ContainsRegex("=\"[^\"]*(nan|inf)")));
  chart.x = {};
  chart.series = {{"a", {}}};
  Parsed(DrawLineChart(chart));
}

TEST(PointChartTest, ADotPerPoint) {
  PointChart chart;
  chart.heading = {"Curriculum", "Dots."};
  chart.x_label = "first epoch";
  chart.y_label = "difficulty";
  chart.whole_x = true;
  chart.points = {{0, 0, "Ses1: 0"}, {4, 1, "Ses<2>: 1"}, {2, std::nan(""), "lost"}};
  const XmlElement figure = Parsed(DrawPointChart(chart));
  const std::vector<XmlElement> dots = FindAll(figure, "circle");
  ASSERT_EQ(dots.size(), 2u);
  EXPECT_EQ(dots[0].number("cx"), kFrame.left);
  EXPECT_EQ(dots[0].number("cy"), kFrame.bottom);
  EXPECT_EQ(dots[1].number("cx"), kFrame.right);
  EXPECT_EQ(dots[1].number("cy"), kFrame.top);
  EXPECT_EQ(Tooltip(dots[1]), "Ses<2>: 1");
  EXPECT_THAT(figure.text, HasSubstr("up: difficulty"));
}

TEST(BarChartTest, BarsBeginAtZero) {
  BarChart chart;
  chart.heading = {"Rise", "Bars."};
  chart.row_label = "without";
  chart.series = {"calibrated", "uncalibrated"};
  chart.groups = {{"text", {-1, 1}}, {"audio", {0.5, std::nan("")}}};
  const XmlElement figure = Parsed(DrawBarChart(chart));
  const std::vector<XmlElement> first = FindAll(figure, "rect", "fill s0");
  const std::vector<XmlElement> second = FindAll(figure, "rect", "fill s1");
  ASSERT_EQ(first.size(), 3u);  // the last is in the legend
  ASSERT_EQ(second.size(), 2u);
  const double zero = second[0].number("x");
  // The bar of -1 ends where that of 1 begins, and is as long.
  EXPECT_NEAR(first[0].number("x") + first[0].number("width"), zero, 0.11);  // two roundings
  EXPECT_NEAR(first[0].number("width"), second[0].number("width"), 0.11);
  EXPECT_NEAR(first[1].number("width"), second[0].number("width") / 2, 0.11);
  EXPECT_EQ(FindAll(figure, "line", "axis")[0].number("x1"), zero);
  // One below the other, the second group below the first.
  EXPECT_LT(first[0].number("y"), second[0].number("y"));
  EXPECT_LT(second[0].number("y"), first[1].number("y"));
  EXPECT_EQ(Tooltip(first[0]), "text, calibrated: -1");
  EXPECT_THAT(Row(figure, 2), ElementsAre("audio", "0.5", "-"));
}

TEST(BarChartTest, EqualReachIsTheSameScale) {
  BarChart chart;
  chart.series = {"a"};
  chart.groups = {{"x", {0.2}}};
  chart.reach = 0.8;
  const double short_bar =
      FindAll(Parsed(DrawBarChart(chart)), "rect", "fill s0")[0].number("width");
  chart.groups = {{"x", {0.4}}};
  const double long_bar =
      FindAll(Parsed(DrawBarChart(chart)), "rect", "fill s0")[0].number("width");
  EXPECT_NEAR(long_bar, 2 * short_bar, 0.15);  // three roundings to a tenth
}

TEST(BarChartTest, EverythingLiesInThePicture) {
  BarChart chart;
  chart.series = {"a"};
  chart.groups = {{"a name that is far too long for the edge of a picture", {-0.001}},
                  {"b", {123456}}};
  const XmlElement figure = Parsed(DrawBarChart(chart));
  ASSERT_EQ(FindAll(figure, "rect").size(), 2u);
  for (const XmlElement& bar : FindAll(figure, "rect")) {
    EXPECT_GE(bar.number("x"), 0);
    EXPECT_LE(bar.number("x") + bar.number("width"), kPictureWidth);
  }
  EXPECT_THAT(FindAll(figure, "text")[0].text, HasSubstr("…"));
  EXPECT_THAT(Row(figure, 1)[0], HasSubstr("far too long"));
  chart.groups = {{"zero", {0}}};
  EXPECT_EQ(FindAll(Parsed(DrawBarChart(chart)), "rect")[0].number("width"), 0);
}

// The width of a text of 12 pixels is at most this for each character.
constexpr double kWidest = 7.6;

// A number beside a bar is not cut off at the edge of the picture, nor by the label of its row.
TEST(BarChartTest, NumbersOfSmallBarsAreWhole) {
  const std::vector<std::vector<double>> cases = {
      {-1, 0},         {-1, -0.0},        {-1, -0.0001234},       {-123456789, -1e-9},
      {1, 0.00001234}, {-1e-7, 1.234e-9}, {-0.00001234, -0.0012}, {0, 0},
  };
  for (const std::vector<double>& values : cases) {
    BarChart chart;
    chart.series = {"", ""};
    chart.groups = {{"same speaker", values}};
    const XmlElement figure = Parsed(DrawBarChart(chart));
    const std::vector<XmlElement> texts = FindAll(figure, "text");
    ASSERT_EQ(texts.size(), 3u);  // the label, and a number for each bar
    const double label_ends = texts[0].number("x");
    for (size_t i = 1; i < texts.size(); ++i) {
      const double width = kWidest * static_cast<double>(CharacterCount(texts[i].text));
      const bool ends = texts[i].attributes.count("text-anchor") > 0;
      const double x = texts[i].number("x");
      // Coordinates are rounded to tenths.
      EXPECT_GE(ends ? x - width : x, label_ends - 0.1) << figure.text;
      EXPECT_LE(ends ? x : x + width, kPictureWidth + 0.1) << figure.text;
    }
  }
}

TEST(BarChartTest, EqualReachIsTheSameScaleWhateverTheNumbersAre) {
  BarChart chart;
  chart.series = {"a"};
  chart.numbers = Numbers::kPercent;
  chart.reach = 0.5;
  chart.groups = {{"x", {0.05}}};
  const double one = FindAll(Parsed(DrawBarChart(chart)), "rect", "fill s0")[0].number("width");
  chart.groups = {{"x", {0.5}}};
  const double ten = FindAll(Parsed(DrawBarChart(chart)), "rect", "fill s0")[0].number("width");
  EXPECT_NEAR(ten, 10 * one, 1.1);  // the rounding of one to a tenth
}

TEST(IntervalChartTest, PointsMeanAndInterval) {
  IntervalChart chart;
  chart.heading = {"F1", "Dots."};
  chart.row_label = "variant";
  chart.interval = "95 % over seeds";
  chart.numbers = Numbers::kPercent;
  chart.mark_zero = true;
  chart.rows = {{"gru", {0.25, 0.75}, 0.5, 0.125, 1},
                {"fear & <loathing>, uncalibrated", {}, 0.25, std::nan(""), std::nan("")}};
  const XmlElement figure = Parsed(DrawIntervals(chart));
  const std::vector<XmlElement> dots = FindAll(figure, "circle", "dot s0");
  ASSERT_EQ(dots.size(), 2u);
  EXPECT_EQ(Tooltip(dots[1]), "gru: 75.0 %");
  const std::vector<XmlElement> lines = FindAll(figure, "line", "interval");
  ASSERT_EQ(lines.size(), 3u);  // the line and its two ends, of the first row alone
  const double zero = FindAll(figure, "line", "mark")[0].number("x1");
  // 0.125 and 1 are as far from 0 as one to eight.
  EXPECT_NEAR(8 * (lines[0].number("x1") - zero), lines[0].number("x2") - zero, 1);
  const std::vector<XmlElement> means = FindAll(figure, "rect", "fill s1");
  ASSERT_EQ(means.size(), 2u);
  EXPECT_NEAR(means[0].number("x") - zero, 2 * (means[1].number("x") - zero), 2);
  for (const XmlElement& text : FindAll(figure, "text")) EXPECT_GE(text.number("x"), 0);
  EXPECT_THAT(Row(figure, 0), ElementsAre("variant", "mean", "95 % over seeds"));
  EXPECT_THAT(Row(figure, 1), ElementsAre("gru", "50.0 %", "12.5 % to 100.0 %"));
  EXPECT_THAT(Row(figure, 2), ElementsAre("fear & <loathing>, uncalibrated", "25.0 %", "-"));
  chart.rows = {{"a", {std::nan("")}, std::nan(""), -INFINITY, INFINITY}};
  EXPECT_THAT(DrawIntervals(chart), Not(testing::ContainsRegex("=\"[^\"]*(nan|inf)")));
}

// Names begin on the left, numbers end on the right, whatever is missing.
TEST(FormatTableTest, ColumnsOfNames) {
  const XmlElement table = Parsed(FormatTable(
      {{"run", "model", "F1", "valid"},
       {{"1", "-", "12.5", "-"}, {"2", "Gru", "-0.5", ""}, {"3", "Größe", "a mistake", "-"}}}));
  std::vector<std::string> left;
  for (const XmlElement& cell : FindAll(table, "th", "name")) left.push_back(cell.text);
  for (const XmlElement& cell : FindAll(table, "td", "name")) left.push_back(cell.text);
  EXPECT_THAT(left, ElementsAre("model", "-", "Gru", "Größe"));
}

// Cells of any name wrap, so that no table is wider than the page.
TEST(FormatTableTest, LongCellsWrapAnywhere) {
  const std::string name(80, 'x');
  const XmlElement table = Parsed(FormatTable({{"run", name}, {{name, "12.34 ± 1.23"}}}));
  EXPECT_EQ(table.attributes.at("class"), "scroll");
  std::vector<std::string> classes;
  for (const char* tag : {"th", "td"}) {
    for (const XmlElement& cell : FindAll(table, tag)) {
      const auto found = cell.attributes.find("class");
      classes.push_back(found == cell.attributes.end() ? "" : found->second);
    }
  }
  EXPECT_THAT(classes, ElementsAre("", "long", "long", ""));
}

TEST(MatrixTest, ShadesByTheShareOfTheRow) {
  MatrixChart chart;
  chart.heading = {"Confusion", "A grid."};
  chart.classes = {"joy", "fear & <loathing>"};
  chart.counts = {{4, 1}, {0, 0}};
  const XmlElement figure = Parsed(DrawMatrix(chart));
  const std::vector<XmlElement> cells = FindAll(figure, "rect", "heat");
  ASSERT_EQ(cells.size(), 4u);
  EXPECT_EQ(cells[0].attributes.at("fill-opacity"), "0.80");
  EXPECT_EQ(cells[1].attributes.at("fill-opacity"), "0.20");
  EXPECT_EQ(cells[2].attributes.at("fill-opacity"), "0.00");
  EXPECT_EQ(Tooltip(cells[0]), "joy predicted as joy: 4, 80.0 %");
  EXPECT_EQ(Tooltip(cells[1]), "joy predicted as fear & <loathing>: 1, 20.0 %");
  // A row of the matrix is a row of the picture.
  EXPECT_EQ(cells[0].number("y"), cells[1].number("y"));
  EXPECT_EQ(cells[0].number("x"), cells[2].number("x"));
  EXPECT_EQ(cells[1].number("x"), cells[0].number("x") + cells[0].number("width"));
  EXPECT_EQ(cells[2].number("y"), cells[0].number("y") + cells[0].number("height"));
  EXPECT_EQ(FindAll(figure, "text", "number inverse").size(), 1u);
  EXPECT_THAT(Row(figure, 1), ElementsAre("joy", "4", "1"));
}

TEST(MatrixTest, ManyClassesStayInThePicture) {
  MatrixChart chart;
  for (int i = 0; i < 40; ++i) chart.classes.push_back("class " + std::to_string(i));
  chart.counts.assign(40, std::vector<int>(40, 1));
  const XmlElement figure = Parsed(DrawMatrix(chart));
  for (const XmlElement& cell : FindAll(figure, "rect")) {
    EXPECT_LE(cell.number("x") + cell.number("width"), kPictureWidth + 0.11);
  }
  EXPECT_TRUE(FindAll(figure, "text", "number").empty());  // no room for them
  EXPECT_THAT(Row(figure, 40), testing::SizeIs(41));
}

TEST(ReliabilityTest, BarsAreAccuracyAndGapsReachTheConfidence) {
  ReliabilityDiagram diagram;
  diagram.heading = {"ECE", "Bars."};
  diagram.bins = {{0, 0, 0}, {1, 0.3, 0.5}, {0, 0, 0}, {3, 0.875, 0.25}};
  const XmlElement figure = Parsed(DrawReliability(diagram));
  const std::vector<XmlElement> bars = FindAll(figure, "rect", "fill s0");
  const std::vector<XmlElement> over = FindAll(figure, "rect", "gap");
  const std::vector<XmlElement> under = FindAll(figure, "rect", "gap under");
  const std::vector<XmlElement> shares = FindAll(figure, "rect", "fill s5");
  ASSERT_EQ(bars.size(), 3u);  // no bar for an empty bin; the third is in the legend
  ASSERT_EQ(over.size(), 2u);  // the second is in the legend
  ASSERT_EQ(under.size(), 2u);
  ASSERT_EQ(shares.size(), 2u);
  // The frame is 200 high and 304 wide from 46, four bins of 76.
  EXPECT_EQ(bars[0].number("x"), 46 + 76 + 0.5);
  EXPECT_EQ(bars[0].number("width"), 75);
  EXPECT_EQ(bars[0].number("height"), 100);
  EXPECT_EQ(bars[1].number("x"), 46 + 3 * 76 + 0.5);
  EXPECT_EQ(bars[1].number("height"), 50);
  EXPECT_EQ(bars[1].number("y"), 210 - 50);
  // Surer than right: the gap stands on the bar. Less sure: it hangs in it.
  EXPECT_EQ(over[0].number("y") + over[0].number("height"), bars[1].number("y"));
  EXPECT_EQ(over[0].number("height"), 125);
  EXPECT_EQ(under[0].number("y"), bars[0].number("y"));
  EXPECT_EQ(under[0].number("height"), 40);
  EXPECT_NEAR(shares[0].number("height") * 3, shares[1].number("height"), 0.2);
  EXPECT_THAT(Row(figure, 1), ElementsAre("0.000 to 0.250", "0", "-", "-"));
  EXPECT_THAT(Row(figure, 4), ElementsAre("0.750 to 1.000", "3", "0.875", "0.250"));
}

TEST(ShortenedTest, CutsCharactersNotBytes) {
  EXPECT_EQ(Shortened("joy", 3), "joy");
  EXPECT_EQ(Shortened("abcdefgh", 5), "ab…gh");
  EXPECT_EQ(Shortened("éèêëēėę", 5), "éè…ėę");
  EXPECT_EQ(CharacterCount("é…"), 2u);
}

}  // namespace
}  // namespace cmerc::report
