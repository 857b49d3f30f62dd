#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_format.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/frame.h"

namespace cmerc::report {
namespace {

// The height of the strip with the share of utterances, and of the gap between it and the frame
// above.
constexpr double kStripHeight = 40;
constexpr double kStripGap = 6;

}  // namespace

std::string DrawReliability(const ReliabilityDiagram& diagram) {
  Frame frame;
  frame.x_axis = {0, 1, 0.2};
  frame.y_axis = {0, 1, 0.2};
  frame.bottom = frame.top + 200;
  const double strip_top = frame.bottom + kBelowFrame + kStripGap;
  const double strip_bottom = strip_top + kStripHeight;

  Markup svg;
  OpenPicture(diagram.heading.caption, diagram.heading.description, strip_bottom + 16, &svg);
  DrawFrame(
      frame, "confidence", [&](double tick) { return frame.y_axis.Label(tick); }, &svg);
  int64_t total = 0;
  int most = 1;
  for (const ConfidenceBin& bin : diagram.bins) {
    total += bin.utterances;
    most = std::max(most, bin.utterances);
  }
  const auto count = static_cast<double>(diagram.bins.size());
  Table numbers{{"confidence", "utterances", "mean confidence", "accuracy"}, {}};
  for (size_t i = 0; i < diagram.bins.size(); ++i) {
    const ConfidenceBin& bin = diagram.bins[i];
    const double low = static_cast<double>(i) / count;
    const double high = static_cast<double>(i + 1) / count;
    const std::string range = absl::StrFormat("%.3f to %.3f", low, high);
    const bool empty = bin.utterances <= 0;
    numbers.rows.push_back({range, absl::StrFormat("%d", bin.utterances),
                            empty ? "-" : absl::StrFormat("%.3f", bin.confidence),
                            empty ? "-" : absl::StrFormat("%.3f", bin.accuracy)});
    if (empty || !std::isfinite(bin.confidence) || !std::isfinite(bin.accuracy)) continue;
    const std::string tooltip =
        absl::StrFormat("confidence %s: %d utterances, mean confidence %.3f, accuracy %.3f", range,
                        bin.utterances, bin.confidence, bin.accuracy);
    const double x = frame.X(low) + 0.5;
    const double width = frame.X(high) - frame.X(low) - 1;
    DrawBox({x, frame.Y(bin.accuracy), width, frame.bottom - frame.Y(bin.accuracy)}, "fill s0",
            tooltip, &svg);
    DrawBox({x, frame.Y(bin.accuracy), width, frame.Y(bin.confidence) - frame.Y(bin.accuracy)},
            bin.confidence > bin.accuracy ? "gap" : "gap under", tooltip, &svg);
    const double share = static_cast<double>(bin.utterances) / most * kStripHeight;
    DrawBox({x, strip_bottom - share, width, share}, "fill s5", tooltip, &svg);
  }
  DrawLine(frame.X(0), frame.Y(0), frame.X(1), frame.Y(1), "mark", &svg);
  DrawLine(frame.left, strip_bottom, frame.right, strip_bottom, "axis", &svg);
  DrawText({frame.left - 5, strip_top + 9, "end", ""},
           total > 0 ? absl::StrFormat("%.0f %%", 100.0 * most / static_cast<double>(total)) : "",
           &svg);
  DrawText({(frame.left + frame.right) / 2, strip_bottom + 12, "middle", ""}, "share of utterances",
           &svg);
  return FormatFigure(diagram.heading.caption, svg.Finish(),
                      {{"fill s0", "accuracy", true},
                       {"gap", "surer than right, on average", true},
                       {"gap under", "less sure than right", true},
                       {"mark", "ideal"}},
                      numbers);
}

}  // namespace cmerc::report
