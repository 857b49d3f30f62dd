#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/remarks.h"
#include "report/sections.h"

namespace cmerc::report {
namespace {

// "2 runs/m3net": the number is what pictures and links have room for.
std::string NumberedName(const std::vector<TrainingRun>& runs, size_t i) {
  return absl::StrCat(i + 1, " ", runs[i].path);
}

std::string FormatTableOf(const std::vector<TrainingRun>& runs) {
  Table table{{"run", "model", "protocol", "seed", "epoch", "weighted F1", "macro F1", "accuracy",
               "valid weighted F1", "ECE", "surer without, mean"},
              {}};
  const auto add = [&](const std::string& name, const std::string& model,
                       const RunSummary& summary) {
    const SplitReport& test = summary.test();
    const auto percent = [](double share) { return FormatNumber(share, Numbers::kPercent); };
    table.rows.push_back({name, model, summary.protocol().substr(0, summary.protocol().find(' ')),
                          absl::StrCat(summary.seed()), absl::StrCat(summary.selected_epoch() + 1),
                          summary.has_test() ? percent(test.weighted_f1()) : "-",
                          summary.has_test() ? percent(test.macro_f1()) : "-",
                          summary.has_test() ? percent(test.accuracy()) : "-",
                          summary.has_valid() ? percent(summary.valid().weighted_f1()) : "-",
                          FormatEce(test.calibration()),
                          test.views_size() > 0 ? percent(MeanShareSurerWithout(test)) : "-"});
  };
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string name = NumberedName(runs, i);
    if (!runs[i].summary.has_value()) {
      std::vector<std::string> row(table.header.size(), "-");
      row[0] = name;
      row[1] = "not finished";
      table.rows.push_back(std::move(row));
      continue;
    }
    const RunSummary& summary = *runs[i].summary;
    const std::string backbone = PluginName(summary.backbone());
    add(name, backbone, summary);
    if (summary.has_uncalibrated()) {
      add(absl::StrCat(i + 1, ", uncalibrated"), backbone, summary.uncalibrated());
    }
  }
  return FormatTable(table);
}

std::string DrawTestScores(const std::vector<TrainingRun>& runs) {
  BarChart chart;
  chart.heading = {"Test split", "Bars: weighted F1, macro F1 and accuracy of each run."};
  chart.row_label = "run";
  chart.series = {"weighted F1", "macro F1", "accuracy"};
  chart.numbers = Numbers::kPercent;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].summary.has_value() || !runs[i].summary->has_test()) continue;
    const SplitReport& test = runs[i].summary->test();
    chart.groups.push_back(
        {NumberedName(runs, i), {test.weighted_f1(), test.macro_f1(), test.accuracy()}});
  }
  return chart.groups.empty() ? "" : DrawBarChart(chart);
}

// A chart for each source of evidence, a bar in it for each run.
std::string DrawSurerWithout(const std::vector<TrainingRun>& runs) {
  std::vector<std::string> views;
  double most = 0;
  for (const TrainingRun& run : runs) {
    if (!run.summary.has_value()) continue;
    for (const ViewReport& view : run.summary->test().views()) {
      most = std::fmax(most, view.share_surer_without());
      if (std::find(views.begin(), views.end(), view.view()) == views.end()) {
        views.push_back(view.view());
      }
    }
  }
  std::string charts;
  for (const std::string& name : views) {
    BarChart chart;
    chart.heading = {
        absl::StrCat("True class: share surer without ", absl::StrReplaceAll(name, {{"_", " "}})),
        "Bars: the share of utterances whose true class is more probable without this "
        "source of evidence, for each run."};
    chart.row_label = "run";
    chart.series = {""};
    chart.numbers = Numbers::kPercent;
    chart.reach = most;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (!runs[i].summary.has_value()) continue;
      for (const ViewReport& view : runs[i].summary->test().views()) {
        if (view.view() != name) continue;
        chart.groups.push_back({NumberedName(runs, i), {view.share_surer_without()}});
      }
    }
    charts += DrawBarChart(chart);
  }
  return charts;
}

}  // namespace

std::string FormatComparison(const std::vector<TrainingRun>& runs) {
  Markup html;
  html.Open("section", {{"id", "comparison"}}).Element("h2", "Comparison");
  html.Append(FormatRemarks(ComparisonRemarks(runs))).Append(FormatTableOf(runs));
  html.Open("div", {{"class", "figures"}});
  html.Append(DrawTestScores(runs)).Append(DrawSurerWithout(runs));
  html.Close().Element("h3", "Weighted F1 over epochs").Open("div", {{"class", "figures"}});
  std::vector<double> values;
  for (const TrainingRun& run : runs) {
    for (const auto* epochs : {&run.epochs, &run.uncalibrated_epochs}) {
      for (const EpochReport& epoch : *epochs) {
        values.push_back(epoch.train_weighted_f1());
        values.push_back((epoch.has_valid() ? epoch.valid() : epoch.test()).weighted_f1());
      }
    }
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    html.Append(FormatSelection(runs[i], NumberedName(runs, i), NiceAxis(values, 6)));
  }
  html.Close();
  std::string diagrams;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].summary.has_value()) continue;
    const CalibrationReport& calibration = runs[i].summary->test().calibration();
    if (calibration.bins_size() == 0) continue;
    diagrams += FormatReliabilityOf(NumberedName(runs, i), calibration);
  }
  if (!diagrams.empty()) {
    html.Element("h3", "Reliability on the test split").Open("div", {{"class", "figures"}});
    html.Append(diagrams).Close();
  }
  return html.Finish();
}

}  // namespace cmerc::report
