#include "experiment/table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/printable.h"

namespace cmerc {
namespace {

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

// "HELD_OUT" of "HELD_OUT (the validation split selects the epoch)".
std::string ShortProtocol(const ExperimentRow& row) {
  return row.protocol().substr(0, row.protocol().find(' '));
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
  std::vector<std::string> cells = {Or(row.dataset(), "-"), Or(row.variant(), "-"),
                                    scaled ? "temperature" : "none"};
  cells.push_back(measured ? Percent(calibration.ece()) : "-");
  cells.push_back(calibration.has_ece_error() ? Percent(calibration.ece_error()) : "-");
  cells.push_back(calibration.has_ece_floor() ? Percent(calibration.ece_floor()) : "-");
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

// What a number of the CSV file is over.
struct Source {
  const ExperimentRow& row;
  int seeds;
};

void AppendCsv(const Source& source, absl::string_view measure, const Statistic& statistic,
               std::string* text) {
  const auto field = [&](bool known, double value) {
    return known ? absl::StrFormat("%.17g", value) : std::string();
  };
  const bool spread = HasSpread(statistic);
  absl::StrAppendFormat(
      text, "%s,%s,%s,%d,%.17g,%s,%s,%s,%s\n", CsvField(source.row.dataset()),
      CsvField(source.row.variant()), CsvField(measure), source.seeds, statistic.mean(),
      field(spread, statistic.standard_deviation()), field(spread, statistic.low().value()),
      field(spread, statistic.high().value()), CsvField(ShortProtocol(source.row)));
}

void AppendCsv(const Source& source, absl::string_view ending,
               const CalibrationStatistic& calibration, std::string* text) {
  AppendCsv(source, absl::StrCat("ece", ending), calibration.ece(), text);
  if (calibration.has_ece_error()) {
    AppendCsv(source, absl::StrCat("ece_error", ending), calibration.ece_error(), text);
  }
  if (calibration.has_ece_floor()) {
    AppendCsv(source, absl::StrCat("ece_floor", ending), calibration.ece_floor(), text);
  }
  AppendCsv(source, absl::StrCat("nll", ending), calibration.nll(), text);
  AppendCsv(source, absl::StrCat("brier", ending), calibration.brier(), text);
  AppendCsv(source, absl::StrCat("e_aurc", ending), calibration.e_aurc(), text);
}

// A probability as a measure of its own: it has no spread.
void AppendPValue(const Source& source, absl::string_view measure, double p_value,
                  std::string* text) {
  Statistic statistic;
  statistic.set_mean(p_value);
  AppendCsv(source, measure, statistic, text);
}

void AppendComparison(const ExperimentRow& row, std::string* text) {
  const Comparison& comparison = row.comparison();
  const Source source{row, comparison.seeds()};
  AppendCsv(source, "difference_of_weighted_f1", comparison.difference(), text);
  AppendPValue(source, "p_over_seeds", comparison.p_value(), text);
  AppendPValue(source, "p_over_seeds_holm", comparison.p_value_holm(), text);
  if (!comparison.has_over_conversations()) return;
  const ConversationComparison& over = comparison.over_conversations();
  AppendPValue(source, "p_over_conversations", over.p_value(), text);
  AppendPValue(source, "p_over_conversations_holm", over.p_value_holm(), text);
}

// The last cells of a row: its comparison, "-" for what it lacks.
std::vector<std::string> ComparisonCells(const ExperimentRow& row) {
  std::vector<std::string> cells(6, "-");
  if (!row.has_comparison()) return cells;
  const Comparison& comparison = row.comparison();
  cells[0] = absl::StrFormat("%+.2f against %s", 100 * comparison.difference().mean(),
                             Or(comparison.baseline(), "the base"));
  cells[1] = absl::StrFormat("%.3f", comparison.p_value());
  cells[2] = absl::StrFormat("%.3f", comparison.p_value_holm());
  if (!comparison.has_over_conversations()) return cells;
  const ConversationComparison& over = comparison.over_conversations();
  cells[3] = Interval(over);
  cells[4] = absl::StrFormat("%.4f", over.p_value());
  cells[5] = absl::StrFormat("%.4f", over.p_value_holm());
  return cells;
}

// What the columns of the table of scores mean, and how large its families of tests are.
std::string Explanation(const ExperimentResults& results) {
  int over_seeds = 0, over_conversations = 0;
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_comparison()) continue;
    ++over_seeds;
    over_conversations += row.comparison().has_over_conversations() ? 1 : 0;
  }
  std::string text =
      "\n95 %: of the mean over seeds, by Student's t; ±: standard deviation over seeds. Single "
      "runs "
      "have neither.\n";
  const bool official =
      std::any_of(results.rows().begin(), results.rows().end(),
                  [](const ExperimentRow& row) { return ShortProtocol(row) == "OFFICIAL"; });
  if (official) {
    text +=
        "OFFICIAL: the test set selected the epoch, so these scores are optimistic, also beside "
        "those "
        "under HELD_OUT.\n";
  }
  if (over_seeds == 0) return text;
  absl::StrAppend(
      &text,
      "Conversations: whether the difference would remain with other test conversations, for these "
      "seeds; 95 % and p by resampling and by exchanging whole conversations, in all seeds "
      "together. "
      "Holm: the p before it, corrected for the ",
      over_seeds, over_seeds == 1 ? " comparison" : " comparisons", " over seeds and the ",
      over_conversations, " over conversations of this table.\n");
  return text;
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
  std::vector<std::string> views;
  for (const ExperimentRow& row : results.rows()) {
    std::vector<std::string> cells = {
        Or(row.dataset(), "-"),
        Or(row.variant(), "-"),
        Or(ShortProtocol(row), "-"),
        absl::StrCat(row.seeds_size()),
        Percent(row.weighted_f1()),
        Interval(row.weighted_f1()),
        Percent(row.accuracy()),
        Percent(row.macro_f1()),
        row.has_valid_weighted_f1() ? Percent(row.valid_weighted_f1()) : "-",
    };
    for (std::string& cell : ComparisonCells(row)) cells.push_back(std::move(cell));
    absl::StrAppend(&text, "| ", absl::StrJoin(cells, " | "), " |\n");
    for (const ViewStatistic& view : row.views()) {
      if (std::find(views.begin(), views.end(), view.view()) == views.end()) {
        views.push_back(view.view());
      }
    }
  }
  absl::StrAppend(
      &text, Explanation(results), List("Before you trust the differences:", results.remarks()),
      CalibrationTable(results, views), List("Failed, and left out above:", results.failed_runs()));
  return text;
}

std::string FormatCsv(const ExperimentResults& results) {
  std::string text = "dataset,variant,measure,seeds,mean,standard_deviation,low,high,protocol\n";
  for (const ExperimentRow& row : results.rows()) {
    const Source source{row, row.seeds_size()};
    AppendCsv(source, "weighted_f1", row.weighted_f1(), &text);
    AppendCsv(source, "accuracy", row.accuracy(), &text);
    AppendCsv(source, "macro_f1", row.macro_f1(), &text);
    if (row.has_valid_weighted_f1()) {
      AppendCsv(source, "valid_weighted_f1", row.valid_weighted_f1(), &text);
    }
    for (const ViewStatistic& view : row.views()) {
      AppendCsv(source, absl::StrCat("share_surer_without_", view.view()),
                view.share_surer_without(), &text);
      if (!view.has_share_surer_without_scaled()) continue;
      AppendCsv(source, absl::StrCat("share_surer_without_", view.view(), "_scaled"),
                view.share_surer_without_scaled(), &text);
    }
    if (row.has_calibration()) AppendCsv(source, "", row.calibration(), &text);
    if (row.has_calibration_scaled()) AppendCsv(source, "_scaled", row.calibration_scaled(), &text);
    if (row.has_comparison()) AppendComparison(row, &text);
  }
  return text;
}

}  // namespace cmerc
