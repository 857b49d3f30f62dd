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
          seeds: 1
          seeds: 2
          weighted_f1 { mean: 0.5 standard_deviation: 0.125 low: 0.375 high: 0.625 }
          accuracy { mean: 0.25 }
          macro_f1 { mean: 0.75 }
          views {
            view: "text"
            share_surer_without { mean: 0.5 }
            share_surer_without_scaled { mean: 0.25 }
          }
          calibration {
            ece { mean: 0.125 standard_deviation: 0.0625 }
            nll { mean: 1.5 standard_deviation: 0.25 }
            brier { mean: 0.5 }
            e_aurc { mean: 0.0625 }
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
            over_utterances { utterances: 100 p_value: 0.03125 }
          }
        }
        failed_runs: "toy/gru/seed-3: exit status 1: no memory"
      )pb",
      &results));
  return results;
}

TEST(FormatMarkdownTest, APercentPerNumberAndADashForWhatIsMissing) {
  EXPECT_THAT(
      FormatMarkdown(Results()),
      HasSubstr("| toy | gru \"small\" | 2 | 50.00 ± 12.50 | 37.50 to 62.50 | 25.00 ± 0.00 | "
                "75.00 ± 0.00 | - | +6.25 against plain | 0.500 | 0.0312 |\n"));
  ExperimentResults without = Results();
  without.mutable_rows(0)->mutable_comparison()->clear_over_utterances();
  EXPECT_THAT(FormatMarkdown(without), HasSubstr("| +6.25 against plain | 0.500 | - |\n"));
}

TEST(FormatMarkdownTest, ARowAsPredictedAndOneAfterTemperatureScaling) {
  EXPECT_THAT(
      FormatMarkdown(Results()),
      HasSubstr("| dataset | variant | remedy | ECE, % | NLL | Brier | E-AURC | without text |\n"
                "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
                "| toy | gru \"small\" | none | 12.50 ± 6.25 | 1.5000 ± 0.2500 | 0.5000 ± 0.0000 | "
                "0.0625 ± 0.0000 | 50.00 ± 0.00 |\n"
                "| toy | gru \"small\" | temperature | 3.12 ± 0.00 | 1.2500 ± 0.0000 | "
                "0.5000 ± 0.0000 | 0.0625 ± 0.0000 | 25.00 ± 0.00 |\n"));
}

// OFFICIAL, and runs of earlier versions.
TEST(FormatMarkdownTest, WithoutARemedyOrCalibration) {
  ExperimentResults results = Results();
  results.mutable_rows(0)->clear_calibration();
  results.mutable_rows(0)->clear_calibration_scaled();
  const std::string text = FormatMarkdown(results);
  EXPECT_THAT(text, HasSubstr("| toy | gru \"small\" | none | - | - | - | - | 50.00 ± 0.00 |\n"));
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
  EXPECT_THAT(text,
              HasSubstr("dataset,variant,measure,seeds,mean,standard_deviation,low,high\n"
                        "\"toy\",\"gru \"\"small\"\"\",weighted_f1,2,0.5,0.125,0.375,0.625\n"));
  EXPECT_THAT(text, HasSubstr(",share_surer_without_text,2,0.5,0,0,0\n"));
  EXPECT_THAT(text, HasSubstr(",share_surer_without_text_scaled,2,0.25,0,0,0\n"));
  EXPECT_THAT(text, HasSubstr(",ece,2,0.125,0.0625,0,0\n"));
  EXPECT_THAT(text, HasSubstr(",nll_scaled,2,1.25,0,0,0\n"));
  EXPECT_THAT(text, HasSubstr(",difference_of_weighted_f1,2,0.0625,0,0,0\n"));
  EXPECT_THAT(text, Not(HasSubstr("valid_weighted_f1")));
}

}  // namespace
}  // namespace cmerc
