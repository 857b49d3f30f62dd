// Systems compared by what their runs left, against definitions and every exchange.
#include "experiment/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// An utterance of two classes: its label, the probability of class 1, and the log-probabilities of
// the true class, and the largest ones, without text and without context.
struct Utterance {
  int label;
  double p;
  double without_text;
  double without_context;
  double largest_text;
  double largest_context;

  double confidence() const { return std::max(p, 1 - p); }
  int predicted() const { return p > 0.5 ? 1 : 0; }
  double largest() const { return std::log(confidence()); }
  double log_prob() const { return std::log(label == 1 ? p : 1 - p); }
};
using TestSplit = std::vector<std::vector<Utterance>>;  // by conversation

const std::vector<int> kLengths = {3, 1, 2, 4, 1, 2};

// Made up, different for each system and seed; the labels are those of the split.
TestSplit Made(int system, int seed) {
  TestSplit split;
  int n = 0;
  for (const int length : kLengths) {
    split.emplace_back();
    for (int i = 0; i < length; ++i, ++n) {
      const int label = (n * n + n / 3) % 2;
      const double p = 0.03 + 0.94 * std::fmod(0.37 * n + 0.19 * system + 0.53 * seed * n, 1.0);
      split.back().push_back({label, p, -0.1 - std::fmod(0.61 * n + 0.3 * system * seed, 2.0),
                              -0.2 - std::fmod(0.43 * n + 0.7 * system + seed, 1.5),
                              -std::fmod(0.29 * n + 0.41 * system * (n + seed), 0.7),
                              -std::fmod(0.23 * n + 0.11 * system + 0.07 * seed, 0.5)});
    }
  }
  return split;
}

// The measures by their definitions.
std::vector<const Utterance*> Flat(const TestSplit& split) {
  std::vector<const Utterance*> all;
  for (const auto& conversation : split) {
    for (const Utterance& one : conversation) all.push_back(&one);
  }
  return all;
}

double Ece(const TestSplit& split) {
  double sum = 0;
  const auto all = Flat(split);
  for (int bin = 0; bin < 15; ++bin) {
    double gap = 0;
    for (const Utterance* one : all) {
      const double confidence = one->confidence();
      if (confidence <= bin / 15.0 || confidence > (bin + 1) / 15.0) continue;
      gap += (one->predicted() == one->label ? 1 : 0) - confidence;
    }
    sum += std::abs(gap);
  }
  return sum / static_cast<double>(all.size());
}

double Nll(const TestSplit& split) {
  double sum = 0;
  for (const Utterance* one : Flat(split)) sum -= one->log_prob();
  return sum / static_cast<double>(Flat(split).size());
}

double ShareWithoutText(const TestSplit& split) {
  int surer = 0;
  for (const Utterance* one : Flat(split)) surer += one->without_text > one->log_prob() ? 1 : 0;
  return static_cast<double>(surer) / static_cast<double>(Flat(split).size());
}

double ShareWithoutContext(const TestSplit& split) {
  int surer = 0;
  for (const Utterance* one : Flat(split)) surer += one->without_context > one->log_prob() ? 1 : 0;
  return static_cast<double>(surer) / static_cast<double>(Flat(split).size());
}

double ShareOfRight(const TestSplit& split) {
  int right = 0, surer = 0;
  for (const Utterance* one : Flat(split)) {
    if (one->predicted() != one->label) continue;
    ++right;
    surer += one->without_text > one->log_prob() ? 1 : 0;
    surer += one->without_context > one->log_prob() ? 1 : 0;
  }
  return static_cast<double>(surer) / (2.0 * right);
}

double Vrr(const TestSplit& split) {
  int larger = 0;
  for (const Utterance* one : Flat(split)) {
    larger += one->largest_text > one->largest() ? 1 : 0;
    larger += one->largest_context > one->largest() ? 1 : 0;
  }
  return larger / (2.0 * static_cast<double>(Flat(split).size()));
}

using Measure = double (*)(const TestSplit&);
const std::vector<std::pair<std::string, Measure>> kMeasures = {
    {"ece", Ece},
    {"nll", Nll},
    {"share_surer_without_text", ShareWithoutText},
    {"share_surer_without_same_speaker", ShareWithoutContext},
    {"share_of_right", ShareOfRight},
    {"violating_ranking_rate", Vrr}};

std::string Numbers(const std::vector<double>& numbers) {
  return absl::StrCat("[",
                      absl::StrJoin(numbers, ",",
                                    [](std::string* out, double number) {
                                      absl::StrAppend(out, absl::StrFormat("%.17g", number));
                                    }),
                      "]");
}

// Writes what a run with these predictions leaves; `with_largest`: one that says the largest
// probabilities.
void WriteRun(const TestSplit& split, const std::string& folder, bool with_largest = true) {
  std::string predictions, views;
  for (size_t k = 0; k < split.size(); ++k) {
    std::vector<int> labels, predicted;
    std::vector<std::string> rows;
    std::vector<double> all, text, context, largest, largest_text, largest_context;
    for (const Utterance& one : split[k]) {
      labels.push_back(one.label);
      predicted.push_back(one.predicted());
      rows.push_back(Numbers({1 - one.p, one.p}));
      all.push_back(one.log_prob());
      text.push_back(one.without_text);
      context.push_back(one.without_context);
      largest.push_back(one.largest());
      largest_text.push_back(one.largest_text);
      largest_context.push_back(one.largest_context);
    }
    const auto lists = [&](const std::vector<double>& of_truth, const std::vector<double>& most) {
      return absl::StrCat(",\"log_probs\":", Numbers(of_truth),
                          with_largest ? ",\"largest_log_probs\":" + Numbers(most) : "");
    };
    absl::StrAppend(&predictions, "{\"id\":\"c", k, "\",\"labels\":[", absl::StrJoin(labels, ","),
                    "],\"predicted\":[", absl::StrJoin(predicted, ","), "],\"probabilities\":[",
                    absl::StrJoin(rows, ","), "]}\n");
    absl::StrAppend(&views, "{\"id\":\"c", k, "\"", lists(all, largest),
                    ",\"without\":[{\"view\":\"text\"", lists(text, largest_text),
                    "},{\"view\":\"same_speaker\"", lists(context, largest_context), "}]}\n");
  }
  std::filesystem::create_directories(folder);
  WriteFile(folder + "/test_predictions.jsonl", predictions);
  WriteFile(folder + "/test_views.jsonl", views);
}

FinishedRun FinishedRunOf(const TestSplit& split, int seed, const std::string& folder) {
  WriteRun(split, folder);
  FinishedRun run{"", "v", false, static_cast<uint64_t>(seed), folder, {}};
  run.summary.set_protocol("HELD_OUT");
  SplitReport& test = *run.summary.mutable_test();
  test.mutable_calibration()->set_ece(Ece(split));
  test.mutable_calibration()->set_nll(Nll(split));
  for (const char* name : {"text", "same_speaker"}) test.add_views()->set_view(name);
  test.mutable_views(0)->set_share_surer_without(ShareWithoutText(split));
  test.mutable_views(1)->set_share_surer_without(ShareWithoutContext(split));
  for (ViewReport& view : *test.mutable_views()) {
    // Their mean is what is compared.
    view.mutable_evidence()->mutable_share_of_right()->set_value(ShareOfRight(split));
    view.mutable_evidence()->set_violating_ranking_rate(Vrr(split));
  }
  return run;
}

class CompareTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = NewFolder();
    for (const int seed : {1, 2, 3}) {
      runs_.push_back(FinishedRunOf(Made(0, seed), seed, absl::StrCat(folder, "/ours-", seed)));
      runs_.push_back(FinishedRunOf(Made(1, seed), seed, absl::StrCat(folder, "/theirs-", seed)));
    }
  }

  absl::Status Do() {
    Scores ours, theirs;
    for (size_t i = 0; i < runs_.size(); ++i) (i % 2 == 0 ? ours : theirs).push_back(&runs_[i]);
    row_.add_views();
    TestFiles files;
    return Compare(ours, theirs, "plain", &files, &row_, &remarks_);
  }

  std::vector<FinishedRun> runs_;  // ours and theirs in turn, by seed
  ExperimentRow row_;
  std::vector<std::string> remarks_;
};

// Mean over seeds of the difference, where the conversations in `pattern` are exchanged.
double Difference(Measure measure, uint32_t pattern) {
  double sum = 0;
  for (const int seed : {1, 2, 3}) {
    TestSplit ours = Made(0, seed), theirs = Made(1, seed);
    for (size_t k = 0; k < ours.size(); ++k) {
      if ((pattern >> k) & 1) std::swap(ours[k], theirs[k]);
    }
    sum += measure(ours) - measure(theirs);
  }
  return sum / 3;
}

TEST_F(CompareTest, EveryMeasureIsThatOfTheTableAndItsTestThatOfAllExchanges) {
  ASSERT_TRUE(Do().ok());
  EXPECT_THAT(remarks_, IsEmpty());
  ASSERT_EQ(row_.comparison().measures_size(), static_cast<int>(kMeasures.size()));
  for (size_t m = 0; m < kMeasures.size(); ++m) {
    const auto& [name, measure] = kMeasures[m];
    const MeasureComparison& compared = row_.comparison().measures(static_cast<int>(m));
    EXPECT_EQ(compared.measure(), name);
    const double observed = Difference(measure, 0);
    EXPECT_NE(observed, 0) << name;
    EXPECT_NEAR(compared.difference().mean(), observed, 1e-12) << name;
    const ConversationComparison& over = compared.over_conversations();
    EXPECT_NEAR((over.low().value() + over.high().value()) / 2, observed, 1e-12) << name;
    EXPECT_GT(over.high().value(), over.low().value()) << name;
    int as_far = 0;
    const uint32_t patterns = 1U << kLengths.size();
    for (uint32_t pattern = 0; pattern < patterns; ++pattern) {
      as_far += std::abs(Difference(measure, pattern)) >= std::abs(observed) - 1e-12 ? 1 : 0;
    }
    // Four deviations of a share of 10 000 draws.
    EXPECT_NEAR(over.p_value(), static_cast<double>(as_far) / patterns, 0.02) << name;
    EXPECT_EQ(over.conversations(), 6);
    EXPECT_EQ(over.utterances(), 13);
  }
}

TEST_F(CompareTest, RunsOfEarlierVersionsLackTestsOverConversations) {
  std::filesystem::remove(runs_[2].folder + "/test_views.jsonl");
  ASSERT_TRUE(Do().ok());
  EXPECT_THAT(remarks_, ElementsAre("shares surer without a source of evidence compared with plain "
                                    "over seeds alone: a run has no test_views.jsonl"));
  EXPECT_TRUE(row_.comparison().measures(1).has_over_conversations());
  EXPECT_FALSE(row_.comparison().measures(2).has_over_conversations());
  EXPECT_TRUE(row_.comparison().measures(2).has_difference());
}

TEST_F(CompareTest, RunsThatDoNotSayTheLargestProbabilitiesLackTheTestOfVrrAlone) {
  WriteRun(Made(1, 2), runs_[3].folder, /*with_largest=*/false);
  ASSERT_TRUE(Do().ok());
  EXPECT_THAT(remarks_, IsEmpty());
  ASSERT_EQ(row_.comparison().measures_size(), static_cast<int>(kMeasures.size()));
  for (const MeasureComparison& one : row_.comparison().measures()) {
    EXPECT_EQ(one.has_over_conversations(), one.measure() != "violating_ranking_rate");
    EXPECT_TRUE(one.has_difference());
  }
}

TEST_F(CompareTest, AMeasureThatARunDoesNotHaveIsNotCompared) {
  runs_[3].summary.mutable_test()->clear_calibration();
  runs_[4].summary.mutable_test()->mutable_views()->RemoveLast();
  ASSERT_TRUE(Do().ok());
  ASSERT_EQ(row_.comparison().measures_size(), 3);
  EXPECT_EQ(row_.comparison().measures(0).measure(), "share_surer_without_text");
  EXPECT_EQ(row_.comparison().measures(1).measure(), "share_of_right");
  EXPECT_EQ(row_.comparison().measures(2).measure(), "violating_ranking_rate");
}

TEST_F(CompareTest, OtherUtterancesAreComparedOverSeedsAlone) {
  TestSplit other = Made(1, 2);
  other[1][0].label = 1 - other[1][0].label;
  WriteRun(other, runs_[3].folder);
  ASSERT_TRUE(Do().ok());
  EXPECT_THAT(remarks_, ElementsAre("compared with plain over seeds alone: their test splits are "
                                    "not the same utterances"));
  for (const MeasureComparison& one : row_.comparison().measures()) {
    EXPECT_FALSE(one.has_over_conversations()) << one.measure();
  }
}

TEST_F(CompareTest, BrokenFilesAreNamed) {
  const std::string file = runs_[1].folder + "/test_views.jsonl";
  const std::string line = "{\"id\":\"c0\",\"log_probs\":[-1,-1,-1],\"without\":[";
  for (const std::string& bad :
       {std::string("["), line + "{\"view\":\"text\",\"log_probs\":[-1]}]}",
        line + "{\"view\":\"text\",\"log_probs\":[-1,-1,\"x\"]}]}"}) {
    WriteFile(file, bad + "\n");
    const absl::Status status = Do();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("test_views.jsonl:1: cannot be read"));
  }
}

TEST(CorrectPValuesTest, FourFamilies) {
  ExperimentResults results;
  for (int i = 1; i <= 2; ++i) {
    Comparison* comparison = results.add_rows()->mutable_comparison();
    comparison->set_p_value(0.01 * i);
    comparison->mutable_over_conversations()->set_p_value(0.02 * i);
    for (int m = 0; m < 3; ++m) {
      MeasureComparison* measure = comparison->add_measures();
      measure->set_p_value(0.001 * (3 * i + m));
      if (m < 2) measure->mutable_over_conversations()->set_p_value(0.002 * (3 * i + m));
    }
  }
  CorrectPValues(&results);
  const Comparison& first = results.rows(0).comparison();
  // Each is the smallest of its family, of two, two, six and four tests.
  EXPECT_DOUBLE_EQ(first.p_value_holm(), 0.01 * 2);
  EXPECT_DOUBLE_EQ(first.over_conversations().p_value_holm(), 0.02 * 2);
  EXPECT_DOUBLE_EQ(first.measures(0).p_value_holm(), 0.003 * 6);
  EXPECT_DOUBLE_EQ(first.measures(0).over_conversations().p_value_holm(), 0.006 * 4);
  EXPECT_FALSE(first.measures(2).has_over_conversations());
}

}  // namespace
}  // namespace cmerc
