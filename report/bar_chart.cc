#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "report/charts.h"
#include "report/figure.h"

namespace cmerc::report {
namespace {

constexpr double kBarHeight = 14;
constexpr double kGroupGap = 8;
constexpr double kCharacterWidth = 7.6;  // a wide guess: no text measures itself here
constexpr size_t kLongestLabel = 18;
// Between a bar and the number at its end.
constexpr double kNumberGap = 4;

}  // namespace

std::string DrawBarChart(const BarChart& chart) {
  size_t longest = 0;
  double low = 0, high = chart.reach;
  // The room for the longest number at the left end of a bar, and at the right one.
  double left = 0, right = kNumberGap;
  const auto make_room = [&](double value) {
    const size_t characters = CharacterCount(FormatNumber(value, chart.numbers));
    double& room = value < 0 ? left : right;
    room = std::max(room, kCharacterWidth * static_cast<double>(characters) + kNumberGap);
  };
  if (chart.reach > 0) make_room(chart.reach);
  for (const BarGroup& group : chart.groups) {
    longest = std::max(longest, std::min(CharacterCount(group.label), kLongestLabel));
    for (const double value : group.values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
      make_room(value);
    }
  }
  if (low == high) high = 1;
  const double label_width = kCharacterWidth * static_cast<double>(longest) + 8;
  const double begin = label_width + left;
  const double end = kPictureWidth - right;
  const auto x = [&](double value) { return Place(value, low, high, begin, end); };

  const double bars = static_cast<double>(chart.series.size()) * kBarHeight;
  const double height =
      static_cast<double>(chart.groups.size()) * (bars + kGroupGap) + kGroupGap / 2;
  Markup svg;
  OpenPicture(chart.heading.caption, chart.heading.description, height, &svg);
  Table numbers{{chart.row_label}, {}};
  for (const std::string& series : chart.series) numbers.header.push_back(series);
  double y = kGroupGap / 2;
  for (const BarGroup& group : chart.groups) {
    DrawText({label_width - 6, y + bars / 2 + 4, "end", ""}, Shortened(group.label, kLongestLabel),
             &svg);
    numbers.rows.push_back({group.label});
    for (size_t i = 0; i < group.values.size(); ++i) {
      const double value = group.values[i];
      const std::string text = FormatNumber(value, chart.numbers);
      numbers.rows.back().push_back(text);
      const double top = y + static_cast<double>(i) * kBarHeight;
      if (!std::isfinite(value)) continue;
      DrawBox({x(0), top + 1, x(value) - x(0), kBarHeight - 2},
              absl::StrCat("fill ", SeriesClass(i)),
              absl::StrCat(group.label, chart.series[i].empty() ? "" : ", ", chart.series[i], ": ",
                           text),
              &svg);
      DrawText({x(value) + (value < 0 ? -kNumberGap : kNumberGap), top + kBarHeight - 3,
                value < 0 ? "end" : "start", ""},
               text, &svg);
    }
    y += bars + kGroupGap;
  }
  DrawLine(x(0), 0, x(0), height, "axis", &svg);
  std::vector<LegendEntry> legend;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    legend.push_back({absl::StrCat("fill ", SeriesClass(i)), chart.series[i], true});
  }
  return FormatFigure(chart.heading.caption, svg.Finish(), legend, numbers);
}

}  // namespace cmerc::report
