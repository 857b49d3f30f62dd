#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/sections.h"

namespace cmerc::report {
namespace {

std::string Percent(double share) { return FormatNumber(share, Numbers::kPercent); }

std::string Spaced(const std::string& name) { return absl::StrReplaceAll(name, {{"_", " "}}); }

void AddSetRows(const SplitReport& split, const std::string& suffix, Table* table) {
  for (const SetReport& one : split.sets().methods()) {
    std::string by_conversation = Percent(one.conversation_coverage());
    if (one.has_conversation_coverage_error()) {
      absl::StrAppend(&by_conversation, " ± ", Percent(one.conversation_coverage_error().value()));
    }
    table->rows.push_back({Spaced(one.method()) + suffix, Percent(one.asked()), by_conversation,
                           Percent(one.coverage()), FormatNumber(one.mean_size(), Numbers::kPlain),
                           Percent(one.share_empty()), Percent(one.share_single()),
                           Percent(one.share_all()),
                           absl::StrCat(one.calibration_conversations())});
  }
}

// Coverage and size of the sets of each class, a pair of columns for each method.
Table ClassTable(const SetReports& sets) {
  Table table{{"class", "utterances"}, {}};
  for (const SetReport& one : sets.methods()) {
    table.header.push_back(absl::StrCat("covered, ", Spaced(one.method())));
    table.header.emplace_back("mean size");
  }
  const SetReport& first = sets.methods(0);
  for (int c = 0; c < first.classes_size(); ++c) {
    std::vector<std::string> row = {first.classes(c).name(),
                                    absl::StrCat(first.classes(c).utterances())};
    for (const SetReport& one : sets.methods()) {
      const bool known = c < one.classes_size() && one.classes(c).has_coverage();
      row.push_back(known ? Percent(one.classes(c).coverage().value()) : "-");
      row.push_back(known ? FormatNumber(one.classes(c).mean_size().value(), Numbers::kPlain)
                          : "-");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string FormatSets(const RunSummary& summary) {
  const SetReports& sets = summary.test().sets();
  if (sets.methods_size() == 0) return "";
  Table table{
      {"method", "asked", "covered, by conversation", "covered, utterances", "classes in a set",
       "empty", "of one class", "of all", "conversations calibrated on"},
      {}};
  AddSetRows(summary.test(), "", &table);
  AddSetRows(summary.uncalibrated().test(), ", uncalibrated", &table);
  Markup html;
  html.Element("h4", "Sets of classes");
  html.Element(
      "p",
      "A set has the classes that an utterance may be of, made so that the true one of a "
      "random utterance of a new conversation is in it as often as is asked for. By "
      "conversation: mean over conversations, which is what is promised, with its standard "
      "error. `cmerc predict --sets=0.9` answers with sets, of any coverage.");
  html.Append(FormatTable(table)).Append(FormatTable(ClassTable(sets)));
  std::vector<std::string> remarks;
  for (const SetReport& one : sets.methods()) {
    for (const std::string& remark : one.remarks()) {
      remarks.push_back(absl::StrCat(Spaced(one.method()), ": ", remark, "."));
    }
  }
  if (remarks.empty()) return html.Finish();
  html.Open("ul");
  for (const std::string& remark : remarks) html.Element("li", remark);
  return html.Close().Finish();
}

std::string DrawRiskCoverage(const std::string& caption, const RiskCoverage& curve) {
  LineChart chart;
  chart.heading = {caption,
                   "Lines: where utterances whose confidence is below a threshold are not "
                   "answered, the share that is answered, and the accuracy of the answers."};
  chart.x_label = absl::StrCat("abstain below, % of ", Spaced(curve.confidence()));
  chart.numbers = Numbers::kPercent;
  chart.series = {{"share answered", {}}, {"accuracy of the answers", {}}};
  for (const RiskCoveragePoint& point : curve.points()) {
    chart.x.push_back(std::round(100 * point.threshold()));
    chart.series[0].values.push_back(point.share_answered());
    chart.series[1].values.push_back(point.has_accuracy() ? point.accuracy().value()
                                                          : std::nan(""));
  }
  return DrawLineChart(chart);
}

}  // namespace

std::string FormatActing(const RunSummary& summary) {
  const SplitReport& test = summary.test();
  const std::string sets = FormatSets(summary);
  if (sets.empty() && !test.has_risk_coverage()) return "";
  Markup html;
  html.Element("h3", "What can be acted on?").Append(sets);
  if (!test.has_risk_coverage()) return html.Finish();
  html.Element("h4", "Declining to answer").Open("div", {{"class", "figures"}});
  html.Append(DrawRiskCoverage("Answered and right, by threshold", test.risk_coverage()));
  if (summary.uncalibrated().test().has_risk_coverage()) {
    html.Append(DrawRiskCoverage("Answered and right, uncalibrated",
                                 summary.uncalibrated().test().risk_coverage()));
  }
  return html.Finish();
}

}  // namespace cmerc::report
