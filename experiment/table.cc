#include "experiment/table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/printable.h"
#include "experiment/evidence.h"
#include "experiment/labels.h"

namespace cmerc {
namespace {

// More columns would not be a table to read.
constexpr size_t kMostClassColumns = 20;

// A single run has a number, but neither deviation nor interval.
bool HasSpread(const Statistic& statistic) { return statistic.has_low(); }

std::string Percent(const Statistic& statistic) {
  const std::string mean = absl::StrFormat("%.2f", 100 * statistic.mean());
  if (!HasSpread(statistic)) return mean;
  return absl::StrFormat("%s ± %.2f", mean, 100 * statistic.standard_deviation());
}

std::string Plain(const Statistic& statistic) {
  const std::string mean = absl::StrFormat("%.4f", statistic.mean());
  if (!HasSpread(statistic)) return mean;
  return absl::StrFormat("%s ± %.4f", mean, statistic.standard_deviation());
}

// The 95 % interval of a Statistic or ConversationComparison, in percent.
template <typename Message>
std::string Interval(const Message& message) {
  if (!message.has_low()) return "-";
  return absl::StrFormat("%.2f to %.2f", 100 * message.low().value(), 100 * message.high().value());
}

// A cell of Markdown.
std::string Or(const std::string& text, const std::string& otherwise) {
  return text.empty() ? otherwise : MarkdownCell(text);
}

// A row of the table of calibration: of the predictions as they are, or after temperature scaling.
std::string CalibrationRow(const ExperimentRow& row, const std::vector<std::string>& views,
                           bool scaled) {
  const bool measured = scaled ? row.has_calibration_scaled() : row.has_calibration();
  const CalibrationStatistic& calibration = scaled ? row.calibration_scaled() : row.calibration();
  std::vector<std::string> cells = {Or(row.dataset(), "-"),
                                    MarkdownCell(ShownVariant(row.variant())),
                                    scaled ? "temperature" : "none"};
  cells.push_back(measured ? Percent(calibration.ece()) : "-");
  cells.push_back(calibration.has_ece_error() ? Percent(calibration.ece_error()) : "-");
  cells.push_back(calibration.has_ece_floor() ? Percent(calibration.ece_floor()) : "-");
  for (const Statistic* one : {&calibration.nll(), &calibration.brier(), &calibration.e_aurc()}) {
    cells.push_back(measured ? Plain(*one) : "-");
  }
  for (const std::string& name : views) {
    const Statistic* share = ShareSurerWithout(row, name, scaled);
    cells.push_back(share == nullptr ? "-" : Percent(*share));
  }
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

// The table of calibration; "" where no row has anything to show.
std::string CalibrationTable(const ExperimentResults& results) {
  const std::vector<std::string> views = ViewNames(results);
  std::string text =
      "\nCalibration on the test split, as predicted and after temperature scaling (fitted on the "
      "validation split), and percent of utterances surer of the true emotion without a source of "
      "evidence. Error: standard error of the ECE over conversations; floor: the ECE that a "
      "perfectly calibrated model with these confidences would show.\n\n"
      "| dataset | variant | remedy | ECE, % | error | floor | NLL | Brier | E-AURC |";
  for (const std::string& view : views) {
    absl::StrAppend(&text, " without ", MarkdownCell(view), " |");
  }
  text += "\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |";
  for (size_t i = 0; i < views.size(); ++i) text += " --- |";
  text += "\n";
  bool any = false;
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_calibration() && row.views_size() == 0) continue;
    any = true;
    text += CalibrationRow(row, views, /*scaled=*/false);
    if (row.has_calibration_scaled()) text += CalibrationRow(row, views, /*scaled=*/true);
  }
  return any ? text : "";
}

// What the sources of evidence are worth; "" where no row has anything to show.
std::string EvidenceTable(const ExperimentResults& results) {
  const std::vector<EvidenceLine> lines = EvidenceLines(results, {Percent, Plain, "-"});
  if (lines.empty()) return "";
  std::string text = absl::StrCat("\n", kEvidenceCaption, "\n\n| dataset | variant |");
  std::string rule = "\n| --- | --- |";
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    absl::StrAppend(&text, " ", measure.head, " |");
    rule += " --- |";
  }
  absl::StrAppend(&text, rule, "\n");
  for (const EvidenceLine& line : lines) {
    absl::StrAppend(&text, "| ", Or(line.dataset, "-"), " | ", MarkdownCell(line.variant), " | ",
                    absl::StrJoin(line.cells, " | "), " |\n");
  }
  return text;
}

// The last cells of a row: its comparison, "-" for what it lacks.
std::vector<std::string> ComparisonCells(const ExperimentRow& row) {
  std::vector<std::string> cells(6, "-");
  if (!row.has_comparison()) return cells;
  const Comparison& comparison = row.comparison();
  cells[0] = absl::StrFormat("%+.2f against %s", 100 * comparison.difference().mean(),
                             MarkdownCell(ShownVariant(comparison.baseline())));
  cells[1] = absl::StrFormat("%.3f", comparison.p_value());
  cells[2] = absl::StrFormat("%.3f", comparison.p_value_holm());
  if (!comparison.has_over_conversations()) return cells;
  const ConversationComparison& over = comparison.over_conversations();
  cells[3] = Interval(over);
  cells[4] = absl::StrFormat("%.4f", over.p_value());
  cells[5] = absl::StrFormat("%.4f", over.p_value_holm());
  return cells;
}

// A cell of the table of differences: a difference in the unit of its measure.
std::string Difference(const MeasureComparison& compared) {
  const double mean = compared.difference().mean();
  return compared.measure() == "nll" ? absl::StrFormat("%+.4f", mean)
                                     : absl::StrFormat("%+.2f", 100 * mean);
}

// Its interval over conversations.
std::string DifferenceInterval(const MeasureComparison& compared) {
  const ConversationComparison& over = compared.over_conversations();
  if (compared.measure() != "nll") return Interval(over);
  if (!over.has_low()) return "-";
  return absl::StrFormat("%.4f to %.4f", over.low().value(), over.high().value());
}

// The table of differences of measures of calibration; "" where none are compared.
std::string DifferencesTable(const ExperimentResults& results) {
  const std::string families = CalibrationFamilies(results);
  if (families.empty()) return "";
  std::string text = absl::StrCat(
      "\nDifferences of calibration on the test split, before any remedy: below 0 the variant is "
      "the "
      "better one. ECE and shares in percentage points. Tests as above. ",
      families,
      "\n\n| dataset | variant | against | measure | difference | p, seeds | Holm | 95 %, "
      "conversations "
      "| p, conversations | Holm |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const ExperimentRow& row : results.rows()) {
    for (const MeasureComparison& compared : row.comparison().measures()) {
      std::vector<std::string> cells = {Or(row.dataset(), "-"),
                                        MarkdownCell(ShownVariant(row.variant())),
                                        MarkdownCell(ShownVariant(row.comparison().baseline())),
                                        MarkdownCell(ShownMeasure(compared.measure())),
                                        Difference(compared),
                                        absl::StrFormat("%.3f", compared.p_value()),
                                        absl::StrFormat("%.3f", compared.p_value_holm()),
                                        DifferenceInterval(compared)};
      const bool over = compared.has_over_conversations();
      const ConversationComparison& conversations = compared.over_conversations();
      cells.push_back(over ? absl::StrFormat("%.4f", conversations.p_value()) : "-");
      cells.push_back(over ? absl::StrFormat("%.4f", conversations.p_value_holm()) : "-");
      absl::StrAppend(&text, "| ", absl::StrJoin(cells, " | "), " |\n");
    }
  }
  return text;
}

// The names of the classes of a row.
std::vector<std::string> ClassesOf(const ExperimentRow& row) {
  std::vector<std::string> names;
  for (const ClassStatistic& one : row.classes()) names.push_back(one.name());
  return names;
}

// A table of F1 for each list of classes; "" without any.
std::string ClassTables(const ExperimentResults& results) {
  std::vector<std::vector<std::string>> lists;
  for (const ExperimentRow& row : results.rows()) {
    const std::vector<std::string> names = ClassesOf(row);
    if (names.empty() || std::find(lists.begin(), lists.end(), names) != lists.end()) continue;
    lists.push_back(names);
  }
  std::string text;
  for (const std::vector<std::string>& names : lists) {
    if (names.size() > kMostClassColumns) {
      absl::StrAppend(&text, "\nF1 of each of the ", names.size(),
                      " classes is in results.csv: too many for a table here.\n");
      continue;
    }
    absl::StrAppend(&text, "\nF1 of each class, %\n\n| dataset | variant |");
    for (const std::string& name : names) absl::StrAppend(&text, " ", MarkdownCell(name), " |");
    absl::StrAppend(&text, "\n| --- | --- |");
    for (size_t c = 0; c < names.size(); ++c) text += " --- |";
    text += "\n";
    for (const ExperimentRow& row : results.rows()) {
      if (ClassesOf(row) != names) continue;
      absl::StrAppend(&text, "| ", Or(row.dataset(), "-"), " | ",
                      MarkdownCell(ShownVariant(row.variant())), " |");
      for (const ClassStatistic& one : row.classes()) {
        absl::StrAppend(&text, " ", Percent(one.f1()), " |");
      }
      text += "\n";
    }
  }
  return text;
}

// The table of F1 without classes; "" where no row has it.
std::string F1WithoutTable(const ExperimentResults& results) {
  std::string rows;
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_f1_without()) continue;
    const F1WithoutStatistic& without = row.f1_without();
    absl::StrAppend(&rows, "| ", Or(row.dataset(), "-"), " | ",
                    MarkdownCell(ShownVariant(row.variant())), " | ",
                    MarkdownCell(absl::StrJoin(without.classes(), ", ")), " | ",
                    Percent(without.micro_f1()), " | ", Percent(without.macro_f1()), " | ",
                    Percent(without.weighted_f1()), " |\n");
  }
  if (rows.empty()) return "";
  return absl::StrCat(
      "\nF1 over the other classes, % (data.unscored_classes)\n\n"
      "| dataset | variant | without | micro F1 | macro F1 | weighted F1 |\n"
      "| --- | --- | --- | --- | --- | --- |\n",
      rows);
}

// Lines of a list under a heading; "" without any.
template <typename Lines>
std::string List(absl::string_view heading, const Lines& lines) {
  if (lines.empty()) return "";
  return absl::StrCat(
      "\n", heading, "\n\n- ",
      absl::StrJoin(lines, "\n- ",
                    [](std::string* out, const std::string& line) { out->append(OneLine(line)); }),
      "\n");
}

}  // namespace

std::string FormatMarkdown(const ExperimentResults& results) {
  std::string text =
      "| dataset | variant | protocol | seeds | weighted F1 | 95 % | accuracy | macro F1 | valid "
      "weighted F1 | difference | p, seeds | Holm | 95 %, conversations | p, conversations | Holm "
      "|\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- "
      "|\n";
  for (const ExperimentRow& row : results.rows()) {
    std::vector<std::string> cells = {
        Or(row.dataset(), "-"),
        MarkdownCell(ShownVariant(row.variant())),
        Or(ShortProtocol(row.protocol()), "-"),
        absl::StrCat(row.seeds_size()),
        Percent(row.weighted_f1()),
        Interval(row.weighted_f1()),
        Percent(row.accuracy()),
        Percent(row.macro_f1()),
        row.has_valid_weighted_f1() ? Percent(row.valid_weighted_f1()) : "-",
    };
    for (std::string& cell : ComparisonCells(row)) cells.push_back(std::move(cell));
    absl::StrAppend(&text, "| ", absl::StrJoin(cells, " | "), " |\n");
  }
  absl::StrAppend(&text, List("What the numbers are:", Legend(results)),
                  List("Before you trust the differences:", results.remarks()),
                  F1WithoutTable(results), ClassTables(results), CalibrationTable(results),
                  EvidenceTable(results), DifferencesTable(results),
                  List("Failed, and left out above:", results.failed_runs()));
  return text;
}

}  // namespace cmerc
