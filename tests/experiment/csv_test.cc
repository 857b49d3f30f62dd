#include "experiment/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/experiment/sample_results.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(FormatCsvTest, ALinePerNumber) {
  const std::string text = FormatCsv(SampleResults());
  EXPECT_THAT(
      text,
      HasSubstr(
          "dataset,variant,measure,seeds,mean,standard_deviation,low,high,protocol,base_variant,"
          "calibrated\n\"toy\",\"gru \"\"small\"\"\",\"weighted_f1\",2,0.5,0.125,0.375,0.625,"
          "\"HELD_OUT\",\"gru \"\"small\"\"\",true\n"));
  EXPECT_THAT(text, HasSubstr(",\"share_surer_without_text\",2,0.5,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"share_surer_without_text_scaled\",2,0.25,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"mean_share_surer_without\",2,0.375,0.125,0.25,0.5,"));
  EXPECT_THAT(text, HasSubstr(",\"mean_log_prob_gain\",2,0.3125,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"ece\",2,0.125,0.0625,0,0.25,"));
  EXPECT_THAT(text, HasSubstr(",\"ece_error\",2,0.015625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"ece_floor\",2,0.03125,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"nll_scaled\",2,1.25,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"difference_of_weighted_f1\",2,0.0625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_seeds\",2,0.5,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_conversations_holm\",2,0.0625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"difference_of_weighted_f1_over_conversations\",2,0.0625,,"));
  EXPECT_THAT(text, HasSubstr(",\"f1_joy\",2,0.5,0.25,0.25,0.75,"));
  EXPECT_THAT(text, HasSubstr(",\"f1_fear & 50 %\",2,0.125,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"difference_of_ece\",2,-0.03125,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"difference_of_ece_over_conversations\",2,-0.03125,,-0.0625,0,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_seeds_holm_of_ece\",2,0.625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_conversations_of_ece\",2,0.015625,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_conversations_holm_of_nll\",2,0.5,,,,"));
  EXPECT_THAT(text, HasSubstr(",\"p_over_seeds_of_share_surer_without_same_speaker\",2,0.5,,,,"));
  EXPECT_THAT(text, Not(HasSubstr("p_over_conversations_of_share_surer_without_same_speaker")));
  EXPECT_THAT(text, Not(HasSubstr("valid_weighted_f1")));
  EXPECT_THAT(text, Not(HasSubstr("ece_floor_scaled")));
}

// pandas takes an empty cell for a missing value, and leaves its row out of groups.
TEST(FormatCsvTest, WhatThePlanDoesNotNameHasANameAllTheSame) {
  ExperimentResults results = SampleResults();
  ExperimentRow* row = results.mutable_rows(0);
  row->clear_dataset();
  row->set_variant("base, uncalibrated");
  row->clear_base_variant();
  row->mutable_calibrated()->set_value(false);
  row->mutable_weighted_f1()->clear_low();
  EXPECT_THAT(FormatCsv(results),
              HasSubstr("\n\"base\",\"base, uncalibrated\",\"weighted_f1\",2,0.5,,,,"
                        "\"HELD_OUT\",\"base\",false\n"));
  row->clear_variant();
  row->clear_calibrated();
  EXPECT_THAT(FormatCsv(results), HasSubstr("\n\"base\",\"base\",\"weighted_f1\",2,0.5,,,,"
                                            "\"HELD_OUT\",\"base\",\n"));
}

// Names that users give must not shift a column, end a row or be a formula.
TEST(FormatCsvTest, NamesWithEverything) {
  ExperimentResults results;
  ExperimentRow* row = results.add_rows();
  row->set_dataset("=1+1");
  row->set_variant("a|b\nc");
  row->add_views()->set_view("au,d\"i|o");
  EXPECT_THAT(FormatCsv(results),
              HasSubstr("\n\"'=1+1\",\"a|b\nc\",\"share_surer_without_au,d\"\"i|o\",0,"));
}

FinishedRun RunOf(const std::string& variant, bool is_uncalibrated, uint64_t seed,
                  const std::vector<std::string>& classes) {
  FinishedRun run{"toy", variant, is_uncalibrated, seed, "", {}};
  run.summary.set_protocol("HELD_OUT (...)");
  for (SplitReport* split : {run.summary.mutable_train(), run.summary.mutable_test()}) {
    split->set_utterances(static_cast<int>(10 * seed));
    split->set_weighted_f1(0.5);
    double f1 = 0.25;
    for (const std::string& name : classes) {
      ClassReport* one = split->add_classes();
      one->set_name(name);
      one->set_f1(f1);
      f1 /= 2;
    }
  }
  run.summary.mutable_test()->mutable_calibration()->set_nll(1.5);
  ViewReport* view = run.summary.mutable_test()->add_views();
  view->set_view("text");
  view->set_share_surer_without(0.375);
  view->mutable_evidence()->set_violating_ranking_rate(0.625);
  view->mutable_evidence()->mutable_share_of_right()->set_value(0.0625);
  return run;
}

// The cells of a line: what is between commas that are not in quotes.
std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    quoted = quoted != (c == '"');
    if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back().push_back(c);
    }
  }
  return cells;
}

// The cells of the column `name`, by line.
std::vector<std::string> Column(const std::string& csv, const std::string& name) {
  const std::vector<std::string> lines = absl::StrSplit(csv, '\n', absl::SkipEmpty());
  const std::vector<std::string> header = Cells(lines[0]);
  const auto column = std::find(header.begin(), header.end(), "\"" + name + "\"") - header.begin();
  std::vector<std::string> cells;
  for (size_t line = 1; line < lines.size(); ++line) {
    const std::vector<std::string> row = Cells(lines[line]);
    EXPECT_EQ(row.size(), header.size()) << lines[line];
    cells.push_back(row[column]);
  }
  return cells;
}

TEST(FormatRunsCsvTest, ALineForEachSeedAndSplit) {
  FinishedRun silent = RunOf("", false, 8, {"rage"});
  silent.dataset.clear();
  FinishedRun told = RunOf("gru", false, 7, {"joy", "fear"});
  told.summary.mutable_calibrated()->set_value(true);
  const std::string csv = FormatRunsCsv({RunOf("gru", true, 7, {"joy", "fear"}), told, silent});
  EXPECT_THAT(Column(csv, "dataset"),
              ElementsAre("\"toy\"", "\"toy\"", "\"toy\"", "\"toy\"", "\"base\"", "\"base\""));
  EXPECT_THAT(Column(csv, "base_variant"),
              ElementsAre("\"gru\"", "\"gru\"", "\"gru\"", "\"gru\"", "\"base\"", "\"base\""));
  EXPECT_THAT(Column(csv, "calibrated"), ElementsAre("false", "false", "true", "true", "", ""));
  EXPECT_THAT(Column(csv, "seed"), ElementsAre("7", "7", "7", "7", "8", "8"));
  EXPECT_THAT(Column(csv, "split"), ElementsAre("\"train\"", "\"test\"", "\"train\"", "\"test\"",
                                                "\"train\"", "\"test\""));
  EXPECT_THAT(Column(csv, "utterances"), ElementsAre("70", "70", "70", "70", "80", "80"));
  EXPECT_THAT(Column(csv, "nll"), ElementsAre("", "1.5", "", "1.5", "", "1.5"));
  EXPECT_THAT(Column(csv, "share_surer_without_text"),
              ElementsAre("", "0.375", "", "0.375", "", "0.375"));
  EXPECT_THAT(Column(csv, "violating_ranking_rate_without_text"),
              ElementsAre("", "0.625", "", "0.625", "", "0.625"));
  EXPECT_THAT(Column(csv, "share_of_right_without_text"),
              ElementsAre("", "0.0625", "", "0.0625", "", "0.0625"));
  EXPECT_THAT(Column(csv, "f1_fear"), ElementsAre("0.125", "0.125", "0.125", "0.125", "", ""));
  EXPECT_THAT(Column(csv, "f1_rage"), ElementsAre("", "", "", "", "0.25", "0.25"));
}

}  // namespace
}  // namespace cmerc
