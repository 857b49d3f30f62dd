#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/frame.h"

namespace cmerc::report {
namespace {

// More points would hide the line.
constexpr size_t kMostMarkers = 30;

void DrawDot(double x, double y, double radius, const std::string& style_class,
             const std::string& tooltip, Markup* svg) {
  svg->Open("circle", {{"cx", Coordinate(x)},
                       {"cy", Coordinate(y)},
                       {"r", Coordinate(radius)},
                       {"class", style_class}});
  svg->Element("title", tooltip).Close();
}

// A line through the finite values; a value that is missing breaks it.
void DrawSeries(const LineChart& chart, const Frame& frame, size_t index, Markup* svg) {
  const Series& series = chart.series[index];
  std::string path;
  bool pen_down = false;
  for (size_t i = 0; i < chart.x.size(); ++i) {
    const bool drawn = std::isfinite(series.values[i]);
    if (drawn) {
      absl::StrAppend(&path,
                      pen_down       ? " L"
                      : path.empty() ? "M"
                                     : " M",
                      Coordinate(frame.X(chart.x[i])), " ", Coordinate(frame.Y(series.values[i])));
    }
    pen_down = drawn;
  }
  if (path.empty()) return;
  svg->Empty("path", {{"d", path}, {"class", absl::StrCat("line ", SeriesClass(index))}});
  if (chart.x.size() > kMostMarkers) return;
  for (size_t i = 0; i < chart.x.size(); ++i) {
    if (!std::isfinite(series.values[i])) continue;
    DrawDot(frame.X(chart.x[i]), frame.Y(series.values[i]), 2,
            absl::StrCat("fill ", SeriesClass(index)),
            absl::StrCat(series.name, ", ", chart.x_label, " ",
                         FormatNumber(chart.x[i], Numbers::kPlain), ": ",
                         FormatNumber(series.values[i], chart.numbers)),
            svg);
  }
}

}  // namespace

std::string FormatNumber(double value, Numbers numbers) {
  if (!std::isfinite(value)) return "-";
  if (numbers == Numbers::kPercent) return absl::StrFormat("%.1f %%", 100 * value);
  return absl::StrFormat("%.4g", value);
}

std::string DrawLineChart(const LineChart& chart) {
  std::vector<double> values;
  for (const Series& series : chart.series) {
    values.insert(values.end(), series.values.begin(), series.values.end());
  }
  Frame frame;
  frame.x_axis =
      NiceWholeAxis(chart.x.empty() ? 0 : chart.x.front(), chart.x.empty() ? 1 : chart.x.back(), 8);
  frame.y_axis = chart.y_axis.has_value() ? *chart.y_axis : NiceAxis(values, 6);
  Axis labels = frame.y_axis;
  const double factor = chart.numbers == Numbers::kPercent ? 100 : 1;
  for (double* number : {&labels.low, &labels.high, &labels.step}) *number *= factor;

  Markup svg;
  OpenPicture(chart.heading.caption, chart.heading.description, frame.bottom + kBelowFrame, &svg);
  DrawFrame(
      frame, chart.x_label,
      [&](double tick) {
        return labels.Label(factor * tick) + (chart.numbers == Numbers::kPercent ? " %" : "");
      },
      &svg);
  if (chart.mark.has_value()) {
    svg.Open("line", {{"x1", Coordinate(frame.X(*chart.mark))},
                      {"y1", Coordinate(frame.top)},
                      {"x2", Coordinate(frame.X(*chart.mark))},
                      {"y2", Coordinate(frame.bottom)},
                      {"class", "mark"}});
    svg.Element("title", chart.mark_label).Close();
  }
  for (size_t i = 0; i < chart.series.size(); ++i) DrawSeries(chart, frame, i, &svg);

  std::vector<LegendEntry> legend;
  Table numbers{{chart.x_label}, {}};
  for (size_t i = 0; i < chart.series.size(); ++i) {
    legend.push_back({SeriesClass(i), chart.series[i].name});
    numbers.header.push_back(chart.series[i].name);
  }
  if (chart.mark.has_value()) legend.push_back({"mark", chart.mark_label});
  for (size_t i = 0; i < chart.x.size(); ++i) {
    numbers.rows.push_back({FormatNumber(chart.x[i], Numbers::kPlain)});
    for (const Series& series : chart.series) {
      numbers.rows.back().push_back(FormatNumber(series.values[i], chart.numbers));
    }
  }
  return FormatFigure(chart.heading.caption, svg.Finish(), legend, numbers);
}

std::string DrawPointChart(const PointChart& chart) {
  std::vector<double> x, y;
  for (const Point& point : chart.points) {
    x.push_back(point.x);
    y.push_back(point.y);
  }
  Frame frame;
  frame.x_axis = NiceAxis(x, 7);
  if (chart.whole_x) frame.x_axis = NiceWholeAxis(frame.x_axis.low, frame.x_axis.high, 8);
  frame.y_axis = NiceAxis(y, 6);
  Markup svg;
  OpenPicture(chart.heading.caption, chart.heading.description, frame.bottom + kBelowFrame, &svg);
  DrawFrame(
      frame, chart.x_label, [&](double tick) { return frame.y_axis.Label(tick); }, &svg);
  for (const Point& point : chart.points) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
    DrawDot(frame.X(point.x), frame.Y(point.y), 2.5, "dot s0", point.name, &svg);
  }
  return FormatFigure(absl::StrCat(chart.heading.caption, " (up: ", chart.y_label, ")"),
                      svg.Finish(), {}, {});
}

}  // namespace cmerc::report
