#include "report/experiment.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "core/status.h"
#include "experiment/evidence.h"
#include "experiment/labels.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/json_file.h"
#include "report/markup.h"
#include "report/sections.h"

namespace cmerc {
namespace report {
namespace {

// More variants or classes make no picture to read; the tables have them all.
constexpr int kMostSeries = 6;
constexpr int kMostClasses = 20;

// How much a weighted F1 below the uncalibrated model's is worth a remark.
constexpr double kWorse = 0.01;

using Rows = std::vector<const ExperimentRow*>;

std::string NameOf(const ExperimentRow& row) {
  return absl::StrCat(row.dataset().empty() ? "" : absl::StrCat(row.dataset(), "/"),
                      ShownVariant(row.variant()));
}

// Rows by dataset, in their order.
std::vector<Rows> ByDataset(const ExperimentResults& results) {
  std::vector<Rows> groups;
  for (const ExperimentRow& row : results.rows()) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Rows& rows) {
      return rows[0]->dataset() == row.dataset();
    });
    if (same == groups.end()) {
      groups.push_back({&row});
    } else {
      same->push_back(&row);
    }
  }
  return groups;
}

std::string Spread(const Statistic& statistic, double factor, int decimals) {
  const std::string mean = absl::StrFormat("%.*f", decimals, factor * statistic.mean());
  if (!statistic.has_low()) return mean;
  return absl::StrFormat("%s ± %.*f", mean, decimals, factor * statistic.standard_deviation());
}

std::string Percent(const Statistic& statistic) { return Spread(statistic, 100, 2); }

// The interval of a Statistic or a ConversationComparison.
template <typename Message>
std::string Interval(const Message& message, double factor, int decimals) {
  if (!message.has_low()) return "-";
  return absl::StrFormat("%.*f to %.*f", decimals, factor * message.low().value(), decimals,
                         factor * message.high().value());
}

template <typename Message>
IntervalRow RowOfChart(const std::string& label, double mean, const Message& interval) {
  IntervalRow row{label, {}, mean, std::nan(""), std::nan("")};
  if (interval.has_low()) {
    row.low = interval.low().value();
    row.high = interval.high().value();
  }
  return row;
}

std::string FormatScoresTable(const ExperimentResults& results) {
  Table table{{"dataset", "variant", "protocol", "seeds", "weighted F1, %", "95 %", "accuracy, %",
               "macro F1, %", "valid weighted F1, %"},
              {}};
  for (const ExperimentRow& row : results.rows()) {
    table.rows.push_back({row.dataset().empty() ? "-" : row.dataset(), ShownVariant(row.variant()),
                          ShortProtocol(row.protocol()), absl::StrCat(row.seeds_size()),
                          Percent(row.weighted_f1()), Interval(row.weighted_f1(), 100, 2),
                          Percent(row.accuracy()), Percent(row.macro_f1()),
                          row.has_valid_weighted_f1() ? Percent(row.valid_weighted_f1()) : "-"});
  }
  return FormatTable(table);
}

// F1 without classes; "" where no row has it.
std::string FormatF1Without(const ExperimentResults& results) {
  Table table{{"dataset", "variant", "without", "micro F1, %", "macro F1, %", "weighted F1, %"},
              {}};
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_f1_without()) continue;
    const F1WithoutStatistic& without = row.f1_without();
    table.rows.push_back({row.dataset().empty() ? "-" : row.dataset(), ShownVariant(row.variant()),
                          absl::StrJoin(without.classes(), ", "), Percent(without.micro_f1()),
                          Percent(without.macro_f1()), Percent(without.weighted_f1())});
  }
  if (table.rows.empty()) return "";
  Markup html;
  html.Element("h3", "F1 over the other classes").Append(FormatTable(table));
  return html.Finish();
}

std::string DrawScores(const Rows& rows) {
  IntervalChart scores;
  scores.heading = {"Weighted F1, test split",
                    "Dots: the seeds of each variant; a bar: their mean; a line: the 95 % interval "
                    "of the mean over seeds."};
  scores.row_label = "variant";
  scores.interval = "95 % over seeds";
  scores.numbers = Numbers::kPercent;
  IntervalChart differences = scores;
  differences.heading = {"Difference of weighted F1 to the baseline",
                         "A bar: the difference, mean over seeds; a line: its 95 % interval over "
                         "conversations. Right of 0 the variant is the better one."};
  differences.interval = "95 % over conversations";
  differences.mark_zero = true;
  IntervalChart ece = scores;
  ece.heading = {
      "ECE, test split",
      "A bar: the expected calibration error, mean over seeds; a line: the 95 % interval "
      "of the mean over seeds."};
  for (const ExperimentRow* row : rows) {
    const std::string name = ShownVariant(row->variant());
    scores.rows.push_back(RowOfChart(name, row->weighted_f1().mean(), row->weighted_f1()));
    scores.rows.back().points.assign(row->weighted_f1_of_seeds().begin(),
                                     row->weighted_f1_of_seeds().end());
    if (row->has_comparison()) {
      differences.rows.push_back(RowOfChart(name, row->comparison().difference().mean(),
                                            row->comparison().over_conversations()));
    }
    if (row->has_calibration()) {
      const Statistic& of_row = row->calibration().ece();
      ece.rows.push_back(RowOfChart(name, of_row.mean(), of_row));
    }
  }
  std::string pictures = DrawIntervals(scores);
  if (!differences.rows.empty()) pictures += DrawIntervals(differences);
  if (!ece.rows.empty()) pictures += DrawIntervals(ece);
  return pictures;
}

// Bars of all rows for each of `labels`; `value` is NaN where a row has none.
std::string DrawBars(const Heading& heading, const std::string& row_label, const Rows& rows,
                     const std::vector<std::string>& labels,
                     const std::function<double(const ExperimentRow&, int)>& value) {
  BarChart chart;
  chart.heading = heading;
  chart.row_label = row_label;
  chart.numbers = Numbers::kPercent;
  for (const ExperimentRow* row : rows) chart.series.push_back(ShownVariant(row->variant()));
  for (size_t i = 0; i < labels.size(); ++i) {
    BarGroup group{labels[i], {}};
    for (const ExperimentRow* row : rows) group.values.push_back(value(*row, static_cast<int>(i)));
    chart.groups.push_back(std::move(group));
  }
  return DrawBarChart(chart);
}

std::vector<std::string> ClassesOf(const ExperimentRow& row) {
  std::vector<std::string> names;
  for (const ClassStatistic& one : row.classes()) names.push_back(one.name());
  return names;
}

// F1 of each class of the rows of a dataset: the first row says which classes; rows with others are
// left out.
std::string FormatClasses(const Rows& rows) {
  const std::vector<std::string> names = ClassesOf(*rows[0]);
  if (names.empty()) return "";
  Rows same;
  for (const ExperimentRow* row : rows) {
    if (ClassesOf(*row) == names) same.push_back(row);
  }
  Markup html;
  html.Element("h4", "F1 of each class, %");
  Table table{{"variant"}, {}};
  table.header.insert(table.header.end(), names.begin(), names.end());
  for (const ExperimentRow* row : same) {
    table.rows.push_back({ShownVariant(row->variant())});
    for (const ClassStatistic& one : row->classes()) {
      table.rows.back().push_back(Percent(one.f1()));
    }
  }
  html.Append(FormatTable(table));
  if (same.size() > kMostSeries || names.size() > kMostClasses) return html.Finish();
  html.Open("div", {{"class", "figures"}});
  html.Append(DrawBars({"F1 of each class",
                        "Bars: the F1 of each class, mean over seeds, for each "
                        "variant."},
                       "class", same, names,
                       [](const ExperimentRow& row, int c) { return row.classes(c).f1().mean(); }));
  return html.Finish();
}

// Shares of utterances surer without each source of evidence, of the rows that have those of the
// first.
std::string DrawShares(const Rows& rows) {
  std::vector<std::string> labels;
  for (const ViewStatistic& view : rows[0]->views()) {
    labels.push_back(absl::StrReplaceAll(view.view(), {{"_", " "}}));
  }
  if (labels.empty() || rows.size() > kMostSeries) return "";
  return DrawBars({"True class: share surer without",
                   "Bars: the share of utterances whose true class is more probable without the "
                   "source of evidence, mean over seeds, for each variant."},
                  "without", rows, labels, [&](const ExperimentRow& row, int v) {
                    for (const ViewStatistic& view : row.views()) {
                      if (view.view() != rows[0]->views(v).view()) continue;
                      return view.share_surer_without().mean();
                    }
                    return std::nan("");
                  });
}

void AddCalibrationRow(const ExperimentRow& row, const std::string& remedy,
                       const CalibrationStatistic& calibration, Table* table) {
  table->rows.push_back({row.dataset().empty() ? "-" : row.dataset(), ShownVariant(row.variant()),
                         remedy, Percent(calibration.ece()),
                         calibration.has_ece_error() ? Percent(calibration.ece_error()) : "-",
                         calibration.has_ece_floor() ? Percent(calibration.ece_floor()) : "-",
                         Spread(calibration.nll(), 1, 4), Spread(calibration.brier(), 1, 4),
                         Spread(calibration.e_aurc(), 1, 4)});
}

std::string FormatCalibration(const ExperimentResults& results) {
  Table table{
      {"dataset", "variant", "remedy", "ECE, %", "error", "floor", "NLL", "Brier", "E-AURC"}, {}};
  for (const ExperimentRow& row : results.rows()) {
    if (row.has_calibration()) AddCalibrationRow(row, "none", row.calibration(), &table);
    if (row.has_calibration_scaled()) {
      AddCalibrationRow(row, "temperature", row.calibration_scaled(), &table);
    }
  }
  if (table.rows.empty()) return "";
  Markup html;
  html.Element("h3", "Calibration");
  html.Element("p",
               "Of the test split, as predicted and after temperature scaling, which is fitted on "
               "the validation split. Error: standard error of the ECE over conversations; floor: "
               "the ECE that a perfectly calibrated model with these confidences would show.");
  return html.Append(FormatTable(table)).Finish();
}

std::string FormatEvidence(const ExperimentResults& results) {
  const auto plain = [](const Statistic& statistic) { return Spread(statistic, 1, 4); };
  Table table{{"dataset", "variant"}, {}};
  for (const EvidenceMeasure& measure : EvidenceMeasures()) table.header.push_back(measure.head);
  for (const EvidenceLine& line : EvidenceLines(results, {Percent, plain, "-"})) {
    std::vector<std::string> cells = {line.dataset.empty() ? "-" : line.dataset, line.variant};
    cells.insert(cells.end(), line.cells.begin(), line.cells.end());
    table.rows.push_back(std::move(cells));
  }
  if (table.rows.empty()) return "";
  Markup html;
  html.Element("h3", "Evidence").Element("p", kEvidenceCaption);
  return html.Append(FormatTable(table)).Finish();
}

// A row of the table of differences; `factor` brings the measure into its unit.
template <typename Test>
void AddDifference(const ExperimentRow& row, const std::string& measure, const Test& test,
                   double factor, int decimals, Table* table) {
  const bool over = test.has_over_conversations();
  const ConversationComparison& conversations = test.over_conversations();
  table->rows.push_back({row.dataset().empty() ? "-" : row.dataset(), ShownVariant(row.variant()),
                         ShownVariant(row.comparison().baseline()), measure,
                         absl::StrFormat("%+.*f", decimals, factor * test.difference().mean()),
                         Interval(conversations, factor, decimals),
                         over ? absl::StrFormat("%.4f", conversations.p_value()) : "-",
                         over ? absl::StrFormat("%.4f", conversations.p_value_holm()) : "-",
                         absl::StrFormat("%.4f", test.p_value()),
                         absl::StrFormat("%.4f", test.p_value_holm())});
}

std::string FormatDifferences(const ExperimentResults& results) {
  const std::vector<std::string> header = {
      "dataset",          "variant", "against",  "measure", "difference", "95 %, conversations",
      "p, conversations", "Holm",    "p, seeds", "Holm"};
  Table scores{header, {}}, measures{header, {}};
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_comparison()) continue;
    AddDifference(row, "weighted F1, points", row.comparison(), 100, 2, &scores);
    for (const MeasureComparison& one : row.comparison().measures()) {
      const bool nll = one.measure() == "nll";
      AddDifference(row, absl::StrCat(ShownMeasure(one.measure()), nll ? "" : ", points"), one,
                    nll ? 1 : 100, nll ? 4 : 2, &measures);
    }
  }
  if (scores.rows.empty()) return "";
  Markup html;
  html.Element("h3", "Differences").Append(FormatTable(scores));
  if (measures.rows.empty()) return html.Finish();
  html.Element("h4", "Of calibration");
  html.Element("p", absl::StrCat("Before any remedy; below 0 the variant is the better one. ",
                                 CalibrationFamilies(results)));
  return html.Append(FormatTable(measures)).Finish();
}

std::string FormatLegend(const ExperimentResults& results) {
  Markup html;
  html.Element("h3", "What the numbers are").Open("ul");
  for (const std::string& line : Legend(results)) html.Element("li", line);
  return html.Finish();
}

}  // namespace

std::vector<std::string> ExperimentRemarks(const ExperimentResults& results) {
  std::vector<std::string> remarks;
  if (results.rows_size() == 0) remarks.emplace_back("No run has finished.");
  std::vector<std::string> single;
  bool official = false;
  for (const ExperimentRow& row : results.rows()) {
    official = official || ShortProtocol(row.protocol()) == "OFFICIAL";
    if (row.seeds_size() == 1) single.push_back(NameOf(row));
  }
  if (official) {
    remarks.emplace_back(
        "Protocol OFFICIAL: the test set selected the epoch, so these test scores are optimistic.");
  }
  if (!single.empty()) {
    remarks.push_back(absl::StrCat(
        "Of a single seed, which says nothing of other seeds: ", absl::StrJoin(single, ", "), "."));
  }
  for (const ExperimentRow& row : results.rows()) {
    for (const ExperimentRow& other : results.rows()) {
      const bool pair =
          other.dataset() == row.dataset() &&
          other.variant() == absl::StrCat(ShownVariant(row.variant()), ", uncalibrated");
      if (!pair || row.weighted_f1().mean() >= other.weighted_f1().mean() - kWorse) continue;
      remarks.push_back(absl::StrFormat(
          "%s is worse than uncalibrated: its weighted F1 fell from %.1f %% (uncalibrated) to %.1f "
          "%%, mean over seeds.",
          NameOf(row), 100 * other.weighted_f1().mean(), 100 * row.weighted_f1().mean()));
    }
  }
  for (const std::string& remark : results.remarks()) remarks.push_back(remark + ".");
  for (const std::string& run : results.failed_runs()) {
    remarks.push_back(absl::StrCat("Failed, and left out: ", run));
  }
  return remarks;
}

}  // namespace report

absl::StatusOr<ExperimentResults> ReadExperiment(const std::string& path) {
  const std::string file = path + "/results.json";
  std::error_code none;
  if (!std::filesystem::exists(file, none)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": the experiment has no results.json yet; wait for its end, or go on with the same "
        "`cmerc experiment` command; a run of it that has begun can be named as it is: ",
        path, "/.../seed-1"));
  }
  constexpr char kRemedy[] = "repeat the `cmerc experiment` command, which writes it anew";
  ExperimentResults results;
  ASSIGN_OR_RETURN(const std::string text, ReadReportFile(file, kRemedy));
  RETURN_IF_ERROR(ParseReport(file, text, 0, kRemedy, &results));
  return results;
}

std::string FormatExperimentPage(const std::string& path, const ExperimentResults& results) {
  report::Markup html;
  report::OpenPage(absl::StrCat("Report of the experiment ", path), &html);
  html.Open("section", {{"id", "results"}}).Element("h2", "Results");
  html.Append(report::FormatRemarks(report::ExperimentRemarks(results)));
  html.Element("h3", "Scores of the test split").Append(report::FormatScoresTable(results));
  html.Append(report::FormatF1Without(results));
  html.Append(report::FormatLegend(results)).Append(report::FormatDifferences(results));
  html.Append(report::FormatCalibration(results)).Append(report::FormatEvidence(results)).Close();
  const std::vector<report::Rows> groups = report::ByDataset(results);
  for (size_t i = 0; i < groups.size(); ++i) {
    const std::string& dataset = groups[i][0]->dataset();
    html.Open("section", {{"id", absl::StrCat("dataset-", i + 1)}});
    html.Element("h2", dataset.empty() ? "Pictures" : absl::StrCat("Pictures: ", dataset));
    html.Open("div", {{"class", "figures"}});
    html.Append(report::DrawScores(groups[i])).Append(report::DrawShares(groups[i])).Close();
    html.Append(report::FormatClasses(groups[i])).Close();
  }
  return absl::StrCat("<!DOCTYPE html>\n", html.Finish());
}

}  // namespace cmerc
