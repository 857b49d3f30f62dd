// Utterances without a label are context: no loss, no step and no score sees them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/labelled.h"
#include "calibration/predict_views.h"
#include "calibration/prediction.pb.h"
#include "calibration/weighted_losses.h"
#include "tests/calibration/stub.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/train_step.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void Unlabel(Conversation& conversation, const std::vector<int64_t>& utterances) {
  conversation.labels = conversation.labels.clone();
  for (const int64_t i : utterances) conversation.labels[i] = kUnlabelled;
}

void UnlabelAll(Conversation& conversation) {
  conversation.labels = torch::full_like(conversation.labels, kUnlabelled);
}

RunSummary MustTrainOn(const RunConfig& config, const PreparedData& data,
                       const std::string& folder) {
  absl::StatusOr<RunSummary> summary = Train(config, data, folder, {{"cmerc", "test"}});
  TORCH_CHECK(summary.ok(), summary.status().ToString());
  return *std::move(summary);
}

// Batches of 2, in the order of the files.
RunConfig InOrder(CalibrationConfig::Weights weights) {
  RunConfig config = Calibrated();
  config.mutable_training()->set_shuffle(false);
  config.mutable_training()->set_epochs(2);
  config.mutable_calibration()->set_view_weights(weights);
  return config;
}

TEST(UnlabelledTest, BatchesWithoutLabelsChangeNoWeight) {
  for (const auto weights : {CalibrationConfig::EPOCH_SNAPSHOT, CalibrationConfig::LIVE_PAIRED}) {
    SCOPED_TRACE(CalibrationConfig::Weights_Name(weights));
    const RunConfig config = InOrder(weights);
    const PreparedData data = Prepare(config);
    ASSERT_EQ(data.train.size(), 6u);
    const std::string plain = Folder("plain");
    const RunSummary expected = MustTrainOn(config, data, plain);
    EXPECT_FALSE(expected.has_steps_without_labels());
    EXPECT_FALSE(expected.train().has_unlabelled_utterances());

    PreparedData more = data;
    std::vector<int64_t> added;
    int64_t utterances = 0;
    for (const int64_t copied : {data.train[1], data.train[4]}) {
      added.push_back(static_cast<int64_t>(more.conversations.size()));
      Conversation conversation = data.conversations[copied];
      conversation.id += "_again";
      UnlabelAll(conversation);
      utterances += conversation.length();
      more.conversations.push_back(std::move(conversation));
    }
    for (const size_t place : {0, 2, 6}) {
      SCOPED_TRACE(place);
      more.train = data.train;
      more.train.insert(more.train.begin() + place, added.begin(), added.end());
      const std::string folder = Folder("more");
      const RunSummary summary = MustTrainOn(config, more, folder);
      EXPECT_TRUE(SameState(plain + "/last.pth", folder + "/last.pth"));
      EXPECT_TRUE(SameState(plain + "/selected.pth", folder + "/selected.pth"));
      EXPECT_EQ(summary.steps_without_labels().value(), 2);  // one in each of two epochs
      EXPECT_EQ(summary.train().unlabelled_utterances().value(), utterances);
      EXPECT_EQ(summary.train().utterances(), expected.train().utterances());
      EXPECT_EQ(summary.train().weighted_f1(), expected.train().weighted_f1());
      EXPECT_EQ(summary.test().SerializeAsString(), expected.test().SerializeAsString());
      const std::vector<EpochReport> epochs = Epochs(folder);
      const std::vector<EpochReport> epochs_before = Epochs(plain);
      ASSERT_EQ(epochs.size(), 2u);
      for (size_t e = 0; e < epochs.size(); ++e) {
        EXPECT_EQ(epochs[e].steps(), 4);
        EXPECT_EQ(epochs[e].steps_without_labels().value(), 1);
        EXPECT_EQ(epochs[e].total_loss(), epochs_before[e].total_loss());
        EXPECT_EQ(epochs[e].train_weighted_f1(), epochs_before[e].train_weighted_f1());
      }
    }
  }
}

TEST(UnlabelledTest, ALossOfAPartlyLabelledBatchIsThatOfItsLabelledRows) {
  torch::manual_seed(3);
  std::vector<Conversation> conversations = {RandomConversation("a", 4),
                                             RandomConversation("b", 3)};
  const Batch whole = MakeBatch(conversations, StubInfo());
  Unlabel(conversations[0], {1, 2});
  Unlabel(conversations[1], {0});
  const Batch batch = MakeBatch(conversations, StubInfo());
  for (const auto weights : {CalibrationConfig::LIVE, CalibrationConfig::LIVE_PAIRED}) {
    SCOPED_TRACE(CalibrationConfig::Weights_Name(weights));
    RunConfig config = Calibrated();
    config.mutable_calibration()->set_view_weights(weights);
    const auto losses = MakeLosses(config, StubInfo());
    ASSERT_TRUE(losses.ok()) << losses.status();
    StubBackbone backbone(0.7F);
    // The rows of the fully labelled batch that are labelled here.
    const auto all = PredictFullAndViews(backbone, whole, ViewsOf(*losses), config.calibration());
    ASSERT_TRUE(all.ok()) << all.status();
    const LossInput rows = OnlyLabelled(*all, torch::tensor({0, 3, 5, 6}, torch::kInt64));
    torch::optim::SGD optimizer(backbone.parameters(), torch::optim::SGDOptions(0.1));
    const StepContext context{backbone,         backbone, optimizer, *losses, config.calibration(),
                              config.training()};
    const auto step = TrainStep(context, batch);
    ASSERT_TRUE(step.ok()) << step.status();
    ASSERT_EQ(step->losses.size(), losses->size());
    for (size_t i = 0; i < losses->size(); ++i) {
      const auto expected = (*losses)[i].loss->Compute(rows);
      ASSERT_TRUE(expected.ok()) << expected.status();
      // The same float32 numbers, summed in the same order.
      EXPECT_NEAR(step->losses[i], expected->item<double>(), 1e-6) << (*losses)[i].name;
    }
    EXPECT_EQ(step->predicted.size(), 4u);
    EXPECT_EQ(step->input.labels.size(0), 4);
    EXPECT_NE(backbone.gain.item<float>(), 0.7F) << "the step was not taken";
  }
}

TEST(UnlabelledTest, ABatchWithoutLabelsIsNoStep) {
  Conversation conversation = RandomConversation("a", 3);
  UnlabelAll(conversation);
  const auto losses = MakeLosses(Calibrated(), StubInfo());
  ASSERT_TRUE(losses.ok()) << losses.status();
  StubBackbone backbone;
  torch::optim::SGD optimizer(backbone.parameters(), torch::optim::SGDOptions(0.1));
  const absl::Status status =
      TrainStep({backbone, backbone, optimizer, *losses}, MakeBatch({conversation}, StubInfo()))
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("no utterance of the batch has a label"));
  EXPECT_TRUE(backbone.passes.empty());
}

TEST(UnlabelledTest, ACurriculumOfPartlyLabelledConversations) {
  RunConfig config = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  config.mutable_training()->set_compare_uncalibrated(true);
  PreparedData data = Prepare(config);
  for (const int64_t index : data.train) Unlabel(data.conversations[index], {0});
  UnlabelAll(data.conversations[data.train[2]]);
  const std::string folder = Folder("curriculum");
  const RunSummary summary = MustTrainOn(config, data, folder);
  EXPECT_TRUE(std::isfinite(summary.train().loss()));
  const auto curriculum = FromJson<CurriculumReport>(Bytes(folder + "/curriculum.json"));
  EXPECT_EQ(curriculum.conversations(2).difficulty(), 1);
  for (const EpochReport& epoch : Epochs(folder)) EXPECT_TRUE(std::isfinite(epoch.total_loss()));
}

// Every utterance is predicted and has a row; those without a label have no truth.
TEST(UnlabelledTest, FilesOfTheTestSplitKeepTheirRows) {
  const RunConfig config = InOrder(CalibrationConfig::LIVE);
  PreparedData data = Prepare(config);
  ASSERT_EQ(data.test.size(), 3u);
  Unlabel(data.conversations[data.test[0]], {1});
  UnlabelAll(data.conversations[data.test[1]]);
  const std::string folder = Folder("rows");
  const RunSummary summary = MustTrainOn(config, data, folder);
  const std::vector<std::string> predictions = Lines(folder + "/test_predictions.jsonl");
  const std::vector<std::string> views = Lines(folder + "/test_views.jsonl");
  ASSERT_EQ(predictions.size(), 3u);
  ASSERT_EQ(views.size(), 3u);
  int unlabelled = 0;
  for (size_t i = 0; i < views.size(); ++i) {
    const Conversation& conversation = data.conversations[data.test[i]];
    const auto predicted = FromJson<PredictedConversation>(predictions[i]);
    const auto of_views = FromJson<ConversationViews>(views[i]);
    ASSERT_EQ(predicted.utterances_size(), conversation.length());
    ASSERT_EQ(of_views.log_probs().values_size(), conversation.length());
    for (int u = 0; u < predicted.utterances_size(); ++u) {
      const bool has_label = conversation.labels[u].item<int64_t>() != kUnlabelled;
      unlabelled += has_label ? 0 : 1;
      EXPECT_EQ(predicted.utterances(u).has_true_label(), has_label);
      EXPECT_EQ(predicted.utterances(u).probabilities_size(), 3);
      EXPECT_EQ(of_views.log_probs().values(u).has_null_value(), !has_label);
      // The most probable class is one with and without a label.
      EXPECT_NEAR(std::exp(of_views.largest_log_probs().values(u).number_value()),
                  predicted.utterances(u).confidence(), 1e-6);
      for (const LogProbsWithout& view : of_views.without()) {
        EXPECT_EQ(view.log_probs().values(u).has_null_value(), !has_label);
      }
    }
  }
  EXPECT_THAT(views[1], HasSubstr("\"log_probs\":[null"));
  EXPECT_EQ(summary.test().unlabelled_utterances().value(), unlabelled);
}

TEST(UnlabelledTest, ASplitWithoutLabelsIsRefused) {
  const RunConfig config = InOrder(CalibrationConfig::LIVE);
  const PreparedData data = Prepare(config);
  const auto error = [&](const std::vector<std::vector<int64_t>>& splits) {
    PreparedData spoiled = data;
    for (const std::vector<int64_t>& split : splits) {
      for (const int64_t index : split) UnlabelAll(spoiled.conversations[index]);
    }
    const absl::Status status = Train(config, spoiled, Folder("refused"), {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error({data.train}),
              HasSubstr("no utterance of the training split has a label, and there is nothing else "
                        "to learn from"));
  EXPECT_THAT(
      error({data.valid, data.test}),
      AllOf(HasSubstr("no utterance of the validation split has a label, and it selects the "
                      "epoch; hold a part of the training split out"),
            HasSubstr("no utterance of the test split has a label, and it is scored; leave "
                      "its conversations out")));
  RunConfig official = config;
  official.mutable_data()->set_protocol(DataConfig::OFFICIAL);
  PreparedData spoiled = Prepare(official);
  for (const int64_t index : spoiled.test) UnlabelAll(spoiled.conversations[index]);
  EXPECT_THAT(std::string(Train(official, spoiled, Folder("refused"), {}).status().message()),
              HasSubstr("it selects the epoch; set data { protocol: HELD_OUT }"));
}

}  // namespace
}  // namespace cmerc
