// Numbers along an edge of a picture.
#ifndef CMERC_REPORT_AXIS_H_
#define CMERC_REPORT_AXIS_H_

#include <string>
#include <vector>

namespace cmerc::report {

// Ticks at the multiples of `step` (1, 2 or 5 times a power of ten) from `low` to `high`, which are
// multiples of it themselves.
struct Axis {
  double low = 0;
  double high = 1;
  double step = 1;

  std::vector<double> ticks() const;
  // The tick as text, with as many decimals as tell ticks apart.
  std::string Label(double tick) const;
};

// The axis with at most `most_ticks` >= 2 ticks and the smallest step that holds [low, high]; for
// one value, an axis around it. Where the limits are not finite it is the axis from 0 to 1.
Axis NiceAxis(double low, double high, int most_ticks);

// The axis that holds all finite values.
Axis NiceAxis(const std::vector<double>& values, int most_ticks);

// An axis of whole numbers: its step is at least 1.
Axis NiceWholeAxis(double low, double high, int most_ticks);

// The pixel at which a value lies on an axis from `low`, at pixel `begin`, to `high`, at pixel
// `end`.
double Place(double value, double low, double high, double begin, double end);

// A coordinate as text: with one decimal, but without ".0".
std::string Coordinate(double value);

}  // namespace cmerc::report

#endif  // CMERC_REPORT_AXIS_H_
