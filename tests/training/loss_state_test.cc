// Losses that remember something from step to step, in whole runs: what they find is reported, and
// kept where a run is interrupted.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/checkpoint.h"
#include "storage/run_folder.h"
#include "tests/bin/files.h"
#include "tests/training/interrupted_run.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Weights from 0, which grow by up to 0.1125 in a step and so stay below their limit.
constexpr char kTargetShare[] = R"pb(
  losses {
    weight: 0.5
    loss {
      [type.googleapis.com/cmerc.TargetShareOptions] {
        target: 0.1
        step_size: 0.125
        utterances: ALL
        loss {
          [type.googleapis.com/
           cmerc.CalibrationRankingOptions] { reduction: MEAN views: "audio" views: "same_speaker" }
        }
      }
    }
  }
)pb";

// NLL, the losses of `losses` and the fields of `more`.
RunConfig ConfigWith(const std::string& losses, const std::string& more) {
  RunConfig fields, config = Config(absl::StrCat(kTask, losses));
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(more, &fields), more);
  config.MergeFrom(fields);
  return config;
}

RunConfig WithTargetShare(const std::string& more = "") { return ConfigWith(kTargetShare, more); }

// The weights after each epoch, by view.
std::vector<std::map<std::string, double>> WeightsIn(const std::string& folder) {
  std::vector<std::map<std::string, double>> weights;
  for (const EpochReport& epoch : Epochs(folder)) {
    const auto& numbers = epoch.losses(1).state().numbers();
    weights.emplace_back(numbers.begin(), numbers.end());
  }
  return weights;
}

TEST(LossStateTest, ARunThatIsInterruptedFindsTheSameWeights) {
  ExpectTheSameBits(WithTargetShare("training { epochs: 3 on_non_finite: SKIP_BATCH }"));
}

TEST(LossStateTest, PairedViewsAfterTheUncalibratedModel) {
  ExpectTheSameBits(
      WithTargetShare("training { epochs: 2 compare_uncalibrated: true } calibration { "
                      "view_weights: LIVE_PAIRED }"));
}

TEST(LossStateTest, TheLogSaysWhatTheWeightsBecame) {
  const TrainedRun run = MustTrain(WithTargetShare(), "weights");
  const auto weights = WeightsIn(run.folder);
  ASSERT_EQ(weights.size(), 4u);
  std::map<std::string, double> before;
  for (const auto& after : weights) {
    ASSERT_EQ(after.size(), 2u);
    EXPECT_EQ(after.count("weight/audio") + after.count("weight/same_speaker"), 2u);
    EXPECT_NE(after, before);
    before = after;
  }
  for (const EpochReport& epoch : Epochs(run.folder)) EXPECT_FALSE(epoch.losses(0).has_state());
  // What is absent for other losses is absent from the line.
  EXPECT_THAT(Lines(run.folder + "/metrics.jsonl")[0],
              AllOf(HasSubstr("{\"loss\":\"cmerc.NllOptions\",\"value\":"),
                    HasSubstr("\"state\":{\"numbers\":{\"weight/audio\":")));
}

// That model has no such loss.
TEST(LossStateTest, TheUncalibratedModelChangesNothing) {
  const TrainedRun alone = MustTrain(WithTargetShare(), "alone");
  const TrainedRun compared =
      MustTrain(WithTargetShare("training { compare_uncalibrated: true }"), "compared");
  EXPECT_EQ(WeightsIn(compared.folder), WeightsIn(alone.folder));
  for (const EpochReport& epoch : Epochs(compared.folder + "/uncalibrated")) {
    EXPECT_EQ(epoch.losses_size(), 1);
  }
}

// With weights of 0 throughout, training is that of the task, bit for bit.
TEST(LossStateTest, ATargetThatIsMetLeavesTheTaskAlone) {
  // All of the some 24 utterances of the one step surer at once would not meet it.
  const std::string one_step = "training { batch_size: 6 }";
  const TrainedRun met = MustTrain(
      ConfigWith("losses { loss { [type.googleapis.com/cmerc.TargetShareOptions] { target: 0.999 "
                 "utterances: ALL } } }",
                 one_step),
      "met");
  const TrainedRun task = MustTrain(ConfigWith("", one_step), "task");
  for (const auto& after : WeightsIn(met.folder)) {
    EXPECT_EQ(after.size(), 5u);
    for (const auto& [view, weight] : after) EXPECT_EQ(weight, 0) << view;
  }
  EXPECT_TRUE(SameState(met.folder + "/last.pth", task.folder + "/last.pth"));
}

TEST(LossStateTest, CudaGraphsAreRefused) {
  RunConfig config = WithTargetShare("training { cuda_graphs: true shuffle: false }");
  const absl::Status status = Train(config, Prepare(config), NewFolder(), {}, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("training.cuda_graphs: cmerc.TargetShareOptions changes from step to step, "
                        "and what is replayed does not; leave one of them out"));
}

TEST(LossStateTest, AStateThatDoesNotFitIsRefused) {
  const RunConfig config = WithTargetShare();
  const PreparedData data = Prepare(config);
  const std::string folder = NewFolder(), path = ResumeFile(folder);
  ASSERT_TRUE(absl::IsCancelled(RunTraining(config, data, folder, false, 4)));
  const Checkpoint good = *ReadCheckpoint(path);
  EXPECT_GT(good.state.at("loss/1/weight/audio").item<double>(), 0);
  const std::string name = "loss/1/weight/same_speaker";
  const std::map<std::string, std::function<void(StateDict*)>> changes = {
      {"has no tensor " + name, [&](StateDict* state) { state->erase(name); }},
      {"tensor " + name + " is of type Float, want Double",
       [&](StateDict* state) { (*state)[name] = torch::zeros({}); }},
      {"tensor " + name + " is not of the shape that cmerc.TargetShareOptions has",
       [&](StateDict* state) { (*state)[name] = torch::zeros({2}, torch::kFloat64); }}};
  for (const auto& [says, change] : changes) {
    StateDict state = good.state;
    change(&state);
    ASSERT_TRUE(WriteCheckpoint(path, state, *good.metadata).ok());
    const absl::Status status = RunTraining(config, data, folder, true);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path), HasSubstr(says)));
  }
}

}  // namespace
}  // namespace cmerc
