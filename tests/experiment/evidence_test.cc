#include "experiment/evidence.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

const EvidenceMeasure& Named(const std::string& name) {
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    if (measure.name == name) return measure;
  }
  ADD_FAILURE() << name;
  return EvidenceMeasures()[0];
}

// Two views; all numbers differ.
SplitReport Split(double shift) {
  SplitReport split;
  for (const double of_view : {0.125, 0.25}) {
    ViewReport* view = split.add_views();
    view->set_share_surer_without(of_view + shift);
    view->set_mean_log_prob_rise(-2 * of_view);
    view->mutable_calibration()->set_ece(of_view / 2);
    view->mutable_calibration()->set_nll(3 * of_view);
    EvidenceReport* evidence = view->mutable_evidence();
    evidence->set_floor(4 * of_view);
    evidence->set_excess(5 * of_view);
    evidence->mutable_share_of_right()->set_value(6 * of_view);
    evidence->mutable_share_of_wrong()->set_value(7 * of_view);
    evidence->set_share_beyond_tolerance(8 * of_view);
    evidence->set_violating_ranking_rate(9 * of_view);
    evidence->set_weighted_f1(10 * of_view);
  }
  return split;
}

TEST(EvidenceTest, EachIsTheMeanOverViews) {
  const SplitReport split = Split(0);
  const std::map<std::string, double> of_mean = {{"mean_share_surer_without", 1},
                                                 {"floor", 4},
                                                 {"excess", 5},
                                                 {"share_of_right", 6},
                                                 {"share_of_wrong", 7},
                                                 {"share_beyond_tolerance", 8},
                                                 {"violating_ranking_rate", 9},
                                                 {"mean_log_prob_gain", 2},
                                                 {"weighted_f1_of_views", 10},
                                                 {"ece_of_views", 0.5},
                                                 {"nll_of_views", 3}};
  EXPECT_EQ(EvidenceMeasures().size(), of_mean.size());
  for (const auto& [name, factor] : of_mean) {
    EXPECT_EQ(MeanOverViews(split, Named(name)), factor * 0.1875) << name;
  }
}

TEST(EvidenceTest, WhatAViewLacksHasNoMean) {
  SplitReport split = Split(0);
  split.mutable_views(1)->mutable_evidence()->clear_share_of_right();
  EXPECT_EQ(MeanOverViews(split, Named("share_of_right")), std::nullopt);
  EXPECT_EQ(MeanOverViews(SplitReport(), Named("floor")), std::nullopt);
}

TEST(EvidenceTest, ARowHasTheMeasuresOfAllItsRuns) {
  const SplitReport one = Split(0);
  SplitReport other = Split(0.5);
  other.mutable_views(0)->clear_calibration();
  ExperimentRow row;
  AddEvidence({&one, &other}, &row);
  EXPECT_EQ(row.evidence_size(), static_cast<int>(EvidenceMeasures().size()) - 2);
  ASSERT_NE(FindEvidence(row.evidence(), "mean_share_surer_without"), nullptr);
  EXPECT_EQ(FindEvidence(row.evidence(), "mean_share_surer_without")->mean(), 0.4375);
  EXPECT_EQ(FindEvidence(row.evidence(), "ece_of_views"), nullptr);
}

// Rows without a measure have no line, and a scaled baseline is below its row.
TEST(EvidenceTest, LinesOfATable) {
  const SplitReport split = Split(0);
  ExperimentResults results;
  results.add_rows()->set_variant("bare");
  ExperimentRow* row = results.add_rows();
  row->set_dataset("toy");
  AddEvidence({&split}, row);
  row->mutable_comparison()->set_baseline("plain");
  row->mutable_scaled_baseline()->mutable_factor()->set_mean(0.25);
  EvidenceStatistic* nll = row->mutable_scaled_baseline()->add_evidence();
  nll->set_measure("nll_of_views");
  nll->mutable_statistic()->set_mean(7);
  const auto text = [](const Statistic& one) { return absl::StrCat(one.mean()); };
  const auto percent = [](const Statistic& one) { return absl::StrCat(one.mean() * 100, " %"); };
  const std::vector<EvidenceLine> lines = EvidenceLines(results, {percent, text, "none"});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].dataset, "toy");
  EXPECT_EQ(lines[0].variant, "base");
  ASSERT_EQ(lines[0].cells.size(), EvidenceMeasures().size());
  EXPECT_EQ(lines[0].cells[0], "18.75 %");
  EXPECT_EQ(lines[0].cells.back(), "0.5625");
  EXPECT_EQ(lines[1].dataset, "toy");
  EXPECT_EQ(lines[1].variant, "plain, views x 0.25");
  EXPECT_EQ(lines[1].cells[0], "none");
  EXPECT_EQ(lines[1].cells.back(), "7");
}

// Factors 1, 0.5 and 0.25.
RunSummary Summary(double share_of_valid, double number) {
  RunSummary summary;
  for (const double factor : {1.0, 0.5, 0.25}) {
    ScaledViewsReport* one = summary.add_scaled_views();
    one->set_factor(factor);
    one->set_valid_share_of_right(factor * share_of_valid);
    one->set_share_of_right(factor + number);
    one->set_ece(factor + 2 * number);
  }
  return summary;
}

TEST(ScaleBaselineTest, TheLargestFactorThatIsAsGoodOnTheValidationSplit) {
  const RunSummary baseline = Summary(0.5, 1), other = Summary(0.75, 3);
  const RunSummary between = Summary(0.3, 5), better = Summary(0.01, 5);
  const std::optional<ScaledBaseline> scaled =
      ScaleBaseline({{&between, &baseline}, {&better, &other}});
  ASSERT_TRUE(scaled.has_value());
  EXPECT_EQ(scaled->factor().mean(), (0.5 + 0.25) / 2);
  EXPECT_EQ(FindEvidence(scaled->evidence(), "share_of_right")->mean(), (1.5 + 3.25) / 2);
  EXPECT_EQ(FindEvidence(scaled->evidence(), "ece_of_views")->mean(), (2.5 + 6.25) / 2);
  // It need not be scaled where it is the better one.
  EXPECT_EQ(ScaleBaseline({{&baseline, &between}})->factor().mean(), 1);
}

TEST(ScaleBaselineTest, NothingWithoutWhatItNeeds) {
  const RunSummary some = Summary(0.5, 1), none;
  EXPECT_FALSE(ScaleBaseline({}).has_value());
  EXPECT_FALSE(ScaleBaseline({{&some, &some}, {&none, &some}}).has_value());
  EXPECT_FALSE(ScaleBaseline({{&some, &none}}).has_value());
}

}  // namespace
}  // namespace cmerc
