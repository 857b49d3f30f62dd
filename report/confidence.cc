#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/sections.h"

namespace cmerc::report {
namespace {

std::string Spaced(const std::string& name) { return absl::StrReplaceAll(name, {{"_", " "}}); }

// The measures of one prediction of the test split.
struct Measured {
  std::string name;
  const CalibrationReport* calibration;
};

void AddMeasured(const std::string& name, const CalibrationReport& calibration,
                 std::vector<Measured>* all) {
  if (calibration.bins_size() > 0) all->push_back({name, &calibration});
}

std::vector<Measured> AllMeasured(const SplitReport& test) {
  std::vector<Measured> all;
  AddMeasured("all evidence", test.calibration(), &all);
  for (const PostHocReport& remedy : test.post_hoc()) {
    AddMeasured(absl::StrCat("after ", Spaced(remedy.method()), " scaling"), remedy.calibration(),
                &all);
  }
  for (const ViewReport& view : test.views()) {
    AddMeasured(absl::StrCat("without ", Spaced(view.view())), view.calibration(), &all);
  }
  return all;
}

const ViewReport* Find(const std::string& view, const SplitReport& split) {
  for (const ViewReport& one : split.views()) {
    if (one.view() == view) return &one;
  }
  return nullptr;
}

// One number of every view, of the uncalibrated model too where there is one.
std::string DrawViews(const RunSummary& summary, const Heading& heading, Numbers numbers,
                      double (ViewReport::*value)() const) {
  BarChart chart;
  chart.heading = heading;
  chart.row_label = "without";
  chart.numbers = numbers;
  chart.series = {summary.has_uncalibrated() ? "calibrated" : ""};
  if (summary.has_uncalibrated()) chart.series.emplace_back("uncalibrated");
  for (const ViewReport& view : summary.test().views()) {
    BarGroup group{Spaced(view.view()), {(view.*value)()}};
    if (summary.has_uncalibrated()) {
      const ViewReport* other = Find(view.view(), summary.uncalibrated().test());
      group.values.push_back(other == nullptr ? std::nan("") : (other->*value)());
    }
    chart.groups.push_back(std::move(group));
  }
  return DrawBarChart(chart);
}

std::string FormatRemedies(const SplitReport& test) {
  if (test.post_hoc_size() == 0) return "";
  Table table{{"remedy", "weighted F1", "accuracy", "ECE"}, {}};
  for (const ViewReport& view : test.views()) {
    table.header.push_back(absl::StrCat("surer without ", Spaced(view.view())));
  }
  table.header.emplace_back("parameters");
  const auto add = [&](const std::string& name, double weighted_f1, double accuracy,
                       const CalibrationReport& calibration, const std::vector<double>& shares,
                       const std::string& parameters) {
    std::vector<std::string> row = {name, FormatNumber(weighted_f1, Numbers::kPercent),
                                    FormatNumber(accuracy, Numbers::kPercent),
                                    FormatEce(calibration)};
    for (int i = 0; i < test.views_size(); ++i) {
      const bool known = i < static_cast<int>(shares.size());
      row.push_back(known ? FormatNumber(shares[i], Numbers::kPercent) : "-");
    }
    row.push_back(parameters);
    table.rows.push_back(std::move(row));
  };
  std::vector<double> shares;
  for (const ViewReport& view : test.views()) shares.push_back(view.share_surer_without());
  add("none", test.weighted_f1(), test.accuracy(), test.calibration(), shares, "");
  for (const PostHocReport& remedy : test.post_hoc()) {
    std::vector<std::string> parameters;
    for (const double parameter : remedy.parameters()) {
      parameters.push_back(FormatNumber(parameter, Numbers::kPlain));
    }
    add(absl::StrCat(Spaced(remedy.method()), " scaling"), remedy.weighted_f1(), remedy.accuracy(),
        remedy.calibration(),
        {remedy.share_surer_without().begin(), remedy.share_surer_without().end()},
        absl::StrJoin(parameters, ", "));
  }
  Markup html;
  html.Element("h4", "Remedies fitted on the validation split");
  return html.Append(FormatTable(table)).Finish();
}

// The measures and diagrams of one model.
std::string FormatMeasured(const SplitReport& test) {
  const std::vector<Measured> all = AllMeasured(test);
  if (all.empty()) return "";
  Table table{{"prediction", "ECE", "adaptive ECE", "classwise ECE", "MCE", "Brier", "NLL", "AURC",
               "E-AURC"},
              {}};
  Markup html, diagrams;
  diagrams.Open("div", {{"class", "figures"}});
  for (const auto& [name, calibration] : all) {
    table.rows.push_back({name, FormatEce(*calibration),
                          FormatNumber(calibration->adaptive_ece(), Numbers::kPercent),
                          FormatNumber(calibration->classwise_ece(), Numbers::kPercent),
                          FormatNumber(calibration->mce(), Numbers::kPercent),
                          FormatNumber(calibration->brier(), Numbers::kPlain),
                          FormatNumber(calibration->nll(), Numbers::kPlain),
                          FormatNumber(calibration->aurc(), Numbers::kPlain),
                          FormatNumber(calibration->e_aurc(), Numbers::kPlain)});
    diagrams.Append(FormatReliabilityOf(name, *calibration));
  }
  html.Append(FormatTable(table)).Append(FormatRemedies(test));
  return html.Append(diagrams.Finish()).Finish();
}

}  // namespace

std::string FormatEce(const CalibrationReport& calibration) {
  if (calibration.bins_size() == 0) return "-";
  std::string text = FormatNumber(calibration.ece(), Numbers::kPercent);
  if (calibration.has_ece_error()) {
    const double error = calibration.ece_error().value();
    absl::StrAppend(&text, " ± ", FormatNumber(error, Numbers::kPercent));
  }
  if (calibration.has_ece_floor()) {
    const double floor = calibration.ece_floor().value();
    absl::StrAppend(&text, " (floor ", FormatNumber(floor, Numbers::kPercent), ")");
  }
  return text;
}

std::string FormatReliabilityOf(const std::string& caption, const CalibrationReport& calibration) {
  ReliabilityDiagram diagram;
  diagram.heading = {
      absl::StrCat(caption, ": ECE ", FormatEce(calibration)),
      "Bars: accuracy of the utterances in each bin of confidence, and its distance to their mean "
      "confidence; a perfectly calibrated model's bars end on the diagonal. Below: the share of "
      "utterances in each bin."};
  for (const ReliabilityBin& bin : calibration.bins()) {
    diagram.bins.push_back({bin.utterances(), bin.confidence(), bin.accuracy()});
  }
  return DrawReliability(diagram);
}

std::string FormatReliability(const RunSummary& summary) {
  const std::string own = FormatMeasured(summary.test());
  if (own.empty()) return "";
  Markup html;
  html.Element("h3", "Can the confidences be trusted?");
  html.Element("p",
               "On the test split: of the utterances with a confidence of about 0.7, about 70 % "
               "should be predicted rightly.");
  if (summary.test().calibration().has_ece_floor()) {
    html.Element(
        "p",
        "An ECE is followed by its standard error over conversations and by its floor: what "
        "a perfectly calibrated model with these confidences would show on average, for "
        "want of utterances.");
  }
  html.Append(own);
  const std::string uncalibrated = FormatMeasured(summary.uncalibrated().test());
  if (!uncalibrated.empty()) {
    html.Open("details").Element("summary", "The same of the uncalibrated model");
    html.Append(uncalibrated).Close();
  }
  return html.Finish();
}

std::string FormatViews(const RunSummary& summary) {
  const SplitReport& test = summary.test();
  if (test.views_size() == 0) return "";
  Markup html;
  html.Element("h3", "Confidence without a source of evidence");
  html.Element("p",
               "A model should not become surer when it knows less; CMERC's ranking loss asks for "
               "that. On the test split.");
  html.Open("div", {{"class", "figures"}});
  html.Append(DrawViews(summary,
                        {"True class: share surer without it",
                         "Bars: the share of utterances whose true class is more probable without "
                         "the source of evidence than with all."},
                        Numbers::kPercent, &ViewReport::share_surer_without));
  html.Append(DrawViews(summary,
                        {"True class: mean rise of log-probability without it",
                         "Bars: by how much the log-probability of the true class rises, mean over "
                         "utterances; below zero it falls."},
                        Numbers::kPlain, &ViewReport::mean_log_prob_rise));
  const bool predicted =
      std::any_of(test.views().begin(), test.views().end(), [](const ViewReport& view) {
        return view.share_predicted_surer_without() != 0 ||
               view.mean_predicted_log_prob_rise() != 0;
      });
  if (predicted) {
    html.Append(DrawViews(summary,
                          {"Predicted class: share surer without it",
                           "Bars: the share of utterances whose predicted class is more probable "
                           "without the source of evidence than with all."},
                          Numbers::kPercent, &ViewReport::share_predicted_surer_without));
    html.Append(DrawViews(summary,
                          {"Predicted class: mean rise of log-probability without it",
                           "Bars: by how much the log-probability of the predicted class rises, "
                           "mean over utterances; below zero it falls."},
                          Numbers::kPlain, &ViewReport::mean_predicted_log_prob_rise));
  }
  return html.Finish();
}

}  // namespace cmerc::report
