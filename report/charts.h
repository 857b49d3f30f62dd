// The charts of a report. Each returns a <figure> with the numbers behind it; values that are not
// finite are left out of the drawing and are "-" in the numbers.
#ifndef CMERC_REPORT_CHARTS_H_
#define CMERC_REPORT_CHARTS_H_

#include <optional>
#include <string>
#include <vector>

#include "report/axis.h"

namespace cmerc {

// How numbers are written: "%.4g" or, of shares, "%.1f %" of 100 times as much.
enum class Numbers { kPlain, kPercent };
std::string FormatNumber(double value, Numbers numbers);

// What a chart is called (seen) and how it is read (heard by who does not see it).
struct Heading {
  std::string caption;
  std::string description;
};

struct Series {
  std::string name;
  // The value at each of LineChart::x; NaN where there is none.
  std::vector<double> values;
};

struct LineChart {
  Heading heading;
  std::string x_label;
  // Ascending whole numbers.
  std::vector<double> x;
  std::vector<Series> series;
  Numbers numbers = Numbers::kPlain;
  // Where a vertical line is drawn, and what it means.
  std::optional<double> mark;
  std::string mark_label;
  // By default that of the values.
  std::optional<Axis> y_axis;
};
std::string DrawLineChart(const LineChart& chart);

// Horizontal bars from 0, in groups.
struct BarGroup {
  std::string label;
  // One for each of BarChart::series.
  std::vector<double> values;
};
struct BarChart {
  Heading heading;
  std::string row_label;
  std::vector<std::string> series;
  std::vector<BarGroup> groups;
  Numbers numbers = Numbers::kPlain;
  // At least as far as this goes the room of a bar: charts of the same reach have the same scale.
  double reach = 0;
};
std::string DrawBarChart(const BarChart& chart);

struct Point {
  double x = 0;
  double y = 0;
  // The tooltip.
  std::string name;
};
struct PointChart {
  Heading heading;
  std::string x_label;
  std::string y_label;
  bool whole_x = false;
  std::vector<Point> points;
};
// Without numbers behind it: a row per conversation is no short table.
std::string DrawPointChart(const PointChart& chart);

// Rows: true classes. counts[i][j] >= 0: how many of class i were predicted as j; square, as large
// as `classes`, and not empty.
struct MatrixChart {
  Heading heading;
  std::vector<std::string> classes;
  std::vector<std::vector<int>> counts;
};
std::string DrawMatrix(const MatrixChart& chart);

// Accuracy per bin of confidence, its distance to the mean confidence, and the share of utterances
// below.
struct ConfidenceBin {
  int utterances = 0;
  double confidence = 0;
  double accuracy = 0;
};
struct ReliabilityDiagram {
  Heading heading;
  // Of equal width, over [0, 1]; at least one.
  std::vector<ConfidenceBin> bins;
};
std::string DrawReliability(const ReliabilityDiagram& diagram);

}  // namespace cmerc

#endif  // CMERC_REPORT_CHARTS_H_
