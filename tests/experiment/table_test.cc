#include "experiment/table.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

ExperimentResults Results() {
  ExperimentResults results;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        rows {
          dataset: "toy"
          variant: "gru \"small\""
          protocol: "HELD_OUT (the validation split selects the epoch)"
          seeds: 1
          seeds: 2
          weighted_f1 {
            mean: 0.5
            standard_deviation: 0.125
            low { value: 0.375 }
            high { value: 0.625 }
          }
          accuracy {
            mean: 0.25
            low { value: 0.25 }
            high { value: 0.25 }
          }
          macro_f1 { mean: 0.75 }
          views {
            view: "text"
            share_surer_without { mean: 0.5 }
            share_surer_without_scaled { mean: 0.25 }
          }
          calibration {
            ece {
              mean: 0.125
              standard_deviation: 0.0625
              low { value: 0 }
              high { value: 0.25 }
            }
            nll { mean: 1.5 }
            brier { mean: 0.5 }
            e_aurc { mean: 0.0625 }
            ece_floor { mean: 0.03125 }
            ece_error { mean: 0.015625 }
          }
          calibration_scaled {
            ece { mean: 0.03125 }
            nll { mean: 1.25 }
            brier { mean: 0.5 }
            e_aurc { mean: 0.0625 }
          }
          comparison {
            baseline: "plain"
            seeds: 2
            difference { mean: 0.0625 }
            p_value: 0.5
            p_value_holm: 0.75
            over_conversations {
              conversations: 10
              utterances: 100
              p_value: 0.03125
              p_value_holm: 0.0625
              low { value: 0.01 }
              high { value: 0.115 }
            }
          }
        }
        remarks: "toy/other: not compared with plain: their classes differ"
        failed_runs: "toy/gru/seed-3: exit status 1: no memory"
      )pb",
      &results));
  return results;
}

TEST(FormatMarkdownTest, APercentPerNumberAndADashForWhatIsMissing) {
  EXPECT_THAT(
      FormatMarkdown(Results()),
      HasSubstr("| toy | gru \"small\" | HELD_OUT | 2 | 50.00 ± 12.50 | 37.50 to 62.50 | 25.00 ± "
                "0.00 | 75.00 | - | +6.25 against plain | 0.500 | 0.750 | 1.00 to 11.50 | 0.0312 | "
                "0.0625 |\n"));
  ExperimentResults without = Results();
  without.mutable_rows(0)->mutable_comparison()->clear_over_conversations();
  EXPECT_THAT(FormatMarkdown(without), HasSubstr("| 0.500 | 0.750 | - | - | - |\n"));
  without.mutable_rows(0)->clear_comparison();
  EXPECT_THAT(FormatMarkdown(without), HasSubstr("| 75.00 | - | - | - | - | - | - | - |\n"));
}

// A single run has no interval that could be shown.
TEST(FormatMarkdownTest, ASingleRun) {
  ExperimentResults results = Results();
  results.mutable_rows(0)->mutable_weighted_f1()->clear_low();
  results.mutable_rows(0)->mutable_weighted_f1()->clear_high();
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("| 50.00 | - | 25.00 ± 0.00 |"));
  EXPECT_THAT(FormatCsv(results), HasSubstr(",\"weighted_f1\",2,0.5,,,,\"HELD_OUT\"\n"));
}

TEST(FormatMarkdownTest, SaysHowManyComparisonsThereAre) {
  ExperimentResults results = Results();
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("corrected for the 1 comparison over seeds and "
                                                 "the 1 over conversations of this table.\n"));
  *results.add_rows() = results.rows(0);
  results.mutable_rows(1)->mutable_comparison()->clear_over_conversations();
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("corrected for the 2 comparisons over seeds and "
                                                 "the 1 over conversations of this table.\n"));
  EXPECT_THAT(FormatMarkdown({}), Not(HasSubstr("Holm: ")));
}

TEST(FormatMarkdownTest, TheProtocolAndWhatIsNotCompared) {
  ExperimentResults results = Results();
  EXPECT_THAT(
      FormatMarkdown(results),
      HasSubstr("Before you trust the differences:\n\n- toy/other: not compared with plain: "
                "their classes differ\n"));
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("optimistic")));
  results.mutable_rows(0)->set_protocol("OFFICIAL (...)");
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("| OFFICIAL | 2 |"));
  EXPECT_THAT(FormatMarkdown(results), HasSubstr("OFFICIAL: the test set selected the epoch"));
}

TEST(FormatMarkdownTest, ARowAsPredictedAndOneAfterTemperatureScaling) {
  EXPECT_THAT(
      FormatMarkdown(Results()),
      HasSubstr("| dataset | variant | remedy | ECE, % | error | floor | NLL | Brier | E-AURC | "
                "without text |\n"
                "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
                "| toy | gru \"small\" | none | 12.50 ± 6.25 | 1.56 | 3.12 | 1.5000 | 0.5000 | "
                "0.0625 | 50.00 |\n"
                "| toy | gru \"small\" | temperature | 3.12 | - | - | 1.2500 | 0.5000 | 0.0625 | "
                "25.00 |\n"));
}

// OFFICIAL, and runs of earlier versions.
TEST(FormatMarkdownTest, WithoutARemedyOrCalibration) {
  ExperimentResults results = Results();
  results.mutable_rows(0)->clear_calibration();
  results.mutable_rows(0)->clear_calibration_scaled();
  const std::string text = FormatMarkdown(results);
  EXPECT_THAT(text, HasSubstr("| toy | gru \"small\" | none | - | - | - | - | - | - | 50.00 |\n"));
  EXPECT_THAT(text, Not(HasSubstr("| temperature |")));
  results.mutable_rows(0)->clear_views();
  EXPECT_THAT(FormatMarkdown(results), Not(HasSubstr("Calibration")));
}

TEST(FormatMarkdownTest, Failures) {
  const std::string text = FormatMarkdown(Results());
  EXPECT_THAT(text, HasSubstr("Failed, and left out above:\n\n- toy/gru/seed-3: exit status 1"));
  EXPECT_THAT(FormatMarkdown({}), Not(HasSubstr("Failed")));
}

TEST(FormatCsvTest, ALinePerNumber) {
  const std::string text = FormatCsv(Results());
  EXPECT_THAT(
      text,
      HasSubstr(
          "dataset,variant,measure,seeds,mean,standard_deviation,low,high,protocol\n"
          "\"toy\",\"gru \"\"small\"\"\",\"weighted_f1\",2,0.5,0.125,0.375,0.625,\"HELD_OUT\"\n"));
  EXPECT_THAT(text, HasSubstr(",\"share_surer_without_text\",2,0.5,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"share_surer_without_text_scaled\",2,0.25,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"ece\",2,0.125,0.0625,0,0.25,"));
  EXPECT_THAT(text, HasSubstr(",\"ece_error\",2,0.015625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"ece_floor\",2,0.03125,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"nll_scaled\",2,1.25,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"difference_of_weighted_f1\",2,0.0625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_seeds\",2,0.5,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_conversations_holm\",2,0.0625,,,,"));
  EXPECT_THAT(text, Not(HasSubstr("valid_weighted_f1")));
  EXPECT_THAT(text, Not(HasSubstr("ece_floor_scaled")));
}

// Names that users give must not shift a column, end a row or be a formula.
TEST(FormatTest, NamesWithEverything) {
  ExperimentResults results;
  ExperimentRow* row = results.add_rows();
  row->set_dataset("=1+1");
  row->set_variant("a|b\nc");
  row->add_views()->set_view("au,d\"i|o");
  results.add_failed_runs("x\ny");
  EXPECT_THAT(FormatCsv(results),
              HasSubstr("\n\"'=1+1\",\"a|b\nc\",\"share_surer_without_au,d\"\"i|o\",0,"));
  const std::string markdown = FormatMarkdown(results);
  EXPECT_THAT(markdown, HasSubstr("\n| =1+1 | a\\|b\\nc | - | 0 |"));
  EXPECT_THAT(markdown, HasSubstr(" without au,d\"i\\|o |"));
  EXPECT_THAT(markdown, HasSubstr("- x\\ny\n"));
}

}  // namespace
}  // namespace cmerc
