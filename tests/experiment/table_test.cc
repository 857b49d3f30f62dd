#include "experiment/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/experiment/sample_results.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(FormatMarkdownTest, APercentPerNumberAndADashForWhatIsMissing) {
  EXPECT_THAT(
      FormatMarkdown(SampleResults()),
      HasSubstr("| toy | gru \"small\" | HELD_OUT | 2 | 50.00 ± 12.50 | 37.50 to 62.50 | 25.00 ± "
                "0.00 | 75.00 | - | +6.25 against plain | 0.500 | 0.750 | 1.00 to 11.50 | 0.0312 | "
                "0.0625 |\n"));
  ExperimentResults without = SampleResults();
  without.mutable_rows(0)->mutable_comparison()->clear_over_conversations();
  EXPECT_THAT(FormatMarkdown(without), HasSubstr("| 0.500 | 0.750 | - | - | - |\n"));
  without.mutable_rows(0)->clear_comparison();
  EXPECT_THAT(FormatMarkdown(without), HasSubstr("| 75.00 | - | - | - | - | - | - | - |\n"));
}

// A single run has no interval that could be shown.
TEST(FormatMarkdownTest, ASingleRun) {
  ExperimentResults results = SampleResults();
  results.mutable_rows(0)->mutable_weighted_f1()->clear_low();
  results.mutable_rows(0)->mutable_weighted_f1()->clear_high();
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("| 50.00 | - | 25.00 ± 0.00 |"));
}

TEST(FormatMarkdownTest, SaysHowManyComparisonsThereAre) {
  ExperimentResults results = SampleResults();
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("corrected for the 1 comparison over seeds and "
                                                 "the 1 over conversations of this table.\n"));
  *results.add_rows() = results.rows(0);
  results.mutable_rows(1)->mutable_comparison()->clear_over_conversations();
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("corrected for the 2 comparisons over seeds and "
                                                 "the 1 over conversations of this table.\n"));
  EXPECT_THAT(FormatMarkdown({}), Not(HasSubstr("Holm: ")));
}

TEST(FormatMarkdownTest, TheProtocolAndWhatIsNotCompared) {
  ExperimentResults results = SampleResults();
  EXPECT_THAT(
      FormatMarkdown(results),
      HasSubstr("Before you trust the differences:\n\n- toy/other: not compared with plain: "
                "their classes differ\n"));
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("optimistic")));
  results.mutable_rows(0)->set_protocol("OFFICIAL (...)");
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("| OFFICIAL | 2 |"));
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("OFFICIAL: the test set selected the epoch"));
}

TEST(FormatMarkdownTest, WhatSelectedTheEpochsWhereItWasNotWeightedF1) {
  ExperimentResults results = SampleResults();
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("Epochs selected by")));
  results.mutable_rows(0)->mutable_selected_by()->set_value("NLL");
  EXPECT_THAT(FormatMarkdown(results),
              HasSubstr("- Epochs selected by NLL in place of weighted F1: toy/gru \"small\".\n"));
}

TEST(FormatMarkdownTest, ARowAsPredictedAndOneAfterTemperatureScaling) {
  EXPECT_THAT(
      FormatMarkdown(SampleResults()),
      HasSubstr("| dataset | variant | remedy | ECE, % | error | floor | NLL | Brier | E-AURC | "
                "without text |\n"
                "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
                "| toy | gru \"small\" | none | 12.50 ± 6.25 | 1.56 | 3.12 | 1.5000 | 0.5000 | "
                "0.0625 | 50.00 |\n"
                "| toy | gru \"small\" | temperature | 3.12 | - | - | 1.2500 | 0.5000 | 0.0625 | "
                "25.00 |\n"));
}

TEST(FormatMarkdownTest, WhatTheSourcesOfEvidenceAreWorth) {
  ExperimentResults results = SampleResults();
  EXPECT_THAT(FormatMarkdown(results),
              HasSubstr("| dataset | variant | share | floor | excess | right | wrong | by > .01 | "
                        "VRR | gain | views' F1 | views' ECE | views' NLL |\n"
                        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | "
                        "--- |\n"
                        "| toy | gru \"small\" | 37.50 ± 12.50 | - | - | - | - | - | - | 0.3125 | "
                        "- | - | - |\n"));
  results.mutable_rows(0)->clear_evidence();
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("VRR")));
}

// OFFICIAL, and runs of earlier versions.
TEST(FormatMarkdownTest, WithoutARemedyOrCalibration) {
  ExperimentResults results = SampleResults();
  results.mutable_rows(0)->clear_calibration();
  results.mutable_rows(0)->clear_calibration_scaled();
  const std::string text = FormatMarkdown(results);
  EXPECT_THAT(text, HasSubstr("| toy | gru \"small\" | none | - | - | - | - | - | - | 50.00 |\n"));
  EXPECT_THAT(text, Not(HasSubstr("| temperature |")));
  results.mutable_rows(0)->clear_views();
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("Calibration")));
}

TEST(FormatMarkdownTest, Failures) {
  const std::string text = FormatMarkdown(SampleResults());
  EXPECT_THAT(text, HasSubstr("Failed, and left out above:\n\n- toy/gru/seed-3: exit status 1"));
  EXPECT_THAT(FormatMarkdown({}), Not(HasSubstr("Failed")));
}

// Names that users give must not shift a column or end a row.
TEST(FormatMarkdownTest, NamesWithEverything) {
  ExperimentResults results;
  ExperimentRow* row = results.add_rows();
  row->set_dataset("=1+1");
  row->set_variant("a|b\nc");
  row->add_views()->set_view("au,d\"i|o");
  row->add_classes()->set_name("x|y");
  results.add_failed_runs("x\ny");
  const std::string markdown = FormatMarkdown(results);
  EXPECT_THAT(markdown, HasSubstr("\n| =1+1 | a\\|b\\nc | - | 0 |"));
  EXPECT_THAT(markdown, HasSubstr(" without au,d\"i\\|o |"));
  EXPECT_THAT(markdown, HasSubstr("| dataset | variant | x\\|y |\n| --- | --- | --- |\n"));
  EXPECT_THAT(markdown, HasSubstr("- x\\ny\n"));
}

TEST(FormatMarkdownTest, F1OfEachClass) {
  ExperimentResults results = SampleResults();
  EXPECT_THAT(FormatMarkdown(results),
              HasSubstr("\nF1 of each class, %\n\n| dataset | variant | joy | fear & 50 % |\n"
                        "| --- | --- | --- | --- |\n"
                        "| toy | gru \"small\" | 50.00 ± 25.00 | 12.50 |\n"));
  for (int c = 0; c < 19; ++c) results.mutable_rows(0)->add_classes()->set_name("c");
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("F1 of each of the 21 classes is in results.csv"));
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("| joy |")));
}

TEST(FormatMarkdownTest, DifferencesOfCalibrationAreFamiliesOfTheirOwn) {
  const std::string text = FormatMarkdown(SampleResults());
  EXPECT_THAT(text, HasSubstr("corrected for the 3 tests over seeds and the 2 over conversations "
                              "of this table, which are families of their own."));
  EXPECT_THAT(text,
              HasSubstr("| toy | gru \"small\" | plain | ECE | -3.12 | 0.250 | 0.625 | -6.25 to "
                        "0.00 | 0.0156 | 0.0469 |\n"));
  EXPECT_THAT(text,
              HasSubstr("| plain | NLL | +0.1875 | 0.750 | 1.000 | -0.1250 to 0.5000 | 0.5000 "
                        "| 0.5000 |\n"));
  EXPECT_THAT(text,
              HasSubstr("| plain | surer without same speaker | -25.00 | 0.500 | 1.000 | - | - "
                        "| - |\n"));
}

// What the columns are, of what the interval is, and what the seeds can say at most.
TEST(FormatMarkdownTest, TheLegend) {
  ExperimentResults results = SampleResults();
  const std::string text = FormatMarkdown(results);
  EXPECT_THAT(text, HasSubstr("\nWhat the numbers are:\n\n- Scores are of the test split"));
  EXPECT_THAT(text,
              HasSubstr("±: standard deviation over seeds (of a sample, n - 1). 95 %: interval "
                        "of that mean, by Student's t over seeds."));
  EXPECT_THAT(text,
              HasSubstr("with 2 seeds it cannot be below 0.5; fewer than six seeds never reach "
                        "0.05."));
  EXPECT_THAT(text,
              HasSubstr("Protocol: HELD_OUT (the validation split selects the epoch).\n- Made with "
                        "cmerc 0.2.0; libtorch 1.13.1.\n"));
  results.mutable_rows(0)->mutable_comparison()->set_seeds(5);
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("with 5 seeds it cannot be below 0.0625; fewer"));
  results.mutable_rows(0)->mutable_comparison()->set_seeds(6);
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("with 6 seeds it cannot be below 0.03125."));
  results.mutable_rows(0)->mutable_comparison()->set_seeds(20);
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("cannot be below")));
}

}  // namespace
}  // namespace cmerc
