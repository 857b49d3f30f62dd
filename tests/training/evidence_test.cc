// Training with evidence that is missing or removed, shown to the model or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "calibration/predictor.h"
#include "calibration/random_removal.h"
#include "storage/checkpoint.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kDistillation[] = R"pb(
  losses {
    loss {
      [type.googleapis.com/cmerc.ShrunkDistillationOptions] {}
    }
  }
)pb";

StateDict StateAt(const std::string& path) {
  const auto checkpoint = ReadCheckpoint(path);
  TORCH_CHECK(checkpoint.ok(), checkpoint.status().ToString());
  return checkpoint->state;
}

RunConfig Dropping(double rate, bool flags) {
  RunConfig config = Config(kTask);
  config.mutable_training()->set_drop_evidence(rate);
  config.mutable_calibration()->set_evidence_flags(flags);
  return config;
}

std::string Refusal(const RunConfig& config) {
  const absl::Status status = Train(config, Prepare(config), Folder("refused"), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(DropEvidenceTest, IsDrawnFromTheSeedAndChangesWhatIsLearnt) {
  const TrainedRun first = MustTrain(Dropping(0.4, false), "first");
  const TrainedRun again = MustTrain(Dropping(0.4, false), "again");
  const TrainedRun more = MustTrain(Dropping(0.5, false), "more");
  const TrainedRun plain = MustTrain(Config(kTask), "plain");
  EXPECT_EQ(Bytes(first.folder + "/metrics.jsonl"), Bytes(again.folder + "/metrics.jsonl"));
  EXPECT_TRUE(SameState(first.folder + "/last.pth", again.folder + "/last.pth"));
  EXPECT_NE(Bytes(first.folder + "/metrics.jsonl"), Bytes(more.folder + "/metrics.jsonl"));
  EXPECT_NE(Bytes(first.folder + "/metrics.jsonl"), Bytes(plain.folder + "/metrics.jsonl"));
  // Scores are of all evidence: no answer lacks any.
  EXPECT_FALSE(absl::StrContains(Bytes(first.folder + "/test_predictions.jsonl"), "missing"));
}

// Steps too small to move a weight, and neither dropout nor another order: what is removed is all
// that epochs can differ by.
TEST(DropEvidenceTest, IsAnotherDrawInEveryEpoch) {
  for (const double rate : {0.0, 0.5}) {
    RunConfig config = Dropping(rate, false);
    config.mutable_training()->set_learning_rate(1e-30);
    config.mutable_training()->set_weight_decay(0);
    config.mutable_training()->set_reseed_every_pass(true);
    const std::vector<EpochReport> epochs = Epochs(MustTrain(config, "epochs").folder);
    for (size_t e = 1; e < epochs.size(); ++e) {
      EXPECT_EQ(epochs[e].total_loss() == epochs[0].total_loss(), rate == 0) << e;
    }
  }
}

TEST(EvidenceFlagsTest, LearnFromWhatIsRemovedAndAreInTheCheckpoint) {
  const TrainedRun run = MustTrain(Dropping(0.4, true), "flags");
  const StateDict state = StateAt(run.folder + "/selected.pth");
  for (int m = 0; m < 3; ++m) {
    const std::string name = absl::StrCat("evidence_flags.", m);
    ASSERT_EQ(state.count(name), 1U) << name;
    const torch::Tensor moved = state.at(name).abs().amax(1);
    EXPECT_GT(moved.narrow(0, 0, 3).min().item<float>(), 0) << name;  // modalities went
    EXPECT_EQ(moved.narrow(0, 3, 2).max().item<float>(), 0) << name;  // speakers never did
  }
  // The model is made again as it was, and sees what it is shown.
  auto predictor = Predictor::Load(run.folder + "/selected.pth");
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const auto dataset = Datasets().Create(Config(kTask).data().dataset());
  Conversation conversation = *(*dataset)->Get((*dataset)->split(Split::kTest)[0]);
  const auto whole = predictor->Predict({conversation});
  ASSERT_TRUE(whole.ok()) << whole.status();
  conversation.present = torch::ones({conversation.length(), 3}, torch::kBool);
  conversation.present[0][1] = false;
  const auto lacking = predictor->Predict({conversation});
  ASSERT_TRUE(lacking.ok()) << lacking.status();
  const PredictedUtterance& utterance = (*lacking)[0].utterances(0);
  ASSERT_EQ(utterance.missing().values_size(), 1);
  EXPECT_EQ(utterance.missing().values(0).string_value(), "audio");
  EXPECT_FALSE((*lacking)[0].utterances(1).has_missing());
  EXPECT_NE(utterance.confidence(), (*whole)[0].utterances(0).confidence());
}

TEST(EvidenceFlagsTest, LearnFromViewsThatHaveAGradient) {
  for (const auto weights :
       {CalibrationConfig::LIVE_PAIRED, CalibrationConfig::LIVE_WITH_GRADIENT}) {
    RunConfig config = Config(absl::StrCat(kTask, kDistillation));
    config.mutable_calibration()->set_evidence_flags(true);
    config.mutable_calibration()->set_view_weights(weights);
    config.mutable_training()->set_epochs(1);
    const TrainedRun run = MustTrain(config, "paired");
    for (int m = 0; m < 3; ++m) {
      const torch::Tensor flags =
          StateAt(run.folder + "/last.pth").at(absl::StrCat("evidence_flags.", m));
      EXPECT_GT(flags.abs().amax(1).min().item<float>(), 0) << m;
    }
  }
}

// Of complete data, without views, the flags stay 0 and change no bit.
TEST(EvidenceFlagsTest, TheUncalibratedModelIsThePlainOne) {
  RunConfig config = Config(absl::StrCat(kTask, kDistillation));
  config.mutable_calibration()->set_evidence_flags(true);
  config.mutable_calibration()->set_view_weights(CalibrationConfig::LIVE_PAIRED);
  config.mutable_training()->set_compare_uncalibrated(true);
  const TrainedRun both = MustTrain(config, "both");
  const TrainedRun plain = MustTrain(Config(kTask), "plain");
  EXPECT_EQ(Bytes(both.folder + "/uncalibrated/metrics.jsonl"),
            Bytes(plain.folder + "/metrics.jsonl"));
  EXPECT_EQ(Bytes(both.folder + "/uncalibrated/test_predictions.jsonl"),
            Bytes(plain.folder + "/test_predictions.jsonl"));
  const StateDict expected = StateAt(plain.folder + "/last.pth");
  for (const auto& [name, value] : StateAt(both.folder + "/uncalibrated/last.pth")) {
    if (absl::StartsWith(name, "evidence_flags.")) {
      EXPECT_EQ(value.abs().max().item<float>(), 0);
    } else {
      EXPECT_TRUE(value.equal(expected.at(name))) << name;
    }
  }
}

TEST(EvidenceFlagsTest, AreRefusedWhereTheyWouldLearnNothing) {
  RunConfig config = Config(kTask);
  config.mutable_calibration()->set_evidence_flags(true);
  const std::string why = "calibration.evidence_flags: nothing is ever missing in training";
  EXPECT_THAT(Refusal(config), AllOf(HasSubstr(why), HasSubstr("drop_evidence: 0.2"),
                                     HasSubstr("view_weights: LIVE_PAIRED")));
  config.mutable_calibration()->set_view_weights(CalibrationConfig::LIVE_PAIRED);
  EXPECT_THAT(Refusal(config), HasSubstr(why));  // no loss asks for views
  config = Calibrated();
  config.mutable_calibration()->set_evidence_flags(true);
  EXPECT_THAT(Refusal(config), HasSubstr(why));  // a snapshot predicts them
}

TEST(EvidenceFlagsTest, LearnFromDataThatLacksEvidence) {
  RunConfig config = Config(kTask);
  config.mutable_calibration()->set_evidence_flags(true);
  PreparedData data = Prepare(config);
  std::mt19937 random = RandomOf(1, 0, 0);
  for (const int64_t index : data.train) {
    ASSERT_TRUE(RemoveAtRandom(0.5, data.means, data.info, random, data.conversations[index]).ok());
  }
  const std::string folder = Folder("lacking");
  const auto summary = Train(config, data, folder, {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_GT(StateAt(folder + "/last.pth").at("evidence_flags.1").abs().max().item<float>(), 0);
}

TEST(DropEvidenceTest, IsRefusedWhereNothingCanBeDropped) {
  RunConfig config = Dropping(0.2, false);
  config.mutable_data()->add_modalities("audio");
  EXPECT_THAT(Refusal(config),
              HasSubstr("training.drop_evidence: the data has one modality, audio"));
  config = Dropping(0.2, false);
  config.mutable_training()->set_cuda_graphs(true);
  config.mutable_training()->set_shuffle(false);
  EXPECT_THAT(Refusal(config),
              HasSubstr("training.cuda_graphs: with training.drop_evidence no batch comes again"));
}

// A checkpoint of an earlier version is refused nothing but what needs the means.
void ExpectNeedsMeans(Checkpoint checkpoint) {
  checkpoint.metadata->clear_training_means();
  const std::string path = absl::StrCat(testing::TempDir(), "/without_means.pth");
  ASSERT_TRUE(WriteCheckpoint(path, checkpoint.state, *checkpoint.metadata).ok());
  auto predictor = Predictor::Load(path);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const auto dataset = Datasets().Create(checkpoint.metadata->config().data().dataset());
  Conversation conversation = *(*dataset)->Get(0);
  conversation.present = torch::ones({conversation.length(), 3}, torch::kBool);
  conversation.present[0][2] = false;
  EXPECT_TRUE(predictor->Predict({conversation}).ok());
  conversation.present.select(1, 2).fill_(false);
  EXPECT_THAT(std::string(predictor->Predict({conversation}).status().message()),
              AllOf(HasSubstr("visual is missing in every utterance"), HasSubstr("before 0.2")));
}

// A model of features as they are knows what stands for a modality that is not there at all.
TEST(TrainingMeansTest, AreInTheCheckpointOfAModelWithoutStandardization) {
  for (const bool standardize : {false, true}) {
    RunConfig config = Config(kTask);
    config.mutable_data()->set_standardize(standardize);
    const TrainedRun run = MustTrain(config, "means");
    const auto checkpoint = ReadCheckpoint(run.folder + "/selected.pth");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(checkpoint->metadata->has_training_means(), !standardize);
    if (!standardize) ExpectNeedsMeans(*checkpoint);
    auto predictor = Predictor::Load(run.folder + "/selected.pth");
    ASSERT_TRUE(predictor.ok()) << predictor.status();
    for (size_t m = 0; m < 3; ++m) {
      EXPECT_TRUE(predictor->means()[m][0].equal(run.data.means[m][0]));
    }
    const auto dataset = Datasets().Create(config.data().dataset());
    Conversation conversation = *(*dataset)->Get(0);
    conversation.present = torch::ones({conversation.length(), 3}, torch::kBool);
    conversation.present.select(1, 2).fill_(false);
    const auto prepared = predictor->Prepare(conversation);
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    EXPECT_TRUE(prepared->features[2][0][0].equal(run.data.means[2][0]));
  }
}

}  // namespace
}  // namespace cmerc
