#include "metrics/acting_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "core/printable.h"

namespace cmerc {
namespace {

// A share or size of a table, or "-".
template <typename Message>
std::string Cell(bool known, const Message& value) {
  return known ? absl::StrFormat("%.4f", value.value()) : std::string("-");
}

// "accuracy 0.7531", or that nothing is answered.
std::string Accuracy(const RiskCoveragePoint& point) {
  return point.has_accuracy() ? absl::StrFormat("%.4f", point.accuracy().value())
                              : std::string("-");
}

}  // namespace

std::string FormatSets(const SetReport& report) {
  std::string text = absl::StrFormat(
      "sets of classes (%s), coverage asked for: %g, calibrated on %d conversations\n"
      "  coverage of a random utterance of a random conversation  %.4f%s\n"
      "  coverage over utterances                                 %.4f\n"
      "  classes in a set, mean                                   %.2f\n"
      "  sets that are empty, of one class, of all                %.4f, %.4f, %.4f\n",
      absl::StrReplaceAll(report.method(), {{"_", "-"}}), report.asked(),
      report.calibration_conversations(), report.conversation_coverage(),
      report.has_conversation_coverage_error()
          ? absl::StrFormat(" (standard error %.4f)", report.conversation_coverage_error().value())
          : "",
      report.coverage(), report.mean_size(), report.share_empty(), report.share_single(),
      report.share_all());
  const std::string title = "class";
  size_t width = Columns(title);
  for (const ClassSets& one : report.classes()) {
    width = std::max(width, Columns(OneLine(one.name())));
  }
  const auto aligned = [&](const std::string& name) {
    return absl::StrCat(std::string(width - std::min(width, Columns(name)), ' '), name);
  };
  absl::StrAppendFormat(&text, "%s  %14s %16s %9s %10s\n", aligned(title), "coverage",
                        "by conversation", "mean size", "utterances");
  for (const ClassSets& one : report.classes()) {
    absl::StrAppendFormat(&text, "%s  %14s %16s %9s %10d\n", aligned(OneLine(one.name())),
                          Cell(one.has_coverage(), one.coverage()),
                          Cell(one.has_conversation_coverage(), one.conversation_coverage()),
                          Cell(one.has_mean_size(), one.mean_size()), one.utterances());
  }
  for (const std::string& remark : report.remarks()) {
    absl::StrAppend(&text, "note: ", OneLine(remark), "\n");
  }
  return text;
}

std::string FormatRiskCoverage(const RiskCoverage& curve) {
  std::vector<RiskCoveragePoint> points(curve.points().begin(), curve.points().end());
  if (curve.has_asked()) {
    const auto at = std::find_if(points.begin(), points.end(), [&](const RiskCoveragePoint& one) {
      return one.threshold() >= curve.asked().threshold();
    });
    if (at == points.end() || at->threshold() > curve.asked().threshold()) {
      points.insert(at, curve.asked());
    }
  }
  std::string text = absl::StrFormat("abstain below (%s)  %9s %9s %9s\n",
                                     absl::StrReplaceAll(curve.confidence(), {{"_", " "}}),
                                     "answered", "share", "accuracy");
  const size_t width = text.find("  ", std::string("abstain below").size());
  for (const RiskCoveragePoint& one : points) {
    const bool asked = curve.has_asked() && one.threshold() == curve.asked().threshold();
    const std::string threshold = absl::StrFormat("%g%s", one.threshold(), asked ? " *" : "");
    absl::StrAppendFormat(&text, "%*s  %9d %9.4f %9s\n", static_cast<int>(width), threshold,
                          one.answered(), one.share_answered(), Accuracy(one));
  }
  absl::StrAppendFormat(&text, "AURC %.4f, E-AURC %.4f%s\n", curve.aurc(), curve.e_aurc(),
                        curve.has_asked() ? "; *: --abstain_below" : "");
  return text;
}

}  // namespace cmerc
