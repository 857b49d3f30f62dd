#include "experiment/latex.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "core/printable.h"
#include "experiment/evidence.h"
#include "experiment/labels.h"

namespace cmerc {
namespace {

// More columns run past a page.
constexpr size_t kMostClassColumns = 12;

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(OneLine(text), {{"\\", "\\textbackslash{}"},
                                             {"{", "\\{"},
                                             {"}", "\\}"},
                                             {"$", "\\$"},
                                             {"&", "\\&"},
                                             {"#", "\\#"},
                                             {"_", "\\_"},
                                             {"%", "\\%"},
                                             {"~", "\\textasciitilde{}"},
                                             {"^", "\\textasciicircum{}"},
                                             {"<", "\\textless{}"},
                                             {">", "\\textgreater{}"},
                                             {"|", "\\textbar{}"},
                                             {"±", "$\\pm$"}});
}

// "50.00 $\pm$ 1.25": a number and its deviation over seeds, which a single run does not have.
std::string Number(const Statistic& statistic, double factor, int decimals) {
  const std::string mean = absl::StrFormat("%.*f", decimals, factor * statistic.mean());
  if (!statistic.has_low()) return mean;
  return absl::StrFormat("%s $\\pm$ %.*f", mean, decimals, factor * statistic.standard_deviation());
}

std::string Percent(const Statistic& statistic) { return Number(statistic, 100, 2); }
std::string Plain(const Statistic& statistic) { return Number(statistic, 1, 4); }

// With its sign, as mathematics.
std::string Signed(double value, int decimals) {
  return absl::StrFormat("$%+.*f$", decimals, value);
}

std::string PValue(bool known, double p) { return known ? absl::StrFormat("%.4f", p) : "--"; }

// A table that is being written: of text columns, and number columns after them.
class LatexTable {
 public:
  LatexTable(const std::string& caption, const std::string& label,
             const std::vector<std::string>& texts, const std::vector<std::string>& numbers)
      : text_(absl::StrCat("\n\\begin{table}\n\\centering\n\\caption{", caption, "}\n\\label{",
                           label, "}\n\\begin{tabular}{", std::string(texts.size(), 'l'),
                           std::string(numbers.size(), 'r'), "}\n\\toprule\n",
                           absl::StrJoin(texts, " & "), " & ", absl::StrJoin(numbers, " & "),
                           " \\\\\n\\midrule\n")) {}

  void Add(const std::vector<std::string>& cells) {
    absl::StrAppend(&text_, absl::StrJoin(cells, " & "), " \\\\\n");
  }
  std::string Finish() const {
    return absl::StrCat(text_, "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
  }

 private:
  std::string text_;
};

// The cells that name a row.
std::vector<std::string> Names(const std::string& dataset, const std::string& variant) {
  return {dataset.empty() ? "--" : Escaped(dataset), Escaped(variant)};
}

std::vector<std::string> Names(const ExperimentRow& row) {
  return Names(row.dataset(), ShownVariant(row.variant()));
}

std::string ScoresTable(const ExperimentResults& results) {
  LatexTable table(
      "Scores on the test split in percent, mean $\\pm$ standard deviation over seeds. $\\Delta$: "
      "weighted F1 minus that of the baseline; $p$ over conversations and over seeds, both "
      "corrected "
      "by Holm's method.",
      "tab:scores", {"Dataset", "Model", "Baseline"},
      {"Seeds", "Weighted F1", "Accuracy", "Macro F1", "$\\Delta$", "$p$ (conv.)", "$p$ (seeds)"});
  for (const ExperimentRow& row : results.rows()) {
    const Comparison& comparison = row.comparison();
    const bool compared = row.has_comparison();
    std::vector<std::string> cells = Names(row);
    cells.push_back(compared ? Escaped(ShownVariant(comparison.baseline())) : "--");
    cells.push_back(absl::StrCat(row.seeds_size()));
    for (const Statistic* one : {&row.weighted_f1(), &row.accuracy(), &row.macro_f1()}) {
      cells.push_back(Percent(*one));
    }
    cells.push_back(compared ? Signed(100 * comparison.difference().mean(), 2) : "--");
    cells.push_back(PValue(comparison.has_over_conversations(),
                           comparison.over_conversations().p_value_holm()));
    cells.push_back(PValue(compared, comparison.p_value_holm()));
    table.Add(cells);
  }
  return table.Finish();
}

std::vector<std::string> ClassesOf(const ExperimentRow& row) {
  std::vector<std::string> names;
  for (const ClassStatistic& one : row.classes()) names.push_back(Escaped(one.name()));
  return names;
}

std::string ClassTables(const ExperimentResults& results) {
  std::vector<std::vector<std::string>> lists;
  std::string text;
  for (const ExperimentRow& first : results.rows()) {
    const std::vector<std::string> names = ClassesOf(first);
    if (names.empty() || std::find(lists.begin(), lists.end(), names) != lists.end()) continue;
    lists.push_back(names);
    if (names.size() > kMostClassColumns) {
      absl::StrAppend(&text, "\n% F1 of each of ", names.size(),
                      " classes is in results.csv: too many columns for a page.\n");
      continue;
    }
    LatexTable table(
        "F1 of each class on the test split in percent, mean $\\pm$ standard deviation over seeds.",
        lists.size() == 1 ? "tab:classes" : absl::StrCat("tab:classes-", lists.size()),
        {"Dataset", "Model"}, names);
    for (const ExperimentRow& row : results.rows()) {
      if (ClassesOf(row) != names) continue;
      std::vector<std::string> cells = Names(row);
      for (const ClassStatistic& one : row.classes()) cells.push_back(Percent(one.f1()));
      table.Add(cells);
    }
    text += table.Finish();
  }
  return text;
}

std::string F1WithoutTable(const ExperimentResults& results) {
  LatexTable table(
      "F1 over some of the classes on the test split in percent, mean $\\pm$ standard deviation "
      "over "
      "seeds.",
      "tab:f1-without", {"Dataset", "Model", "Without"}, {"Micro F1", "Macro F1", "Weighted F1"});
  bool any = false;
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_f1_without()) continue;
    any = true;
    const F1WithoutStatistic& without = row.f1_without();
    std::vector<std::string> cells = Names(row);
    cells.push_back(Escaped(absl::StrJoin(without.classes(), ", ")));
    for (const Statistic* one :
         {&without.micro_f1(), &without.macro_f1(), &without.weighted_f1()}) {
      cells.push_back(Percent(*one));
    }
    table.Add(cells);
  }
  return any ? table.Finish() : "";
}

// A row of the table of calibration, as predicted or after temperature scaling.
std::vector<std::string> CalibrationCells(const ExperimentRow& row,
                                          const std::vector<std::string>& views, bool scaled) {
  const CalibrationStatistic& calibration = scaled ? row.calibration_scaled() : row.calibration();
  std::vector<std::string> cells = Names(row);
  cells.emplace_back(scaled ? "temperature" : "none");
  cells.push_back(Percent(calibration.ece()));
  for (const Statistic* one : {&calibration.nll(), &calibration.brier(), &calibration.e_aurc()}) {
    cells.push_back(Plain(*one));
  }
  for (const std::string& name : views) {
    const Statistic* share = ShareSurerWithout(row, name, scaled);
    cells.push_back(share == nullptr ? "--" : Percent(*share));
  }
  return cells;
}

std::string CalibrationTable(const ExperimentResults& results) {
  const std::vector<std::string> views = ViewNames(results);
  std::vector<std::string> numbers = {"ECE", "NLL", "Brier", "E-AURC"};
  for (const std::string& view : views) {
    numbers.push_back(Escaped(absl::StrReplaceAll(view, {{"_", " "}})));
  }
  LatexTable table(
      "Calibration on the test split, as predicted and after temperature scaling, mean $\\pm$ "
      "standard deviation over seeds. ECE in percent; last columns: percent of utterances surer of "
      "the true emotion without a source of evidence.",
      "tab:calibration", {"Dataset", "Model", "Remedy"}, numbers);
  bool any = false;
  for (const ExperimentRow& row : results.rows()) {
    if (row.has_calibration()) table.Add(CalibrationCells(row, views, /*scaled=*/false));
    if (row.has_calibration_scaled()) table.Add(CalibrationCells(row, views, /*scaled=*/true));
    any = any || row.has_calibration() || row.has_calibration_scaled();
  }
  return any ? table.Finish() : "";
}

std::string EvidenceTable(const ExperimentResults& results) {
  const std::vector<EvidenceLine> lines = EvidenceLines(results, {Percent, Plain, "--"});
  if (lines.empty()) return "";
  std::vector<std::string> numbers;
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    numbers.push_back(Escaped(measure.head));
  }
  LatexTable table(Escaped(kEvidenceCaption), "tab:evidence", {"Dataset", "Model"}, numbers);
  for (const EvidenceLine& line : lines) {
    std::vector<std::string> cells = Names(line.dataset, line.variant);
    cells.insert(cells.end(), line.cells.begin(), line.cells.end());
    table.Add(cells);
  }
  return table.Finish();
}

std::string DifferencesTable(const ExperimentResults& results) {
  LatexTable table(
      "Differences of calibration on the test split, model minus baseline, before any remedy: "
      "below "
      "0 the model is the better one. ECE and shares in percentage points; $p$ over conversations "
      "and over seeds, both corrected by Holm's method.",
      "tab:calibration-differences", {"Dataset", "Model", "Baseline", "Measure"},
      {"$\\Delta$", "$p$ (conv.)", "$p$ (seeds)"});
  bool any = false;
  for (const ExperimentRow& row : results.rows()) {
    for (const MeasureComparison& one : row.comparison().measures()) {
      any = true;
      const double mean = one.difference().mean();
      std::vector<std::string> cells = Names(row);
      cells.push_back(Escaped(ShownVariant(row.comparison().baseline())));
      cells.push_back(Escaped(ShownMeasure(one.measure())));
      cells.push_back(one.measure() == "nll" ? Signed(mean, 4) : Signed(100 * mean, 2));
      cells.push_back(
          PValue(one.has_over_conversations(), one.over_conversations().p_value_holm()));
      cells.push_back(PValue(true, one.p_value_holm()));
      table.Add(cells);
    }
  }
  return any ? table.Finish() : "";
}

// Lines that LaTeX does not print.
std::string Comments(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, "% ", OneLine(line), "\n");
  return text;
}

}  // namespace

std::string FormatLatex(const ExperimentResults& results) {
  std::vector<std::string> notes = {
      "Tables of `cmerc experiment`: \\usepackage{booktabs}, then \\input{results.tex}."};
  for (const std::string& line : Legend(results)) notes.push_back(line);
  const std::string families = CalibrationFamilies(results);
  if (!families.empty()) notes.push_back("Calibration: " + families);
  for (const std::string& remark : results.remarks()) notes.push_back("Remark: " + remark);
  for (const std::string& run : results.failed_runs()) {
    notes.push_back("Failed, and left out: " + run);
  }
  return absl::StrCat(Comments(notes), ScoresTable(results), F1WithoutTable(results),
                      ClassTables(results), CalibrationTable(results), EvidenceTable(results),
                      DifferencesTable(results));
}

}  // namespace cmerc
