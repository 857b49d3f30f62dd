// The page of an experiment, and what it remarks on.
#include "report/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "metrics/json.h"
#include "tests/experiment/sample_results.h"
#include "tests/report/sample_run.h"
#include "tests/report/xml.h"

namespace cmerc {
namespace {

using report::ExperimentRemarks;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The sample and the uncalibrated model of its variant, without remarks of their own.
ExperimentResults TwoRows() {
  ExperimentResults results = SampleResults();
  results.clear_remarks();
  results.clear_failed_runs();
  ExperimentRow* other = results.add_rows();
  *other = results.rows(0);
  other->clear_comparison();
  other->set_variant("gru \"small\", uncalibrated");
  return results;
}

XmlElement Page(const ExperimentResults& results) {
  const absl::StatusOr<XmlElement> page = ParseXml(FormatExperimentPage("runs/a <b> & c", results));
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? *page : XmlElement();
}

std::vector<std::string> Texts(const XmlElement& root, const std::string& tag) {
  std::vector<std::string> texts;
  for (const XmlElement& element : FindAll(root, tag)) texts.push_back(element.text);
  return texts;
}

TEST(FormatExperimentPageTest, EverySection) {
  const XmlElement page = Page(TwoRows());
  EXPECT_THAT(Texts(page, "h1"), ElementsAre("Report of the experiment runs/a <b> & c"));
  EXPECT_THAT(Texts(page, "h2"), ElementsAre("Results", "Pictures: toy"));
  EXPECT_THAT(Texts(page, "h3"), ElementsAre("Scores of the test split", "What the numbers are",
                                             "Differences", "Calibration", "Evidence"));
  EXPECT_THAT(
      Texts(page, "figcaption"),
      ElementsAre("Weighted F1, test split", "Difference of weighted F1 to the baseline",
                  "ECE, test split", "True class: share surer without", "F1 of each class"));
  const std::vector<std::string> cells = Texts(page, "td");
  for (const char* cell : {"50.00 ± 12.50", "37.50 to 62.50", "weighted F1, points", "+6.25",
                           "1.00 to 11.50", "0.0625", "ECE, points", "-3.12", "-6.25 to 0.00",
                           "NLL", "+0.1875", "12.50 ± 6.25", "50.00 ± 25.00"}) {
    EXPECT_THAT(cells, Contains(cell));
  }
  EXPECT_THAT(page.text, AllOf(HasSubstr("Made with cmerc 0.2.0; libtorch 1.13.1."),
                               HasSubstr("corrected for the 3 tests over seeds")));
  EXPECT_EQ(FormatExperimentPage("x", TwoRows()), FormatExperimentPage("x", TwoRows()));
}

TEST(FormatExperimentPageTest, SeedsAreDots) {
  ExperimentResults results = TwoRows();
  for (const double f1 : {0.25, 0.5, 0.75}) {
    results.mutable_rows(0)->add_weighted_f1_of_seeds(f1);
  }
  EXPECT_EQ(FindAll(Page(results), "circle", "dot s0").size(), 3u);
}

TEST(FormatExperimentPageTest, LeavesOutWhatThereIsNot) {
  ExperimentResults results = TwoRows();
  for (ExperimentRow& row : *results.mutable_rows()) {
    row.clear_dataset();
    row.clear_comparison();
    row.clear_calibration();
    row.clear_calibration_scaled();
    row.clear_views();
    row.clear_classes();
    row.clear_evidence();
  }
  const XmlElement page = Page(results);
  EXPECT_THAT(Texts(page, "h2"), ElementsAre("Results", "Pictures"));
  EXPECT_THAT(Texts(page, "h3"), ElementsAre("Scores of the test split", "What the numbers are"));
  EXPECT_THAT(Texts(page, "figcaption"), ElementsAre("Weighted F1, test split"));
  EXPECT_THAT(Page(ExperimentResults()).text, HasSubstr("No run has finished."));
}

TEST(FormatExperimentPageTest, ManyVariantsAndClassesAreTablesAlone) {
  ExperimentResults results = TwoRows();
  for (int i = 0; i < 5; ++i) *results.add_rows() = results.rows(0);
  EXPECT_THAT(
      Texts(Page(results), "figcaption"),
      AllOf(Not(Contains("F1 of each class")), Not(Contains("True class: share surer without"))));
  EXPECT_THAT(Texts(Page(results), "h4"), Contains("F1 of each class, %"));
}

TEST(FormatExperimentPageTest, NumbersThatAreNotFiniteStayOutOfThePictures) {
  ExperimentResults results = TwoRows();
  results.mutable_rows(0)->mutable_weighted_f1()->set_mean(std::nan(""));
  results.mutable_rows(1)->mutable_weighted_f1()->mutable_low()->set_value(-INFINITY);
  const std::string text = FormatExperimentPage("x", results);
  EXPECT_TRUE(ParseXml(text).ok());
  EXPECT_THAT(text, Not(testing::ContainsRegex("=\"[^\"]*(nan|inf)[^a-z]")));
}

TEST(FormatExperimentPageTest, NoTableIsWiderThanThePage) {
  ExperimentResults results = TwoRows();
  const std::string name(200, 'W');
  results.mutable_rows(0)->set_dataset(name);
  results.mutable_rows(0)->set_variant(name);
  results.mutable_rows(0)->mutable_comparison()->set_baseline(name);
  results.mutable_rows(0)->mutable_classes(0)->set_name(name);
  results.mutable_rows(0)->mutable_comparison()->mutable_measures(0)->set_measure(name);
  const std::vector<XmlElement> tables = FindAll(Page(results), "table");
  EXPECT_GE(tables.size(), 5u);
  for (const XmlElement& table : tables) {
    EXPECT_LE(LeastWidth(table), 1200 - 32) << table.text.substr(0, 200);
  }
}

TEST(ExperimentRemarksTest, WhatToKnowBeforeTrusting) {
  ExperimentResults results = TwoRows();
  EXPECT_THAT(ExperimentRemarks(results), IsEmpty());
  results.add_remarks("toy/b: not compared with a: their classes differ");
  results.add_failed_runs("toy/b/seed-1: exit status 1");
  results.mutable_rows(0)->mutable_weighted_f1()->set_mean(0.17);
  results.mutable_rows(1)->mutable_seeds()->RemoveLast();
  results.mutable_rows(1)->set_protocol("OFFICIAL (...)");
  EXPECT_THAT(
      ExperimentRemarks(results),
      ElementsAre(
          HasSubstr("the test set selected the epoch"),
          "Of a single seed, which says nothing of other seeds: toy/gru \"small\", "
          "uncalibrated.",
          HasSubstr("toy/gru \"small\" is worse than uncalibrated: its weighted F1 fell from "
                    "50.0 % (uncalibrated) to 17.0 %"),
          "toy/b: not compared with a: their classes differ.",
          "Failed, and left out: toy/b/seed-1: exit status 1"));
}

TEST(ReadExperimentTest, ReadsWhatWasWritten) {
  const std::string folder = WriteSampleRun("experiment");
  WriteText(folder + "/results.json", ToJson(SampleResults(), /*pretty=*/true));
  const absl::StatusOr<ExperimentResults> read = ReadExperiment(folder);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read, true), ToJson(SampleResults(), true));
}

TEST(ReadExperimentTest, NotYetOrBroken) {
  const std::string folder = WriteSampleRun("experiment");
  absl::Status status = ReadExperiment(folder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("has no results.json yet; wait for its end, or go on with the same"));
  WriteText(folder + "/results.json", "{\n\"rows\": [\n}");
  status = ReadExperiment(folder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("results.json:3: "), HasSubstr("; repeat the `cmerc experiment`")));
}

}  // namespace
}  // namespace cmerc
