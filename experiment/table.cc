#include "experiment/table.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace cmerc {
namespace {

std::string Percent(const Statistic& statistic) {
  return absl::StrFormat("%.2f ± %.2f", 100 * statistic.mean(),
                         100 * statistic.standard_deviation());
}

std::string Plain(const Statistic& statistic) {
  return absl::StrFormat("%.4f ± %.4f", statistic.mean(), statistic.standard_deviation());
}

std::string Or(const std::string& text, const std::string& otherwise) {
  return text.empty() ? otherwise : text;
}

// A field of a CSV file, in quotes.
std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// A row of the table of calibration: of the predictions as they are, or after temperature scaling.
std::string CalibrationRow(const ExperimentRow& row, const std::vector<std::string>& views,
                           bool scaled) {
  const bool measured = scaled ? row.has_calibration_scaled() : row.has_calibration();
  const CalibrationStatistic& calibration = scaled ? row.calibration_scaled() : row.calibration();
  std::vector<std::string> cells = {Or(row.dataset(), "-"), Or(row.variant(), "-"),
                                    scaled ? "temperature" : "none"};
  cells.push_back(measured ? Percent(calibration.ece()) : "-");
  for (const Statistic* one : {&calibration.nll(), &calibration.brier(), &calibration.e_aurc()}) {
    cells.push_back(measured ? Plain(*one) : "-");
  }
  for (const std::string& name : views) {
    std::string share = "-";
    for (const ViewStatistic& view : row.views()) {
      if (view.view() != name) continue;
      if (!scaled) share = Percent(view.share_surer_without());
      if (scaled && view.has_share_surer_without_scaled()) {
        share = Percent(view.share_surer_without_scaled());
      }
    }
    cells.push_back(share);
  }
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

// The table of calibration; "" where no row has anything to show.
std::string CalibrationTable(const ExperimentResults& results,
                             const std::vector<std::string>& views) {
  std::string text =
      "\nCalibration on the test split, as predicted and after temperature scaling (fitted on the "
      "validation split), and percent of utterances surer of the true emotion without a source of "
      "evidence:\n\n| dataset | variant | remedy | ECE, % | NLL | Brier | E-AURC |";
  for (const std::string& view : views) absl::StrAppend(&text, " without ", view, " |");
  text += "\n| --- | --- | --- | --- | --- | --- | --- |";
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

void AppendCsv(const ExperimentRow& row, absl::string_view measure, int seeds,
               const Statistic& statistic, std::string* text) {
  absl::StrAppendFormat(text, "%s,%s,%s,%d,%.17g,%.17g,%.17g,%.17g\n", Quoted(row.dataset()),
                        Quoted(row.variant()), measure, seeds, statistic.mean(),
                        statistic.standard_deviation(), statistic.low(), statistic.high());
}

void AppendCsv(const ExperimentRow& row, absl::string_view ending,
               const CalibrationStatistic& calibration, std::string* text) {
  const int seeds = row.seeds_size();
  AppendCsv(row, absl::StrCat("ece", ending), seeds, calibration.ece(), text);
  AppendCsv(row, absl::StrCat("nll", ending), seeds, calibration.nll(), text);
  AppendCsv(row, absl::StrCat("brier", ending), seeds, calibration.brier(), text);
  AppendCsv(row, absl::StrCat("e_aurc", ending), seeds, calibration.e_aurc(), text);
}

}  // namespace

std::string FormatMarkdown(const ExperimentResults& results) {
  std::string text =
      "| dataset | variant | seeds | weighted F1 | 95 % | accuracy | macro F1 | valid weighted F1 "
      "| "
      "difference | p, seeds | p, utterances |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  std::vector<std::string> views;
  for (const ExperimentRow& row : results.rows()) {
    std::string difference = "-", p_value = "-", p_over_utterances = "-";
    if (row.has_comparison()) {
      difference = absl::StrFormat("%+.2f against %s", 100 * row.comparison().difference().mean(),
                                   Or(row.comparison().baseline(), "the base"));
      p_value = absl::StrFormat("%.3f", row.comparison().p_value());
      if (row.comparison().has_over_utterances()) {
        p_over_utterances = absl::StrFormat("%.4f", row.comparison().over_utterances().p_value());
      }
    }
    absl::StrAppendFormat(
        &text, "| %s | %s | %d | %s | %.2f to %.2f | %s | %s | %s | %s | %s | %s |\n",
        Or(row.dataset(), "-"), Or(row.variant(), "-"), row.seeds_size(),
        Percent(row.weighted_f1()), 100 * row.weighted_f1().low(), 100 * row.weighted_f1().high(),
        Percent(row.accuracy()), Percent(row.macro_f1()),
        row.has_valid_weighted_f1() ? Percent(row.valid_weighted_f1()) : "-", difference, p_value,
        p_over_utterances);
    for (const ViewStatistic& view : row.views()) {
      if (std::find(views.begin(), views.end(), view.view()) == views.end()) {
        views.push_back(view.view());
      }
    }
  }
  text += CalibrationTable(results, views);
  if (results.failed_runs_size() > 0) {
    text += "\nFailed, and left out above:\n\n";
    for (const std::string& run : results.failed_runs()) absl::StrAppend(&text, "- ", run, "\n");
  }
  return text;
}

std::string FormatCsv(const ExperimentResults& results) {
  std::string text = "dataset,variant,measure,seeds,mean,standard_deviation,low,high\n";
  for (const ExperimentRow& row : results.rows()) {
    AppendCsv(row, "weighted_f1", row.seeds_size(), row.weighted_f1(), &text);
    AppendCsv(row, "accuracy", row.seeds_size(), row.accuracy(), &text);
    AppendCsv(row, "macro_f1", row.seeds_size(), row.macro_f1(), &text);
    if (row.has_valid_weighted_f1()) {
      AppendCsv(row, "valid_weighted_f1", row.seeds_size(), row.valid_weighted_f1(), &text);
    }
    for (const ViewStatistic& view : row.views()) {
      AppendCsv(row, absl::StrCat("share_surer_without_", view.view()), row.seeds_size(),
                view.share_surer_without(), &text);
      if (!view.has_share_surer_without_scaled()) continue;
      AppendCsv(row, absl::StrCat("share_surer_without_", view.view(), "_scaled"), row.seeds_size(),
                view.share_surer_without_scaled(), &text);
    }
    if (row.has_calibration()) AppendCsv(row, "", row.calibration(), &text);
    if (row.has_calibration_scaled()) AppendCsv(row, "_scaled", row.calibration_scaled(), &text);
    if (row.has_comparison()) {
      AppendCsv(row, "difference_of_weighted_f1", row.comparison().seeds(),
                row.comparison().difference(), &text);
    }
  }
  return text;
}

}  // namespace cmerc
