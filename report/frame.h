// The rectangle that a chart's values are drawn in, with its grid and axes.
#ifndef CMERC_REPORT_FRAME_H_
#define CMERC_REPORT_FRAME_H_

#include <functional>
#include <string>

#include "report/axis.h"
#include "report/markup.h"

namespace cmerc::report {

struct Frame {
  Axis x_axis;
  Axis y_axis;
  // Edges in the picture.
  double left = 46;
  double right = 350;
  double top = 10;
  double bottom = 186;

  double X(double value) const { return Place(value, x_axis.low, x_axis.high, left, right); }
  double Y(double value) const { return Place(value, y_axis.low, y_axis.high, bottom, top); }
};

// Grid lines and tick labels on both axes, and `x_label` below; `y_label` writes a tick of the y
// axis.
void DrawFrame(const Frame& frame, const std::string& x_label,
               const std::function<std::string(double)>& y_label, Markup* svg);

// Below the frame's bottom: room for tick labels and the axis' name.
constexpr double kBelowFrame = 34;

}  // namespace cmerc::report

#endif  // CMERC_REPORT_FRAME_H_
