#include "experiment/latex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/experiment/sample_results.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(FormatLatexTest, TablesWithRulesOfBooktabs) {
  const std::string text = FormatLatex(SampleResults());
  EXPECT_THAT(text, HasSubstr("\\usepackage{booktabs}"));
  EXPECT_THAT(text,
              HasSubstr("\\begin{tabular}{lllrrrrrrr}\n\\toprule\nDataset & Model & Baseline & "));
  EXPECT_THAT(text,
              HasSubstr("toy & gru \"small\" & plain & 2 & 50.00 $\\pm$ 12.50 & 25.00 $\\pm$ 0.00 "
                        "& 75.00 & $+6.25$ & 0.0625 & 0.7500 \\\\\n\\bottomrule\n"));
  EXPECT_THAT(text, HasSubstr("Dataset & Model & joy & fear \\& 50 \\% \\\\\n\\midrule\n"
                              "toy & gru \"small\" & 50.00 $\\pm$ 25.00 & 12.50 \\\\\n"));
  EXPECT_THAT(text,
              HasSubstr("& none & 12.50 $\\pm$ 6.25 & 1.5000 & 0.5000 & 0.0625 & 50.00 \\\\\n"));
  EXPECT_THAT(text, HasSubstr("& temperature & 3.12 & 1.2500 & 0.5000 & 0.0625 & 25.00 \\\\\n"));
  EXPECT_THAT(text, HasSubstr("& plain & ECE & $-3.12$ & 0.0469 & 0.6250 \\\\\n"));
  EXPECT_THAT(text, HasSubstr("& surer without same speaker & $-25.00$ & -- & 1.0000 \\\\\n"));
  // What LaTeX does not print is a comment to the end of its line.
  EXPECT_THAT(text, HasSubstr("% Made with cmerc 0.2.0; libtorch 1.13.1.\n"));
  EXPECT_THAT(text,
              HasSubstr("% Failed, and left out: toy/gru/seed-3: exit status 1: no memory\n"));
}

// Every row of a table has as many cells as the table has columns, whatever names hold.
TEST(FormatLatexTest, NamesWithEverything) {
  ExperimentResults results = SampleResults();
  results.mutable_rows(0)->set_dataset("a&b_c%d$e#f{g}h~i^j\\k\nl");
  results.mutable_rows(0)->mutable_classes(0)->set_name("\\input{x} & y");
  results.mutable_rows(0)->mutable_views(0)->set_view("v_&w");
  results.add_remarks("first\n\\end{document}");
  const std::string text = FormatLatex(results);
  EXPECT_THAT(text, HasSubstr("a\\&b\\_c\\%d\\$e\\#f\\{g\\}h\\textasciitilde{}i\\textasciicircum{}j"
                              "\\textbackslash{}k\\textbackslash{}nl & gru"));
  EXPECT_THAT(text, HasSubstr("\\textbackslash{}input\\{x\\} \\& y"));
  size_t columns = 0;
  int rows = 0;
  for (std::string line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    if (absl::StartsWith(line, "%")) continue;
    EXPECT_THAT(line, Not(HasSubstr("\\end{document}")));
    const size_t spec = line.find("\\begin{tabular}{");
    if (spec == 0) columns = line.size() - std::string("\\begin{tabular}{}").size();
    if (!absl::EndsWith(line, " \\\\")) continue;
    ++rows;
    size_t cells = 1;
    for (size_t i = 1; i < line.size(); ++i) cells += line[i] == '&' && line[i - 1] != '\\' ? 1 : 0;
    EXPECT_EQ(cells, columns) << line;
  }
  EXPECT_EQ(rows, 2 + 2 + 3 + 2 + 4);  // with the headings
}

TEST(FormatLatexTest, WithoutComparisonsOrManyClasses) {
  ExperimentResults results = SampleResults();
  ExperimentRow* row = results.mutable_rows(0);
  row->clear_comparison();
  for (int c = 0; c < 11; ++c) row->add_classes()->set_name("c");
  const std::string text = FormatLatex(results);
  EXPECT_THAT(text, HasSubstr("toy & gru \"small\" & -- & 2 & "));
  EXPECT_THAT(text, HasSubstr("% F1 of each of 13 classes is in results.csv"));
  EXPECT_THAT(text, Not(HasSubstr("tab:classes")));
  EXPECT_THAT(text, Not(HasSubstr("tab:calibration-differences")));
  row->clear_calibration();
  row->clear_calibration_scaled();
  EXPECT_THAT(FormatLatex(results), Not(HasSubstr("tab:calibration")));
}

}  // namespace
}  // namespace cmerc
