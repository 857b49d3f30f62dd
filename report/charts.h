// The charts of a report. Each returns a <figure> with the numbers behind it; values that are not
// finite are left out of the drawing and are "-" in the numbers.
#ifndef CMERC_REPORT_CHARTS_H_
#define CMERC_REPORT_CHARTS_H_

#include <optional>
#include <string>
#include <vector>

#include "report/axis.h"

namespace cmerc::report {

// How numbers are written: as "%.4g", or shares in percent as "%.1f %".
enum class Numbers { kPlain, kPercent };
std::string FormatNumber(double value, Numbers numbers);

// The caption of a chart, and a description for those who hear it because they cannot see it.
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
  // By default an axis that holds the values.
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
  // The axis goes at least this far, so that charts of the same reach have the same scale.
  double reach = 0;
};
std::string DrawBarChart(const BarChart& chart);

// Numbers with their uncertainty, a row each: points, their mean and an interval.
struct IntervalRow {
  std::string label;
  std::vector<double> points;
  double mean = 0;
  // NaN: there is no interval.
  double low = 0;
  double high = 0;
};
struct IntervalChart {
  Heading heading;
  std::string row_label;
  // What the interval is: "95 % over seeds".
  std::string interval;
  std::vector<IntervalRow> rows;
  Numbers numbers = Numbers::kPlain;
  // Whether the axis holds 0, with a line.
  bool mark_zero = false;
};
std::string DrawIntervals(const IntervalChart& chart);

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
// This chart has no numbers behind it: a row per conversation is no short table.
std::string DrawPointChart(const PointChart& chart);

// A confusion matrix. counts[i][j] >= 0 says how many utterances of class i were predicted as class
// j; the matrix is square, as large as `classes`, and not empty.
struct MatrixChart {
  Heading heading;
  std::vector<std::string> classes;
  std::vector<std::vector<int>> counts;
};
std::string DrawMatrix(const MatrixChart& chart);

// The accuracy of each bin of confidence, its distance from the mean confidence, and, below, the
// share of utterances in it.
struct ConfidenceBin {
  int utterances = 0;
  double confidence = 0;
  double accuracy = 0;
};
struct ReliabilityDiagram {
  Heading heading;
  // At least one; they are of equal width and cover [0, 1].
  std::vector<ConfidenceBin> bins;
};
std::string DrawReliability(const ReliabilityDiagram& diagram);

}  // namespace cmerc::report

#endif  // CMERC_REPORT_CHARTS_H_
