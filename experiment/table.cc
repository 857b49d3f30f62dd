#include "experiment/table.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace cmerc {
namespace {

std::string Percent(const Statistic& statistic) {
  return absl::StrFormat("%.2f ± %.2f", 100 * statistic.mean(),
                         100 * statistic.standard_deviation());
}

std::string Or(const std::string& text, const std::string& otherwise) {
  return text.empty() ? otherwise : text;
}

// A field of a CSV file, in quotes.
std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

void AppendCsv(const ExperimentRow& row, const std::string& measure, int seeds,
               const Statistic& statistic, std::string* text) {
  absl::StrAppendFormat(text, "%s,%s,%s,%d,%.17g,%.17g,%.17g,%.17g\n", Quoted(row.dataset()),
                        Quoted(row.variant()), measure, seeds, statistic.mean(),
                        statistic.standard_deviation(), statistic.low(), statistic.high());
}

}  // namespace

std::string FormatMarkdown(const ExperimentResults& results) {
  std::string text =
      "| dataset | variant | seeds | weighted F1 | 95 % | accuracy | macro F1 | valid weighted F1 "
      "| "
      "difference | p |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  std::vector<std::string> views;
  for (const ExperimentRow& row : results.rows()) {
    std::string difference = "-", p_value = "-";
    if (row.has_comparison()) {
      difference = absl::StrFormat("%+.2f against %s", 100 * row.comparison().difference().mean(),
                                   Or(row.comparison().baseline(), "the base"));
      p_value = absl::StrFormat("%.3f", row.comparison().p_value());
    }
    absl::StrAppendFormat(
        &text, "| %s | %s | %d | %s | %.2f to %.2f | %s | %s | %s | %s | %s |\n",
        Or(row.dataset(), "-"), Or(row.variant(), "-"), row.seeds_size(),
        Percent(row.weighted_f1()), 100 * row.weighted_f1().low(), 100 * row.weighted_f1().high(),
        Percent(row.accuracy()), Percent(row.macro_f1()),
        row.has_valid_weighted_f1() ? Percent(row.valid_weighted_f1()) : "-", difference, p_value);
    for (const ViewStatistic& view : row.views()) {
      if (std::find(views.begin(), views.end(), view.view()) == views.end()) {
        views.push_back(view.view());
      }
    }
  }
  if (!views.empty()) {
    text +=
        "\nPercent of utterances surer of the true emotion without a source of evidence:\n\n"
        "| dataset | variant |";
    for (const std::string& view : views) absl::StrAppend(&text, " ", view, " |");
    text += "\n| --- | --- |";
    for (size_t i = 0; i < views.size(); ++i) text += " --- |";
    text += "\n";
    for (const ExperimentRow& row : results.rows()) {
      absl::StrAppendFormat(&text, "| %s | %s |", Or(row.dataset(), "-"), Or(row.variant(), "-"));
      for (const std::string& name : views) {
        std::string share = "-";
        for (const ViewStatistic& view : row.views()) {
          if (view.view() == name) share = Percent(view.share_surer_without());
        }
        absl::StrAppend(&text, " ", share, " |");
      }
      text += "\n";
    }
  }
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
    }
    if (row.has_comparison()) {
      AppendCsv(row, "difference_of_weighted_f1", row.comparison().seeds(),
                row.comparison().difference(), &text);
    }
  }
  return text;
}

}  // namespace cmerc
