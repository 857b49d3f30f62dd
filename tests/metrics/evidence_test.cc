// What a source of evidence is worth: by hand, and for a model that is perfectly calibrated.
#include "metrics/evidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace cmerc {
namespace {

std::vector<double> Logs(std::vector<double> probabilities) {
  for (double& p : probabilities) p = std::log(p);
  return probabilities;
}

ViewReport Measured(const std::vector<double>& full, const std::vector<double>& view,
                    const std::vector<int64_t>& labels, int64_t num_classes) {
  const absl::StatusOr<ViewReport> report = MeasureEvidence(full, view, labels, num_classes);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : ViewReport();
}

// Four utterances: right and less sure without the evidence; right and surer; wrong, and nearly as
// sure of the truth; wrong, and surer of the truth so that the view is right.
TEST(MeasureEvidenceTest, FourUtterances) {
  const std::vector<double> full =
      Logs({0.7, 0.2, 0.1, 0.2, 0.5, 0.3, 0.6, 0.3, 0.1, 0.5, 0.1, 0.4});
  const std::vector<double> view =
      Logs({0.5, 0.3, 0.2, 0.1, 0.8, 0.1, 0.595, 0.305, 0.1, 0.3, 0.1, 0.6});
  const ViewReport report = Measured(full, view, {0, 1, 1, 2}, 3);
  EXPECT_EQ(report.share_surer_without(), 0.75);
  EXPECT_NEAR(report.mean_log_prob_rise(),
              (std::log(5.0 / 7) + std::log(1.6) + std::log(0.305 / 0.3) + std::log(1.5)) / 4,
              1e-15);
  // The predicted classes are 0, 1, 0 and 0.
  EXPECT_EQ(report.share_predicted_surer_without(), 0.25);
  const EvidenceReport& evidence = report.evidence();
  // 0.2 + 0.1, 0.5, 0.3 and 0.4. What stays the same does not rise.
  EXPECT_NEAR(evidence.floor(), (0.3 + 0.5 + 0.3 + 0.4) / 4, 1e-15);
  EXPECT_NEAR(evidence.excess(), 0.75 - 0.375, 1e-15);
  EXPECT_EQ(evidence.share_of_right().value(), 0.5);
  EXPECT_EQ(evidence.share_of_wrong().value(), 1);
  EXPECT_EQ(evidence.share_beyond_tolerance(), 0.5);
  EXPECT_EQ(evidence.violating_ranking_rate(), 0.5);  // 0.5 -> 0.8 and 0.5 -> 0.6
  EXPECT_EQ(evidence.accuracy(), 0.75);
  // Supports 1, 2 and 1; the view predicts 0, 1, 0 and 2.
  EXPECT_NEAR(evidence.weighted_f1(), (2.0 / 3 + 2 * 2.0 / 3 + 1) / 4, 1e-15);
}

TEST(MeasureEvidenceTest, SharesOfNothingAreUnset) {
  const std::vector<double> full = Logs({0.7, 0.3}), view = Logs({0.6, 0.4});
  EXPECT_FALSE(Measured(full, view, {0}, 2).evidence().has_share_of_wrong());
  EXPECT_FALSE(Measured(full, view, {1}, 2).evidence().has_share_of_right());
}

TEST(MeasureEvidenceTest, AViewThatRemovesNothingChangesNothing) {
  const std::vector<double> full = Logs({0.7, 0.3, 0.2, 0.8});
  const ViewReport report = Measured(full, full, {0, 0}, 2);
  EXPECT_EQ(report.share_surer_without(), 0);
  EXPECT_EQ(report.mean_log_prob_rise(), 0);
  EXPECT_EQ(report.evidence().floor(), 0);
  EXPECT_EQ(report.evidence().violating_ranking_rate(), 0);
}

// Six classes and two sources, each the class's own corner plus Gaussian noise: Bayes' rule with
// both and with the first alone.
struct PerfectModel {
  std::vector<double> full, view;
  std::vector<int64_t> labels;
};

PerfectModel Simulate(int num_utterances, double strength_of_removed) {
  constexpr int kClasses = 6;
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise;
  PerfectModel model;
  const auto append = [](const std::vector<double>& logits, std::vector<double>* out) {
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit);
    for (const double logit : logits) out->push_back(logit - std::log(sum));
  };
  for (int i = 0; i < num_utterances; ++i) {
    const auto label = static_cast<int>(random() % kClasses);
    std::vector<double> kept(kClasses), all(kClasses);
    for (int c = 0; c < kClasses; ++c) {
      // The log-likelihood of class c is strength * x_c and what all classes share.
      const auto evidence = [&](double strength) {
        return strength * ((c == label ? strength : 0) + noise(random));
      };
      kept[c] = evidence(1.5);
      all[c] = kept[c] + evidence(strength_of_removed);
    }
    append(all, &model.full);
    append(kept, &model.view);
    model.labels.push_back(label);
  }
  return model;
}

TEST(MeasureEvidenceTest, APerfectModelHasNoExcess) {
  constexpr int kUtterances = 40000;
  for (const double strength : {0.3, 1.5}) {
    const PerfectModel model = Simulate(kUtterances, strength);
    const ViewReport report = Measured(model.full, model.view, model.labels, 6);
    // Each utterance adds its [0 or 1] - p, a mean of 0 with a variance of at most 1/4; four times
    // the deviation of the mean.
    EXPECT_NEAR(report.evidence().excess(), 0, 4 * 0.5 / std::sqrt(kUtterances)) << strength;
    // A source that says little: the perfect model is surer without it nearly as often as not.
    EXPECT_GT(report.share_surer_without(), strength < 1 ? 0.35 : 0.05);
    EXPECT_LT(report.share_surer_without(), strength < 1 ? 0.5 : 0.25);
    EXPECT_GT(report.evidence().share_of_wrong().value(),
              report.evidence().share_of_right().value());
  }
}

TEST(MeasureEvidenceTest, RefusesWhatDoesNotFit) {
  const std::vector<double> two = Logs({0.5, 0.5});
  const std::vector<int64_t> none, zero = {0}, far = {2}, more = {0, 1};
  EXPECT_FALSE(MeasureEvidence({}, {}, none, 2).ok());
  EXPECT_FALSE(MeasureEvidence(two, two, far, 2).ok());
  EXPECT_FALSE(MeasureEvidence(two, two, more, 2).ok());
  EXPECT_FALSE(MeasureEvidence(two, {}, zero, 2).ok());
}

}  // namespace
}  // namespace cmerc
