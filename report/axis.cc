#include "report/axis.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace cmerc::report {
namespace {

// The smallest of 1, 2 and 5 times a power of ten that is at least `at_least`.
double NiceStep(double at_least) {
  const double power = std::pow(10, std::floor(std::log10(at_least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    // A rounding error must not make the step larger.
    if (factor * power >= at_least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

Axis AxisWithStepFrom(double low, double high, int most_ticks, double least_step) {
  if (!std::isfinite(high - low)) return {0, 1, 1};
  if (low > high) std::swap(low, high);
  // Closer than this is one value: ticks could not be told apart.
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= 1e-9 * size || high == low) {
    const double around = size > 0 ? 0.1 * size : 1;
    low -= around;
    high += around;
  }
  Axis axis;
  axis.step = NiceStep(std::max((high - low) / (most_ticks - 1), least_step));
  while (true) {
    // Rounding errors must not add a tick.
    axis.low = axis.step * std::floor(low / axis.step + 1e-9);
    axis.high = axis.step * std::ceil(high / axis.step - 1e-9);
    if (std::round((axis.high - axis.low) / axis.step) + 1 <= most_ticks) return axis;
    axis.step = NiceStep(axis.step * 1.5);
  }
}

}  // namespace

std::vector<double> Axis::ticks() const {
  std::vector<double> ticks;
  const int last = static_cast<int>(std::round((high - low) / step));
  for (int i = 0; i <= last; ++i) ticks.push_back(low + i * step);
  return ticks;
}

std::string Axis::Label(double tick) const {
  if (std::abs(tick) < step * 1e-6) return "0";
  if (std::max(std::abs(low), std::abs(high)) >= 1e6 || step < 1e-5) {
    return absl::StrFormat("%g", tick);
  }
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return absl::StrFormat("%.*f", decimals, tick);
}

Axis NiceAxis(double low, double high, int most_ticks) {
  return AxisWithStepFrom(low, high, most_ticks, 0);
}

Axis NiceAxis(const std::vector<double>& values, int most_ticks) {
  double low = std::nan(""), high = std::nan("");
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::fmin(low, value);
    high = std::fmax(high, value);
  }
  return NiceAxis(low, high, most_ticks);
}

Axis NiceWholeAxis(double low, double high, int most_ticks) {
  return AxisWithStepFrom(low, high, most_ticks, 1);
}

double Place(double value, double low, double high, double begin, double end) {
  return begin + (value - low) / (high - low) * (end - begin);
}

std::string Coordinate(double value) {
  // Whatever a value does, the picture stays well-formed.
  std::string text = absl::StrFormat("%.1f", std::clamp(value, -1e6, 1e6));
  if (text == "-0.0") text = "0.0";
  return std::string(absl::StripSuffix(text, ".0"));
}

}  // namespace cmerc::report
