#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/charts.h"
#include "report/figure.h"

namespace cmerc::report {
namespace {

constexpr double kCharacterWidth = 7.6;  // as wide as text gets
constexpr size_t kLongestLabel = 12;
// Counts and names do not fit into less.
constexpr double kSmallestCellWithText = 22;
constexpr double kSmallestCellWithName = 13;

// Shares above it are so dark that their counts are written light.
constexpr double kInverseFrom = 0.75;

}  // namespace

std::string DrawMatrix(const MatrixChart& chart) {
  size_t longest = 0;
  for (const std::string& name : chart.classes) {
    longest = std::max(longest, std::min(CharacterCount(name), kLongestLabel));
  }
  const double label = kCharacterWidth * static_cast<double>(longest) + 8;
  const auto count = static_cast<double>(chart.classes.size());
  const double left = label + 16;  // the axis' name beside the labels
  const double cell = std::min((kPictureWidth - left - 2) / count, 44.0);
  const double grid = cell * count;
  const double bottom = 2 + grid;
  const double height = bottom + label + 16;

  Markup svg;
  OpenPicture(chart.heading.caption, chart.heading.description, height, &svg);
  Table numbers{{"true \\ predicted"}, {}};
  for (size_t i = 0; i < chart.classes.size(); ++i) {
    const double y = 2 + static_cast<double>(i) * cell;
    const std::string name = Shortened(chart.classes[i], kLongestLabel);
    numbers.header.push_back(chart.classes[i]);
    numbers.rows.push_back({chart.classes[i]});
    if (cell >= kSmallestCellWithName) {
      DrawText({left - 5, y + cell / 2 + 4, "end", ""}, name, &svg);
      const double x = left + (static_cast<double>(i) + 0.5) * cell + 4;
      DrawText({x, bottom + 6, "end",
                absl::StrCat("rotate(-90 ", Coordinate(x), " ", Coordinate(bottom + 6), ")")},
               name, &svg);
    }
    int64_t total = 0;
    for (const int utterances : chart.counts[i]) total += utterances;
    for (size_t j = 0; j < chart.classes.size(); ++j) {
      const int utterances = chart.counts[i][j];
      const double share =
          total > 0 ? static_cast<double>(utterances) / static_cast<double>(total) : 0;
      const double x = left + static_cast<double>(j) * cell;
      numbers.rows.back().push_back(absl::StrCat(utterances));
      DrawBox({x, y, cell, cell}, "cell", "", &svg);
      DrawBox({x, y, cell, cell}, "heat",
              absl::StrFormat("%s predicted as %s: %d, %.1f %%", chart.classes[i], chart.classes[j],
                              utterances, 100 * share),
              &svg, share < 1 ? share : 0.999);
      if (cell < kSmallestCellWithText) continue;
      svg.Element("text",
                  {{"x", Coordinate(x + cell / 2)},
                   {"y", Coordinate(y + cell / 2 + 4)},
                   {"text-anchor", "middle"},
                   {"class", share > kInverseFrom ? "number inverse" : "number"}},
                  absl::StrCat(utterances));
    }
  }
  DrawText(
      {0, 0, "middle", absl::StrCat("translate(11 ", Coordinate(2 + grid / 2), ") rotate(-90)")},
      "true", &svg);
  DrawText({left + grid / 2, height - 3, "middle", ""}, "predicted", &svg);
  return FormatFigure(chart.heading.caption, svg.Finish(), {}, numbers);
}

}  // namespace cmerc::report
