// What the trainer's options do to whole runs of a tiny M3Net.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Four epochs of three steps at a rate of 0.01.
RunConfig Plain() { return Config(kTask); }

// The same with these fields of training as well.
RunConfig With(const std::string& training) {
  RunConfig config = Plain();
  TrainingConfig more;
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(training, &more), training);
  config.mutable_training()->MergeFrom(more);
  return config;
}

std::vector<double> Rates(const std::string& folder) {
  std::vector<double> rates;
  for (const EpochReport& epoch : Epochs(folder)) {
    EXPECT_TRUE(epoch.has_learning_rate());
    rates.push_back(epoch.learning_rate().value());
  }
  return rates;
}

StateDict StateIn(const std::string& folder, const std::string& file) {
  return ReadCheckpoint(absl::StrCat(folder, "/", file))->state;
}

TEST(ScheduleTest, AConstantOneGivesTheBitsOfNone) {
  RunConfig config = Plain();
  config.mutable_training()->mutable_learning_rate_schedule()->set_type_url(
      "type.googleapis.com/cmerc.ConstantRateOptions");
  const TrainedRun with = MustTrain(config, "with"), without = MustTrain(Plain(), "without");
  EXPECT_TRUE(SameState(with.folder + "/last.pth", without.folder + "/last.pth"));
  EXPECT_THAT(Rates(with.folder), ElementsAre(0.01, 0.01, 0.01, 0.01));
  EXPECT_THAT(Bytes(without.folder + "/metrics.jsonl"), Not(HasSubstr("learning_rate")));
}

TEST(ScheduleTest, TheRateIsThatOfEveryStep) {
  const TrainedRun run = MustTrain(With(R"pb(
                                     learning_rate_schedule {
                                       [type.googleapis.com/cmerc.LinearRateOptions] {}
                                     }
                                   )pb"),
                                   "linear");
  // Twelve steps; each epoch's last one begins after 2, 5, 8 and 11 of them.
  EXPECT_THAT(Rates(run.folder), ElementsAre(testing::DoubleNear(0.01 * 10 / 12, 1e-15),
                                             testing::DoubleNear(0.01 * 7 / 12, 1e-15),
                                             testing::DoubleNear(0.01 * 4 / 12, 1e-15),
                                             testing::DoubleNear(0.01 * 1 / 12, 1e-15)));
  EXPECT_FALSE(
      SameState(run.folder + "/last.pth", MustTrain(Plain(), "none").folder + "/last.pth"));
}

// What the validation split says reaches the schedule: no score is better by more than 2.
TEST(ScheduleTest, APlateauSeesTheScoresOfTheEpochs) {
  const TrainedRun run = MustTrain(
      With(R"pb(
        learning_rate_schedule {
          [type.googleapis.com/cmerc.PlateauRateOptions] { patience: 0 gamma: 0.5 threshold: 2 }
        }
      )pb"),
      "plateau");
  EXPECT_THAT(Rates(run.folder), ElementsAre(0.01, 0.01, 0.005, 0.0025));
}

TEST(AdamWTest, WithoutDecayIsAdamAndWithItIsNot) {
  const auto bytes = [](const std::string& training) {
    return Bytes(MustTrain(With(training), "adamw").folder + "/metrics.jsonl");
  };
  EXPECT_EQ(bytes("weight_decay: 0 optimizer: ADAMW"), bytes("weight_decay: 0"));
  EXPECT_NE(bytes("weight_decay: 0.1 optimizer: ADAMW"), bytes("weight_decay: 0.1"));
}

TEST(AverageTest, WhatIsScoredAndSavedIsTheAverageAndTrainingGoesOnWithout) {
  // Of decay 1e-9 the average is all but the weights themselves.
  const TrainedRun plain = MustTrain(Plain(), "plain");
  const TrainedRun light = MustTrain(With("ema_decay: 1e-9"), "light");
  const TrainedRun heavy = MustTrain(With("ema_decay: 0.9"), "heavy");
  const std::vector<EpochReport> want = Epochs(plain.folder), got = Epochs(heavy.folder);
  for (size_t e = 0; e < want.size(); ++e) {
    EXPECT_EQ(got[e].total_loss(), want[e].total_loss()) << "epoch " << e;
    EXPECT_NE(got[e].valid().loss(), want[e].valid().loss()) << "epoch " << e;
  }
  const StateDict weights = StateIn(plain.folder, "last.pth");
  const StateDict nearly = StateIn(light.folder, "last.pth");
  const StateDict average = StateIn(heavy.folder, "last.pth");
  const std::string name = "smax_fc.weight";
  EXPECT_LE((nearly.at(name) - weights.at(name)).abs().max().item<double>(), 1e-6);
  EXPECT_FALSE(average.at(name).equal(weights.at(name)));
  // The selected file gives the scores of the summary.
  const auto model = MakeBackbone(Plain(), heavy.data.info);
  ASSERT_TRUE(LoadState(StateIn(heavy.folder, "selected.pth"), **model, "").ok());
  EXPECT_EQ(heavy.summary.valid().loss(), got[heavy.summary.selected_epoch() - 1].valid().loss());
}

TEST(StartTest, ARunStartsWithTheWeightsOfAnother) {
  const TrainedRun first = MustTrain(Plain(), "first");
  // Steps too small to move a weight: what is saved is what it started with.
  RunConfig config = With(absl::StrCat("init_checkpoint: '", first.folder,
                                       "/last.pth' learning_rate: 1e-30 weight_decay: 0"));
  const TrainedRun second = MustTrain(config, "second");
  const StateDict begun = StateIn(first.folder, "last.pth");
  const StateDict ended = StateIn(second.folder, "last.pth");
  EXPECT_TRUE(ended.at("smax_fc.weight").equal(begun.at("smax_fc.weight")));
  EXPECT_EQ(second.summary.start().checkpoint(), first.folder + "/last.pth");
  EXPECT_EQ(second.summary.start().epoch(), 4);
  EXPECT_EQ(second.summary.start().tensors(), static_cast<int>(begun.size()));
  EXPECT_THAT(second.summary.start().fresh(), IsEmpty());
  EXPECT_FALSE(first.summary.has_start());

  config.mutable_training()->add_init_skip("smax_fc.*");
  const TrainedRun third = MustTrain(config, "third");
  const StateDict skipped = StateIn(third.folder, "last.pth");
  EXPECT_FALSE(skipped.at("smax_fc.weight").equal(begun.at("smax_fc.weight")));
  EXPECT_THAT(third.summary.start().fresh(), ElementsAre("smax_fc.bias", "smax_fc.weight"));
}

TEST(StartTest, BothModelsOfAComparisonStartAlike) {
  const TrainedRun first = MustTrain(Plain(), "start");
  RunConfig config = Calibrated();
  config.mutable_training()->set_compare_uncalibrated(true);
  config.mutable_training()->set_init_checkpoint(first.folder + "/selected.pth");
  const TrainedRun both = MustTrain(config, "both");
  EXPECT_EQ(both.summary.start().tensors(), both.summary.uncalibrated().start().tensors());
  RunConfig alone = Plain();
  alone.mutable_training()->set_init_checkpoint(first.folder + "/selected.pth");
  EXPECT_TRUE(SameState(both.folder + "/uncalibrated/last.pth",
                        MustTrain(alone, "alone").folder + "/last.pth"));
}

TEST(StartTest, WhatDoesNotFitIsSaidBeforeAnythingIsTrainedWithAllElse) {
  const TrainedRun first = MustTrain(Plain(), "fits");
  RunConfig config = Config(kTask, R"pb(
    backbone {
      [type.googleapis.com/cmerc.M3NetOptions] {
        input_width: 8
        graph_width: 10
        hypergraph_layers: 1
        high_frequency_layers: 1
      }
    }
  )pb");
  config.mutable_training()->set_init_checkpoint(first.folder + "/last.pth");
  config.mutable_training()->mutable_learning_rate_schedule()->set_type_url(
      "type.googleapis.com/cmerc.NllOptions");
  const std::string folder = Folder("does_not_fit");
  const absl::Status status = Train(config, Prepare(config), folder, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("training.learning_rate_schedule: "),
                    HasSubstr("graph_model.fc1.bias has shape [6], want [10]"),
                    HasSubstr("smax_fc.weight has shape ")));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(PatienceTest, WaitsUntilTheCurriculumHasOpened) {
  // Nothing moves, so no epoch is better than the first; epochs of 2, 4, 6, 6, ... conversations.
  RunConfig config = Config(absl::StrCat(kTask, kCurriculum));
  config.mutable_training()->set_learning_rate(1e-30);
  config.mutable_training()->set_weight_decay(0);
  config.mutable_training()->set_patience(1);
  config.mutable_training()->set_epochs(8);
  config.mutable_training()->set_compare_uncalibrated(true);
  config.mutable_training()->set_select_by(TrainingConfig::ACCURACY);
  const TrainedRun run = MustTrain(config, "curriculum");
  const int selected = run.summary.selected_epoch();
  EXPECT_EQ(run.summary.stopped_early().value(), std::max(3, selected + 1));
  const RunSummary& uncalibrated = run.summary.uncalibrated();
  EXPECT_EQ(uncalibrated.stopped_early().value(), uncalibrated.selected_epoch() + 1);
}

}  // namespace
}  // namespace cmerc
