#include "report/frame.h"

#include "report/figure.h"

namespace cmerc::report {

void DrawFrame(const Frame& frame, const std::string& x_label,
               const std::function<std::string(double)>& y_label, Markup* svg) {
  for (const double tick : frame.y_axis.ticks()) {
    const double y = frame.Y(tick);
    DrawLine(frame.left, y, frame.right, y, "grid", svg);
    DrawText({frame.left - 5, y + 4, "end", ""}, y_label(tick), svg);
  }
  for (const double tick : frame.x_axis.ticks()) {
    const double x = frame.X(tick);
    DrawLine(x, frame.bottom, x, frame.bottom + 4, "axis", svg);
    DrawText({x, frame.bottom + 16, "middle", ""}, frame.x_axis.Label(tick), svg);
  }
  DrawLine(frame.left, frame.bottom, frame.right, frame.bottom, "axis", svg);
  DrawText({(frame.left + frame.right) / 2, frame.bottom + 31, "middle", ""}, x_label, svg);
}

}  // namespace cmerc::report
