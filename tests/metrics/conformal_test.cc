// Coverage is checked on data of which it is known: scores that are drawn, many times over.
#include "metrics/conformal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Conversations of two classes, whose labels are all the first: an utterance with score s has
// probabilities 1 - s and s, so that `split` gives its true class the score s.
struct Sample {
  std::vector<double> log_probs;
  std::vector<int64_t> labels;
  std::vector<int64_t> lengths;

  void Add(const std::vector<double>& scores) {
    for (const double score : scores) {
      log_probs.insert(log_probs.end(), {std::log1p(-score), std::log(score)});
      labels.push_back(0);
    }
    lengths.push_back(static_cast<int64_t>(scores.size()));
  }
  LabelledPredictions Predictions() const { return {log_probs, labels, lengths}; }
  // The same utterances, each as a conversation of its own.
  LabelledPredictions UtteranceByUtterance(std::vector<int64_t>* ones) const {
    ones->assign(labels.size(), 1);
    return {log_probs, labels, *ones};
  }
};

SetCalibration MustCalibrate(const LabelledPredictions& predictions, int64_t classes = 2) {
  const absl::StatusOr<SetCalibration> calibration = CalibrateSets(predictions, classes);
  EXPECT_TRUE(calibration.ok()) << calibration.status();
  EXPECT_TRUE(CheckSetCalibration(*calibration, classes).ok());
  return *calibration;
}

double SplitThreshold(const LabelledPredictions& predictions, double coverage) {
  return SetMaker(MustCalibrate(predictions), SetMethod::kSplit, coverage).thresholds()[0];
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // In (0, 1).
  double Uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }
  // Below `n`.
  size_t Below(size_t n) {
    return std::min(n - 1, static_cast<size_t>(Uniform() * static_cast<double>(n)));
  }

 private:
  std::mt19937_64 engine_;
};

// Four and a half standard errors of a share that is p, of n draws: passed by chance but for one in
// 100 000 tests.
double Tolerance(double p, int n) { return 4.5 * std::sqrt(p * (1 - p) / n); }

TEST(ConformalTest, WeighsConversationsAlike) {
  Sample sample;
  sample.Add({0.5, 0.1});
  sample.Add({0.3});
  const SetCalibration calibration = MustCalibrate(sample.Predictions());
  EXPECT_EQ(calibration.split().conversations(), 2);
  EXPECT_EQ(calibration.split().utterances(), 3);
  EXPECT_THAT(calibration.split().shares(), ElementsAre(0.25, 0.75, 1));
  ASSERT_THAT(calibration.split().scores(), SizeIs(3));
  const double expected[] = {0.1, 0.3, 0.5};
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(calibration.split().scores(i), expected[i], 1e-15);
  EXPECT_EQ(calibration.classes(0).SerializeAsString(), calibration.split().SerializeAsString());
  EXPECT_EQ(calibration.classes(1).conversations(), 0);
  // Infinity has 1/3 of the weight: shares are 1/6, 1/2 and 2/3 of all.
  for (const auto& [coverage, threshold] :
       {std::pair(0.1, 0.1), {1.0 / 6, 0.1}, {0.2, 0.3}, {0.5, 0.3}, {0.51, 0.5}, {2.0 / 3, 0.5}}) {
    EXPECT_NEAR(SplitThreshold(sample.Predictions(), coverage), threshold, 1e-15) << coverage;
  }
  EXPECT_EQ(SplitThreshold(sample.Predictions(), 0.67), kInfinity);
}

TEST(ConformalTest, UtterancesWithoutALabelHaveNoPart) {
  Sample with;
  with.Add({0.2, 0.9, 0.4});
  with.Add({0.8});
  with.Add({0.6});
  with.labels[1] = with.labels[3] = -1;
  Sample without;
  without.Add({0.2, 0.4});
  without.Add({0.6});
  EXPECT_EQ(MustCalibrate(with.Predictions()).SerializeAsString(),
            MustCalibrate(without.Predictions()).SerializeAsString());
  const std::vector<std::string> names = {"a", "b"};
  const SetMaker maker(MustCalibrate(without.Predictions()), SetMethod::kSplit, 0.5);
  EXPECT_EQ(MeasureSets(maker, with.Predictions(), names).classes(0).utterances(), 3);
  EXPECT_EQ(MeasureAbstaining(with.Predictions(), 2, 0.5).answered(), 3);

  for (int64_t& label : with.labels) label = -1;
  const SetCalibration none = MustCalibrate(with.Predictions());
  const SetMaker all_classes(none, SetMethod::kAdaptive, 0.5);
  EXPECT_THAT(all_classes.SetOf(with.Predictions().log_probs.subspan(0, 2)), SizeIs(2));
  EXPECT_EQ(MeasureSets(maker, with.Predictions(), names).mean_size(), 0);
  EXPECT_EQ(MeasureAbstaining(with.Predictions(), 2, 0.5).share_answered(), 0);
}

std::vector<double> LogsOf(std::vector<double> probabilities) {
  for (double& p : probabilities) p = std::log(p);
  return probabilities;
}

TEST(ConformalTest, ASetHasTheClassesWhoseScoreIsAtMostTheThreshold) {
  // True classes of probability 0.3, 0.4 and 0.6 with 0.5, 0.4 and 0 before them.
  const std::vector<double> rows = LogsOf({0.3, 0.5, 0.2, /**/ 0.2, 0.4, 0.4, /**/ 0.6, 0.3, 0.1});
  const std::vector<int64_t> labels = {0, 1, 0}, lengths = {1, 1, 1};
  const SetCalibration calibration = MustCalibrate({rows, labels, lengths}, 3);
  EXPECT_EQ(calibration.adaptive().scores(0), 0);
  EXPECT_NEAR(calibration.adaptive().scores(1), 0.5, 1e-15);  // equal ones are not before

  const std::vector<double> row = LogsOf({0.15, 0.25, 0.6});
  const auto set = [&](SetMethod method, double coverage) {
    return SetMaker(calibration, method, coverage).SetOf(row);
  };
  // Scores 0.85, 0.75, 0.4; thresholds 0.4, 0.6, 0.7 and then none.
  EXPECT_THAT(set(SetMethod::kSplit, 0.25), ElementsAre(2));
  EXPECT_THAT(set(SetMethod::kSplit, 0.75), ElementsAre(2));
  EXPECT_THAT(set(SetMethod::kSplit, 0.76), ElementsAre(2, 1, 0));
  // Scores 0.85, 0.6, 0; thresholds 0, 0, 0.5.
  EXPECT_THAT(set(SetMethod::kAdaptive, 0.25), ElementsAre(2));
  EXPECT_THAT(set(SetMethod::kAdaptive, 0.75), ElementsAre(2));
  // Class 0 has thresholds 0.4 and 0.7 of two conversations, class 1 0.6 of one, class 2 none.
  EXPECT_THAT(set(SetMethod::kClassConditional, 0.5), ElementsAre(2));
  EXPECT_THAT(set(SetMethod::kClassConditional, 0.6), ElementsAre(2, 1));
  EXPECT_THAT(set(SetMethod::kClassConditional, 0.7), ElementsAre(2, 1, 0));

  const std::vector<double> unsure = LogsOf({0.34, 0.33, 0.33});
  EXPECT_THAT(SetMaker(calibration, SetMethod::kSplit, 0.25).SetOf(unsure), IsEmpty());
  EXPECT_THAT(SetMaker(calibration, SetMethod::kAdaptive, 0.25).SetOf(unsure), ElementsAre(0));
}

TEST(ConformalTest, TooFewConversationsAreSaid) {
  Sample sample;
  for (int k = 0; k < 9; ++k) sample.Add({0.1 + 0.05 * k});
  const SetCalibration calibration = MustCalibrate(sample.Predictions());
  const std::vector<std::string> names = {"hap", "sad"};
  // 9 of 10.
  EXPECT_THAT(SetMaker(calibration, SetMethod::kSplit, 0.9).Remarks(names), IsEmpty());
  EXPECT_LT(SetMaker(calibration, SetMethod::kSplit, 0.9).thresholds()[0], kInfinity);
  EXPECT_THAT(SetMaker(calibration, SetMethod::kAdaptive, 0.95).Remarks(names),
              ElementsAre("every class is in every set: calibrated on 9 conversations; a coverage "
                          "of 0.95 needs 19, as K of them can tell K / (K + 1) at most"));
  EXPECT_THAT(
      SetMaker(calibration, SetMethod::kClassConditional, 0.9).Remarks(names),
      ElementsAre("in every set, as too few conversations (in brackets) of the calibration have "
                  "the class: sad (0); a coverage of 0.9 needs 9, as K of them can tell K / (K + "
                  "1) at most"));
}

// One utterance a conversation: of n scores U(0, 1) the threshold is the k-th, k = ceil((n + 1) q),
// so that the coverage of a new one is the threshold itself, which is Beta(k, n + 1 - k).
TEST(CoverageTest, OfIndependentUtterancesItIsBetaDistributed) {
  constexpr int kRounds = 2000, kConversations = 99;
  constexpr double kMean = 0.9, kVariance = 90.0 * 10 / (100.0 * 100 * 101);
  Random random(1);
  double sum = 0, squares = 0;
  for (int round = 0; round < kRounds; ++round) {
    Sample sample;
    for (int k = 0; k < kConversations; ++k) sample.Add({random.Uniform()});
    const double threshold = SplitThreshold(sample.Predictions(), 0.9);
    sum += threshold;
    squares += (threshold - kMean) * (threshold - kMean);
  }
  EXPECT_NEAR(sum / kRounds, kMean, 4.5 * std::sqrt(kVariance / kRounds));
  // The variance of a variance is about 2 v^2 / n near a normal distribution.
  EXPECT_NEAR(squares / kRounds, kVariance, 4.5 * kVariance * std::sqrt(2.5 / kRounds));
}

// The share of rounds in which a random utterance of a new conversation is covered.
struct Covered {
  double by_conversation = 0;
  double by_utterance = 0;
};
Covered Cover(int rounds, int conversations, double coverage, uint64_t seed,
              const std::function<std::vector<double>(Random&)>& draw) {
  Random random(seed);
  Covered covered;
  for (int round = 0; round < rounds; ++round) {
    Sample sample;
    for (int k = 0; k < conversations; ++k) sample.Add(draw(random));
    const std::vector<double> fresh = draw(random);
    const double score = fresh[random.Below(fresh.size())];
    std::vector<int64_t> ones;
    covered.by_conversation +=
        score <= SplitThreshold(sample.Predictions(), coverage) ? 1.0 / rounds : 0;
    covered.by_utterance +=
        score <= SplitThreshold(sample.UtteranceByUtterance(&ones), coverage) ? 1.0 / rounds : 0;
  }
  return covered;
}

TEST(CoverageTest, HoldsWhereLongConversationsAreEasy) {
  constexpr int kRounds = 2000, kConversations = 40;
  // Half of the conversations are long and easy, the others short and hard.
  const Covered covered = Cover(kRounds, kConversations, 0.9, 2, [](Random& random) {
    const bool easy = random.Uniform() < 0.5;
    std::vector<double> scores(easy ? 30 : 2);
    for (double& score : scores) {
      score = easy ? 0.3 * random.Uniform() : 0.3 + 0.7 * random.Uniform();
    }
    return scores;
  });
  EXPECT_GE(covered.by_conversation, 0.9 - Tolerance(0.9, kRounds));
  EXPECT_LE(covered.by_conversation, 0.9 + 2.0 / (kConversations + 1) + Tolerance(0.9, kRounds));
  // 15 of 16 utterances are easy: the threshold is near 0.3, below which half of the conversations
  // are.
  EXPECT_LT(covered.by_utterance, 0.6);
}

TEST(CoverageTest, HoldsWhereUtterancesOfAConversationAreAlike) {
  constexpr int kRounds = 4000;
  const auto alike = [](Random& random) {
    return std::vector<double>(20, 0.01 + 0.98 * random.Uniform());
  };
  // Six conversations cannot tell 0.9. By utterances, of 120 the 109th is the largest of six
  // scores: 6 / 7 in truth.
  const Covered few = Cover(kRounds, 6, 0.9, 3, alike);
  EXPECT_NEAR(few.by_conversation, 1, 1e-9);
  EXPECT_NEAR(few.by_utterance, 6.0 / 7, Tolerance(6.0 / 7, kRounds));
  EXPECT_LT(few.by_utterance, 0.89);
  // Of 19 the 18th: 18 / 20 exactly.
  const Covered enough = Cover(kRounds, 19, 0.9, 4, alike);
  EXPECT_NEAR(enough.by_conversation, 0.9, Tolerance(0.9, kRounds));
}

// Three classes, of which a model that is far too sure of the first says the wrong odds. Labels
// come from other probabilities, and conversations differ in length and in how hard they are.
void AddConversation(Random& random, std::vector<double>* rows, std::vector<int64_t>* labels,
                     std::vector<int64_t>* lengths) {
  const size_t length = 1 + random.Below(6);
  const double hard = random.Uniform();
  for (size_t i = 0; i < length; ++i) {
    std::vector<double> row(3);
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) {
      row[c] = std::exp(3 * random.Uniform() + (c == 0 ? 1.0 : 0.0));
      sum += row[c];
    }
    for (double& p : row) p /= sum;
    const size_t best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    labels->push_back(static_cast<int64_t>(random.Uniform() < hard ? random.Below(3) : best));
    for (const double p : row) rows->push_back(std::log(p));
  }
  lengths->push_back(static_cast<int64_t>(length));
}

TEST(CoverageTest, EveryMethodHoldsItWhateverTheModelSays) {
  constexpr int kRounds = 1500, kConversations = 60;
  Random random(5);
  std::vector<double> covered(3), of_class(3);
  std::vector<int> rounds_of_class(3);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> rows, fresh;
    std::vector<int64_t> labels, lengths, fresh_labels, fresh_lengths;
    for (int k = 0; k < kConversations; ++k) AddConversation(random, &rows, &labels, &lengths);
    AddConversation(random, &fresh, &fresh_labels, &fresh_lengths);
    const SetCalibration calibration = MustCalibrate({rows, labels, lengths}, 3);
    const auto holds = [&](SetMethod method, size_t i) {
      const std::vector<int64_t> set =
          SetMaker(calibration, method, 0.8).SetOf(absl::MakeConstSpan(fresh).subspan(3 * i, 3));
      return std::count(set.begin(), set.end(), fresh_labels[i]);
    };
    const size_t any = random.Below(fresh_labels.size());
    for (const SetMethod method :
         {SetMethod::kSplit, SetMethod::kClassConditional, SetMethod::kAdaptive}) {
      covered[static_cast<size_t>(method)] += static_cast<double>(holds(method, any));
    }
    // A random utterance of each class that the new conversation has.
    for (int64_t c = 0; c < 3; ++c) {
      std::vector<size_t> those;
      for (size_t i = 0; i < fresh_labels.size(); ++i) {
        if (fresh_labels[i] == c) those.push_back(i);
      }
      if (those.empty()) continue;
      ++rounds_of_class[c];
      of_class[c] += static_cast<double>(
          holds(SetMethod::kClassConditional, those[random.Below(those.size())]));
    }
  }
  const double tolerance = Tolerance(0.8, kRounds);
  for (const double one : covered) EXPECT_GE(one / kRounds, 0.8 - tolerance);
  EXPECT_LE(covered[0] / kRounds, 0.8 + 2.0 / (kConversations + 1) + tolerance);
  for (size_t c = 0; c < 3; ++c) {
    ASSERT_GT(rounds_of_class[c], 300);
    const double share = of_class[c] / rounds_of_class[c];
    EXPECT_GE(share, 0.8 - Tolerance(0.8, rounds_of_class[c])) << c;
    // Every class has 15 conversations or more in nearly all rounds.
    EXPECT_LE(share, 0.8 + 2.0 / 16 + Tolerance(0.8, rounds_of_class[c])) << c;
  }
}

TEST(ConformalTest, ATableIsSmallAndItsThresholdsAreNeverTooLow) {
  Random random(6);
  Sample sample;
  for (int k = 0; k < 300; ++k) {
    std::vector<double> scores(1 + random.Below(40));
    for (double& score : scores) score = random.Uniform();
    sample.Add(scores);
  }
  ASSERT_GT(sample.labels.size(), 5000u);
  const ScoreTable table = MustCalibrate(sample.Predictions()).split();
  EXPECT_LE(table.scores_size(), 1001);
  EXPECT_GT(table.scores_size(), 800);
  // Exactly: scores with their weights, in order.
  std::vector<std::pair<double, double>> exact;
  size_t i = 0;
  for (const int64_t length : sample.lengths) {
    for (int64_t u = 0; u < length; ++u, ++i) {
      exact.emplace_back(1 - std::exp(sample.log_probs[2 * i]),
                         1.0 / 301 / static_cast<double>(length));
    }
  }
  std::sort(exact.begin(), exact.end());
  for (int step = 1; step < 100; ++step) {
    const double coverage = step / 100.0;
    const double threshold = SplitThreshold(sample.Predictions(), coverage);
    double below = 0, up_to = 0;
    for (const auto& [score, weight] : exact) {
      below += score < threshold ? weight : 0;
      up_to += score <= threshold ? weight : 0;
    }
    EXPECT_GE(up_to, coverage - 1e-8);
    EXPECT_LE(below, coverage + 2e-3);  // 1/1000 and what one score weighs, at most 1/301
  }
}

TEST(MeasureSetsTest, CountsByHand) {
  Sample calibration;
  for (int k = 1; k <= 9; ++k) calibration.Add({0.1 * k});
  // The fifth of nine scores, for both classes.
  const SetMaker maker(MustCalibrate(calibration.Predictions()), SetMethod::kSplit, 0.5);
  ASSERT_NEAR(maker.thresholds()[1], 0.5, 1e-12);
  Sample sample;
  sample.Add({0.2, 0.7, 0.8, 0.9});  // the first one alone is in
  sample.Add({0.4, 0.3});
  sample.labels = {0, 0, 1, 0, 0, 1};
  const std::vector<std::string> names = {"hap", "sad"};
  const SetReport report = MeasureSets(maker, sample.Predictions(), names);
  EXPECT_EQ(report.method(), "split");
  EXPECT_EQ(report.calibration_conversations(), 9);
  EXPECT_EQ(report.asked(), 0.5);
  // Sets {hap}, {sad}, {sad}, {sad}, {hap}, {hap}; right for 0, 2 and 4.
  EXPECT_EQ(report.coverage(), 0.5);
  EXPECT_EQ(report.conversation_coverage(), 0.5);
  EXPECT_EQ(report.conversation_coverage_error().value(), 0);
  EXPECT_EQ(report.mean_size(), 1);
  EXPECT_EQ(report.share_single(), 1);
  EXPECT_EQ(report.share_empty(), 0);
  EXPECT_EQ(report.share_all(), 0);
  EXPECT_EQ(report.classes(0).utterances(), 4);
  EXPECT_EQ(report.classes(0).coverage().value(), 0.5);
  EXPECT_EQ(report.classes(0).conversation_coverage().value(), (1.0 / 3 + 1) / 2);
  EXPECT_EQ(report.classes(1).conversations(), 2);
  EXPECT_EQ(report.classes(1).conversation_coverage().value(), 0.5);
  EXPECT_NEAR(report.classes(1).threshold().value(), 0.5, 1e-12);
  EXPECT_THAT(report.remarks(), IsEmpty());
}

TEST(RiskCoverageTest, CountsByHand) {
  Sample sample;
  sample.Add({0.2, 0.7, 0.45});  // confidences 0.8, 0.7, 0.55; the second one is wrong
  sample.Add({0.1});             // 0.9
  const RiskCoveragePoint half = MeasureAbstaining(sample.Predictions(), 2, 0.6);
  EXPECT_EQ(half.answered(), 3);
  EXPECT_EQ(half.share_answered(), 0.75);
  EXPECT_EQ(half.accuracy().value(), 2.0 / 3);
  const RiskCoveragePoint none = MeasureAbstaining(sample.Predictions(), 2, 0.95);
  EXPECT_EQ(none.answered(), 0);
  EXPECT_FALSE(none.has_accuracy());
  const RiskCoverage curve = MeasureRiskCoverage(sample.Predictions(), 2);
  ASSERT_EQ(curve.points_size(), 20);
  EXPECT_EQ(curve.points(0).threshold(), 0);
  EXPECT_EQ(curve.points(0).share_answered(), 1);
  EXPECT_EQ(curve.points(0).accuracy().value(), 0.75);
  EXPECT_EQ(curve.points(3).threshold(), 0.15);
  EXPECT_EQ(curve.points(19).threshold(), 0.95);
  // A confidence that is the threshold is answered.
  EXPECT_TRUE(IsAnswered(0.6, 0.6));
}

TEST(CheckSetCalibrationTest, RefusesWhatCalibrateSetsCannotHaveMade) {
  Sample sample;
  sample.Add({0.2, 0.7});
  sample.Add({0.4});
  const SetCalibration good = MustCalibrate(sample.Predictions());
  EXPECT_THAT(std::string(CheckSetCalibration(good, 3).message()),
              HasSubstr("sets.classes: 2 tables, want 3"));
  const auto error = [&](const std::function<void(ScoreTable&)>& spoil) {
    SetCalibration bad = good;
    spoil(*bad.mutable_adaptive());
    return std::string(CheckSetCalibration(bad, 2).message());
  };
  ASSERT_EQ(good.adaptive().scores_size(), 2);  // 0, twice, and 0.7
  EXPECT_THAT(error([](ScoreTable& t) { t.add_scores(0.9); }),
              HasSubstr("sets.adaptive: 3 scores"));
  EXPECT_THAT(error([](ScoreTable& t) { t.set_conversations(0); }),
              HasSubstr("2 scores of 0 conversations"));
  EXPECT_THAT(error([](ScoreTable& t) { t.set_scores(1, -1); }), HasSubstr("scores[1] = -1"));
  EXPECT_THAT(error([](ScoreTable& t) { t.set_scores(0, std::nan("")); }),
              HasSubstr("scores[0] = nan"));
  EXPECT_THAT(error([](ScoreTable& t) { t.set_shares(1, 1.5); }), HasSubstr("shares[1] = 1.5"));
  EXPECT_THAT(error([](ScoreTable& t) {
                for (int i = 0; i < 2000; ++i) {
                  t.add_scores(1 + i);
                  t.add_shares(1);
                }
              }),
              HasSubstr("want at most 1001"));
}

TEST(CalibrateSetsTest, RefusesWhatDoesNotFit) {
  Sample sample;
  sample.Add({0.2, 0.7});
  EXPECT_FALSE(CalibrateSets(sample.Predictions(), 3).ok());
  EXPECT_FALSE(CalibrateSets(sample.Predictions(), 0).ok());
  sample.labels[1] = 2;
  EXPECT_THAT(std::string(CalibrateSets(sample.Predictions(), 2).status().message()),
              HasSubstr("labels[1] = 2"));
  sample.labels[1] = 1;
  sample.log_probs[3] = std::nan("");
  EXPECT_THAT(std::string(CalibrateSets(sample.Predictions(), 2).status().message()),
              HasSubstr("log_probs[3] is not a number"));
}

}  // namespace
}  // namespace cmerc
