#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "report/charts.h"
#include "report/figure.h"

namespace cmerc::report {
namespace {

constexpr double kRowHeight = 22;
constexpr double kCharacterWidth = 7.6;  // a wide guess: no text measures itself here
constexpr size_t kLongestLabel = 18;
constexpr double kTop = 4;
// Below the rows: the labels of the ticks.
constexpr double kBelow = 20;
// To the right: half of the label of the last tick.
constexpr double kRight = 24;

std::string Interval(const IntervalRow& row, Numbers numbers) {
  if (!std::isfinite(row.low) || !std::isfinite(row.high)) return "-";
  return absl::StrCat(FormatNumber(row.low, numbers), " to ", FormatNumber(row.high, numbers));
}

Axis AxisOf(const IntervalChart& chart) {
  std::vector<double> values;
  if (chart.mark_zero) values.push_back(0);
  for (const IntervalRow& row : chart.rows) {
    values.insert(values.end(), {row.mean, row.low, row.high});
    values.insert(values.end(), row.points.begin(), row.points.end());
  }
  return NiceAxis(values, 5);
}

void DrawRow(const IntervalChart& chart, const IntervalRow& row, double y,
             const std::function<double(double)>& x, Markup* svg) {
  if (std::isfinite(row.low) && std::isfinite(row.high)) {
    DrawLine(x(row.low), y, x(row.high), y, "interval", svg);
    for (const double end : {row.low, row.high}) {
      DrawLine(x(end), y - 4, x(end), y + 4, "interval", svg);
    }
  }
  for (const double point : row.points) {
    if (!std::isfinite(point)) continue;
    svg->Open(
        "circle",
        {{"cx", Coordinate(x(point))}, {"cy", Coordinate(y)}, {"r", "3"}, {"class", "dot s0"}});
    svg->Element("title", absl::StrCat(row.label, ": ", FormatNumber(point, chart.numbers)));
    svg->Close();
  }
  if (std::isfinite(row.mean)) {
    DrawBox({x(row.mean) - 1.5, y - 7, 3, 14}, "fill s1",
            absl::StrCat(row.label, ", mean: ", FormatNumber(row.mean, chart.numbers)), svg);
  }
}

}  // namespace

std::string DrawIntervals(const IntervalChart& chart) {
  size_t longest = 0;
  for (const IntervalRow& row : chart.rows) {
    longest = std::max(longest, std::min(CharacterCount(row.label), kLongestLabel));
  }
  const double begin = kCharacterWidth * static_cast<double>(longest) + 14;
  const Axis axis = AxisOf(chart);
  const auto x = [&](double value) {
    return Place(value, axis.low, axis.high, begin, kPictureWidth - kRight);
  };
  const double bottom = kTop + kRowHeight * static_cast<double>(chart.rows.size());
  Markup svg;
  OpenPicture(chart.heading.caption, chart.heading.description, bottom + kBelow, &svg);
  const double factor = chart.numbers == Numbers::kPercent ? 100 : 1;
  const Axis labels = {axis.low * factor, axis.high * factor, axis.step * factor};
  for (const double tick : axis.ticks()) {
    DrawLine(x(tick), kTop, x(tick), bottom, "grid", &svg);
    DrawText({x(tick), bottom + 15, "middle", ""},
             labels.Label(factor * tick) + (chart.numbers == Numbers::kPercent ? " %" : ""), &svg);
  }
  if (chart.mark_zero) DrawLine(x(0), kTop, x(0), bottom, "mark", &svg);
  Table numbers{{chart.row_label, "mean", chart.interval}, {}};
  double y = kTop + kRowHeight / 2;
  for (const IntervalRow& row : chart.rows) {
    DrawText({begin - 8, y + 4, "end", ""}, Shortened(row.label, kLongestLabel), &svg);
    DrawRow(chart, row, y, x, &svg);
    numbers.rows.push_back(
        {row.label, FormatNumber(row.mean, chart.numbers), Interval(row, chart.numbers)});
    y += kRowHeight;
  }
  return FormatFigure(chart.heading.caption, svg.Finish(), {}, numbers);
}

}  // namespace cmerc::report
