// What is done with utterances that nobody labelled: they are predicted, and in nothing that needs
// a truth.
#include "calibration/labelled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "calibration/describe_prediction.h"
#include "calibration/difficulty.h"
#include "calibration/evaluation.h"
#include "calibration/predict_views.h"
#include "core/confidence.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void Unlabel(Conversation& conversation, const std::vector<int64_t>& utterances) {
  for (const int64_t i : utterances) conversation.labels[i] = kUnlabelled;
}

// StubData() with a conversation without labels and two with some in the training split.
PreparedData PartlyLabelled() {
  PreparedData data = StubData();
  Unlabel(data.conversations[0], {1});
  Unlabel(data.conversations[1], {0});
  Unlabel(data.conversations[2], {0, 3});
  return data;
}

std::vector<WeightedLoss> TaskLoss() {
  class MeanLoss final : public Loss {
    torch::Tensor ComputeImpl(const LossInput& input) const override {
      return -TrueClassLogProbs(input.full.log_probs, input.labels).mean();
    }
  };
  std::vector<WeightedLoss> losses;
  losses.push_back({"test.Task", 1, std::make_unique<MeanLoss>()});
  return losses;
}

SplitPredictions MustPredict(const PreparedData& data, int batch_size) {
  StubBackbone backbone(0.7F);
  RunConfig config;
  config.mutable_training()->set_batch_size(batch_size);
  auto predictions =
      PredictSplit(backbone, data, data.train, TaskLoss(), config, AllViews(data.info));
  TORCH_CHECK(predictions.ok(), predictions.status().ToString());
  return *std::move(predictions);
}

TEST(LabelledTest, Counts) {
  const PreparedData data = PartlyLabelled();
  EXPECT_EQ(CountLabelled(data.conversations[0]), 2);
  EXPECT_EQ(CountLabelled(data.conversations[1]), 0);
  EXPECT_EQ(CountUnlabelled(data, data.train), 4);
  EXPECT_EQ(CountUnlabelled(data, data.test), 0);
  EXPECT_TRUE(CheckHasLabels(data, data.train, "it", "why").ok());
  EXPECT_EQ(CheckHasLabels(data, {1}, "the split", "scores need some").message(),
            "no utterance of the split has a label, and scores need some");
}

TEST(LabelledTest, OnlyLabelledLeavesAWholeBatchAsItIs) {
  const Batch batch = RandomBatch({3, 2});
  ASSERT_FALSE(batch.labelled.defined());
  StubBackbone backbone;
  const auto all = PredictFullAndViews(backbone, batch, AllViews(StubInfo()), {});
  ASSERT_TRUE(all.ok()) << all.status();
  const LossInput same = OnlyLabelled(*all, batch.labelled);
  EXPECT_TRUE(same.full.log_probs.is_same(all->full.log_probs));
  EXPECT_TRUE(same.full.features.is_same(all->full.features));
  EXPECT_TRUE(same.views[1].prediction.log_probs.is_same(all->views[1].prediction.log_probs));
  EXPECT_TRUE(same.labels.is_same(all->labels));

  const LossInput rows = OnlyLabelled(*all, torch::tensor({1, 4}, torch::kInt64));
  EXPECT_TRUE(rows.full.log_probs.equal(
      all->full.log_probs.index_select(0, torch::tensor({1, 4}, torch::kInt64))));
  EXPECT_EQ(rows.full.features.size(0), 2);
  for (const ViewPrediction& view : rows.views) {
    EXPECT_EQ(view.prediction.log_probs.size(0), 2);
    EXPECT_EQ(view.prediction.features.size(0), 2);
  }
  EXPECT_EQ(rows.labels.size(0), 2);
}

// The scores are those of the predictions with the rows of unlabelled utterances deleted.
TEST(LabelledTest, ScoresAreOfLabelledUtterances) {
  const PreparedData data = PartlyLabelled();
  const SplitPredictions all = MustPredict(data, 2);
  ASSERT_EQ(all.labels.size(), 10u);
  EXPECT_EQ(all.log_probs.size(), 30u);

  SplitPredictions labelled = all;
  labelled.labels.clear();
  labelled.log_probs.clear();
  for (auto& view : labelled.view_log_probs) view.clear();
  for (size_t i = 0; i < all.labels.size(); ++i) {
    if (all.labels[i] < 0) continue;
    labelled.labels.push_back(all.labels[i]);
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) {
      labelled.log_probs.push_back(all.log_probs[c]);
      for (size_t v = 0; v < all.view_log_probs.size(); ++v) {
        labelled.view_log_probs[v].push_back(all.view_log_probs[v][c]);
      }
    }
  }
  labelled.lengths = {2, 2, 2};  // of c0, c2 and c3
  const auto expected = ScorePredictions(labelled, data.info);
  const auto scores = ScorePredictions(all, data.info);
  ASSERT_TRUE(expected.ok() && scores.ok()) << expected.status() << scores.status();
  EXPECT_EQ(scores->unlabelled_utterances().value(), 4);
  EXPECT_FALSE(expected->has_unlabelled_utterances());
  SplitReport without_count = *scores;
  without_count.clear_unlabelled_utterances();
  EXPECT_EQ(without_count.SerializeAsString(), expected->SerializeAsString());
  EXPECT_EQ(scores->utterances(), 6);
  EXPECT_EQ(scores->conversations(), 4);

  const Remedy remedy = {"temperature", {2.0}};
  EXPECT_EQ(ScoreRemedy(remedy, all, data.info)->SerializeAsString(),
            ScoreRemedy(remedy, labelled, data.info)->SerializeAsString());
}

TEST(LabelledTest, TheLossIsTheMeanOverBatchesThatHaveLabels) {
  const PreparedData data = PartlyLabelled();
  StubBackbone backbone(0.7F);
  double sum = 0;
  for (const int64_t index : {0, 2, 3}) {
    const Batch batch = data.MakeBatch({index}).value();
    const torch::Tensor log_probs = backbone.Forward(batch)->log_probs;
    double of_conversation = 0;
    int64_t labelled = 0;
    for (int64_t i = 0; i < batch.num_utterances(); ++i) {
      const auto label = batch.labels[i].item<int64_t>();
      if (label == kUnlabelled) continue;
      of_conversation -= log_probs[i][label].item<double>();
      ++labelled;
    }
    sum += of_conversation / static_cast<double>(labelled);
  }
  // Float32 means of at most 4 numbers below 10.
  EXPECT_NEAR(MustPredict(data, 1).loss, sum / 3, 1e-6);
}

TEST(LabelledTest, NothingIsScoredWithoutALabel) {
  PreparedData data = StubData();
  data.train = {1};
  Unlabel(data.conversations[1], {0});
  const SplitPredictions predictions = MustPredict(data, 1);
  EXPECT_EQ(predictions.loss, 0);
  const absl::Status status = ScorePredictions(predictions, data.info).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("no utterance has a label"));
}

TEST(LabelledTest, DifficultyIsOfLabelledUtterances) {
  torch::manual_seed(2);
  Conversation conversation = RandomConversation("c", 5);
  conversation.speakers = torch::tensor({0, 1, 0, 1, 0}, torch::kInt64);
  StubBackbone backbone(0.7F);
  const Batch whole = MakeBatch({conversation}, StubInfo());
  const auto all = PredictFullAndViews(backbone, whole, AllViews(StubInfo()), {});
  ASSERT_TRUE(all.ok()) << all.status();
  double ranking = 0;
  for (const int64_t i : {1, 4}) {
    const auto label = whole.labels[i].item<int64_t>();
    const double full = all->full.log_probs[i][label].item<double>();
    for (const ViewPrediction& view : all->views) {
      ranking += std::max(0.0, view.prediction.log_probs[i][label].item<double>() - full);
    }
  }
  Unlabel(conversation, {0, 2, 3});
  const auto difficulty =
      DifficultyOf(backbone, MakeBatch({conversation}, StubInfo()), CalibrationConfig());
  ASSERT_TRUE(difficulty.ok()) << difficulty.status();
  EXPECT_NEAR(*difficulty, (ranking + 2) / (2 + 2), 4e-6);

  Unlabel(conversation, {1, 4});
  EXPECT_EQ(*DifficultyOf(backbone, MakeBatch({conversation}, StubInfo()), {}), 1);
  PreparedData data = StubData();
  for (const int64_t index : data.train) data.conversations[index].labels.fill_(kUnlabelled);
  EXPECT_THAT(std::string(MeasureDifficulties(backbone, data, {}).status().message()),
              HasSubstr("no utterance of the training split has a label"));
}

TEST(LabelledTest, AnAnswerHasNoTruthWhereThereIsNone) {
  Conversation conversation = RandomConversation("c", 2);
  conversation.labels = torch::tensor({int64_t{2}, kUnlabelled});
  PredictedConversation prediction;
  for (int i = 0; i < 2; ++i) prediction.add_utterances();
  SetSpeakersAndLabels(conversation, StubInfo(), &prediction);
  EXPECT_EQ(prediction.utterances(0).true_label().value(), "sad");
  EXPECT_FALSE(prediction.utterances(1).has_true_label());
  EXPECT_TRUE(prediction.utterances(1).has_speaker());
}

}  // namespace
}  // namespace cmerc
