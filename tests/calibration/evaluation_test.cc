#include "calibration/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calibration/views.h"
#include "calibration/weighted_losses.h"
#include "core/confidence.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// -mean of the true classes' log-probabilities, under a name and maybe in want of a view.
class MeanLoss final : public Loss {
 public:
  explicit MeanLoss(std::vector<View> views) : views_(std::move(views)) {}
  std::vector<View> views() const override { return views_; }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    return -TrueClassLogProbs(input.full.log_probs, input.labels).mean();
  }

  const std::vector<View> views_;
};

std::vector<WeightedLoss> Losses(double weight, double weight_with_views) {
  std::vector<WeightedLoss> losses;
  losses.push_back({"test.Task", weight, std::make_unique<MeanLoss>(std::vector<View>{})});
  losses.push_back({"test.Views", weight_with_views, std::make_unique<MeanLoss>(ContextViews())});
  return losses;
}

RunConfig Config(int batch_size) {
  RunConfig config;
  config.mutable_training()->set_batch_size(batch_size);
  return config;
}

SplitReport MustEvaluate(Backbone& backbone, const PreparedData& data,
                         const std::vector<int64_t>& indices, int batch_size,
                         const std::vector<View>& views = {}) {
  absl::StatusOr<SplitReport> report =
      Evaluate(backbone, data, indices, Losses(2, 100), Config(batch_size), views);
  TORCH_CHECK(report.ok(), report.status().ToString());
  return *std::move(report);
}

torch::Tensor LogProbs(const Batch& batch) {
  StubBackbone backbone(0.7F);
  return backbone.Forward(batch)->log_probs.detach();
}

// Text alone decides, by a large margin: 'a' for class 0, 'b' for 1, 'c' for 2.
PreparedData Spelled(const std::vector<std::pair<std::string, std::vector<int64_t>>>& said) {
  PreparedData data;
  data.info = StubInfo();
  for (const auto& [letters, labels] : said) {
    const auto length = static_cast<int64_t>(labels.size());
    Conversation conversation = RandomConversation("c", length);
    conversation.features = {{torch::zeros({length, 3}), torch::zeros({length, 3})},
                             {torch::zeros({length, 3})}};
    for (int64_t i = 0; i < length; ++i) conversation.features[1][0][i][letters[i] - 'a'] = 50;
    conversation.labels = torch::tensor(labels, torch::kInt64);
    data.conversations.push_back(std::move(conversation));
  }
  return data;
}

TEST(EvaluateTest, ScoresAreThoseOfItsPredictions) {
  // Predicted 0 0 1, 2; true 0 1 1, 0. Class 0: one of two predicted, one of two true.
  const PreparedData data = Spelled({{"aab", {0, 1, 1}}, {"c", {0}}});
  StubBackbone backbone;
  const SplitReport report = MustEvaluate(backbone, data, {0, 1}, 16);
  EXPECT_EQ(report.conversations(), 2);
  EXPECT_EQ(report.utterances(), 4);
  EXPECT_EQ(report.accuracy(), 0.5);
  ASSERT_EQ(report.classes_size(), 3);
  EXPECT_EQ(report.classes(0).name(), "angry");
  EXPECT_EQ(report.classes(0).f1(), 0.5);
  EXPECT_EQ(report.classes(1).precision(), 1);
  EXPECT_EQ(report.classes(1).recall(), 0.5);
  EXPECT_EQ(report.classes(2).support(), 0);
  EXPECT_NEAR(report.weighted_f1(), (0.5 + 2.0 / 3) / 2, 1e-12);
  EXPECT_THAT(report.confusion(0).predicted(), testing::ElementsAre(1, 0, 1));
  EXPECT_THAT(report.confusion(1).predicted(), testing::ElementsAre(1, 1, 0));
  // Logits 50 and 0: right is 0 to 1e-21, wrong is -50. 2 * 100 / 4.
  EXPECT_NEAR(report.loss(), 50, 1e-5);
  EXPECT_EQ(report.views_size(), 0);
}

TEST(EvaluateTest, TheLossIsTheMeanOverBatchesWithoutLossesThatNeedViews) {
  const PreparedData data = StubData();
  StubBackbone backbone(0.7F);
  const auto mean = [&](const std::vector<int64_t>& indices) {
    const Batch batch = data.MakeBatch(indices).value();
    return -2 * TrueClassLogProbs(LogProbs(batch), batch.labels).mean().item<double>();
  };
  // Float32 means of at most 15 numbers below 10.
  EXPECT_NEAR(MustEvaluate(backbone, data, data.train, 3).loss(), (mean({0, 1, 2}) + mean({3})) / 2,
              1e-6);
  EXPECT_NEAR(MustEvaluate(backbone, data, data.train, 4).loss(), mean({0, 1, 2, 3}), 1e-6);
}

TEST(EvaluateTest, InTheGivenOrder) {
  const PreparedData data = StubData();
  StubBackbone backbone(0.7F);
  const SplitReport forward = MustEvaluate(backbone, data, {0, 1, 2, 3}, 3);
  const SplitReport backward = MustEvaluate(backbone, data, {3, 2, 1, 0}, 3);
  EXPECT_EQ(forward.accuracy(), backward.accuracy());
  EXPECT_NE(forward.loss(), backward.loss());  // other batches
}

TEST(EvaluateTest, ReportsHowConfidenceChangesInEachView) {
  const PreparedData data = StubData();
  StubBackbone backbone(0.7F);
  const std::vector<View> views = AllViews(StubInfo());
  const SplitReport report = MustEvaluate(backbone, data, data.train, 3, views);
  ASSERT_EQ(report.views_size(), 4);
  const Batch batch = data.MakeBatch(data.train).value();
  const torch::Tensor full = TrueClassLogProbs(LogProbs(batch), batch.labels);
  for (int v = 0; v < 4; ++v) {
    EXPECT_EQ(report.views(v).view(), views[v].name());
    const Batch masked = ApplyView(batch, views[v], CalibrationConfig::REAL_UTTERANCES);
    const torch::Tensor rise = TrueClassLogProbs(LogProbs(masked), batch.labels) - full;
    int64_t surer = 0;
    double sum = 0;
    for (int64_t i = 0; i < rise.size(0); ++i) {
      surer += rise[i].item<float>() > 0 ? 1 : 0;
      sum += rise[i].item<double>();
    }
    EXPECT_GT(surer, 0);
    EXPECT_LT(surer, 10);
    EXPECT_EQ(report.views(v).share_surer_without(), static_cast<double>(surer) / 10);
    EXPECT_NEAR(report.views(v).mean_log_prob_rise(), sum / 10, 1e-6);
  }
  // The class that is predicted from all evidence, likewise.
  const torch::Tensor predicted = LogProbs(batch).argmax(1);
  for (int v = 0; v < 4; ++v) {
    const Batch masked = ApplyView(batch, views[v], CalibrationConfig::REAL_UTTERANCES);
    const torch::Tensor rise = TrueClassLogProbs(LogProbs(masked), predicted) -
                               TrueClassLogProbs(LogProbs(batch), predicted);
    EXPECT_EQ(report.views(v).share_predicted_surer_without(),
              (rise > 0).sum().item<double>() / 10);
    EXPECT_NEAR(report.views(v).mean_predicted_log_prob_rise(), rise.mean().item<double>(), 1e-6);
    const torch::Tensor of_view = LogProbs(masked);
    EXPECT_NEAR(report.views(v).calibration().nll(),
                -TrueClassLogProbs(of_view, batch.labels).mean().item<double>(), 1e-6);
  }
  EXPECT_NEAR(report.calibration().nll(), -full.mean().item<double>(), 1e-6);
  EXPECT_EQ(report.calibration().bins_size(), 15);
  EXPECT_EQ(report.micro_f1(), report.accuracy());
  // Views change nothing else.
  SplitReport without = report;
  without.clear_views();
  EXPECT_EQ(without.SerializeAsString(),
            MustEvaluate(backbone, data, data.train, 3).SerializeAsString());
}

TEST(EvaluateTest, LeavesTheModelInEvaluationModeWithoutGradient) {
  const PreparedData data = StubData();
  StubBackbone backbone;
  backbone.train();
  MustEvaluate(backbone, data, data.test, 1, ContextViews());
  EXPECT_FALSE(backbone.is_training());
  EXPECT_EQ(backbone.passes, std::vector<bool>(6, false));
  EXPECT_EQ(backbone.steps.item<int64_t>(), 0);
  EXPECT_TRUE(torch::GradMode::is_enabled());
}

TEST(EvaluateTest, ALossThatIsNotFiniteIsNamed) {
  const PreparedData data = StubData();
  StubBackbone backbone(NAN);
  const absl::Status status = Evaluate(backbone, data, data.test, Losses(1, 1), Config(2)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("conversations c5, c6: the loss test.Task is nan (log_probs of the full "
                        "prediction: nan at [0, 0])"));
}

TEST(EvaluateTest, WhatTheModelRefuses) {
  PreparedData data = StubData();
  data.conversations[6].speakers.fill_(5);
  StubBackbone backbone;
  const absl::Status status = Evaluate(backbone, data, data.test, Losses(1, 1), Config(1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("batch.speakers holds 5"));
}

// A temperature moves every log-probability, so also the shares.
TEST(ScoreRemedyTest, IsAppliedToAllPredictions) {
  const PreparedData data = StubData();
  StubBackbone backbone(0.7F);
  const std::vector<View> views = AllViews(StubInfo());
  const auto predictions =
      PredictSplit(backbone, data, data.train, Losses(2, 100), Config(3), views);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  // Dividing logits by T is making the gain smaller.
  StubBackbone flatter(0.7F / 2);
  const SplitReport expected = MustEvaluate(flatter, data, data.train, 3, views);
  const auto report = ScoreRemedy({"temperature", {2}}, *predictions, data.info);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->method(), "temperature");
  EXPECT_THAT(report->parameters(), testing::ElementsAre(2));
  EXPECT_EQ(report->accuracy(), expected.accuracy());
  EXPECT_EQ(report->weighted_f1(), expected.weighted_f1());
  // Float32 logits, the rest in float64.
  EXPECT_NEAR(report->calibration().nll(), expected.calibration().nll(), 1e-6);
  ASSERT_EQ(report->share_surer_without_size(), 4);
  for (int v = 0; v < 4; ++v) {
    EXPECT_EQ(report->share_surer_without(v), expected.views(v).share_surer_without());
  }
}

TEST(ScorePredictionsTest, PredictionsThatAreNoneAreNamed) {
  SplitPredictions predictions;
  predictions.labels = {0};
  predictions.log_probs = {0, -50, -50};
  predictions.views = ContextViews();
  predictions.view_log_probs = {{0, -50, -50}, {0, -50, NAN}};
  const absl::Status status = ScorePredictions(predictions, StubInfo()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("without other_speakers"));
}

}  // namespace
}  // namespace cmerc
