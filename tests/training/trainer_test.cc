// Whole runs: a tiny M3Net on a few generated conversations.
#include "training/trainer.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "calibration/difficulty.h"
#include "config/loader.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/host_device/host_device.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(MakeBackboneTest, WeightsAreTheSeeds) {
  RunConfig config = Calibrated();
  const PreparedData data = Prepare(config);
  const StateDict first = StateOf(**MakeBackbone(config, data.info));
  torch::rand({5});
  const StateDict second = StateOf(**MakeBackbone(config, data.info));
  config.mutable_training()->set_seed(4);
  const StateDict other = StateOf(**MakeBackbone(config, data.info));
  EXPECT_TRUE(first.at("linear_a.weight").equal(second.at("linear_a.weight")));
  EXPECT_FALSE(first.at("linear_a.weight").equal(other.at("linear_a.weight")));
}

TEST(TrainTest, WritesItsFiles) {
  const RunConfig config = Calibrated();
  const TrainedRun run = MustTrain(config, "files");
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(run.folder)) {
    files.push_back(entry.path().filename());
  }
  EXPECT_THAT(files, testing::UnorderedElementsAre(
                         "config.textproto", "metrics.jsonl", "timing.jsonl", "summary.json",
                         "test_predictions.jsonl", "test_views.jsonl", "selected.pth", "last.pth"));

  const std::vector<EpochReport> epochs = Epochs(run.folder);
  ASSERT_THAT(epochs, SizeIs(4));
  for (int e = 0; e < 4; ++e) {
    EXPECT_EQ(epochs[e].epoch(), e + 1);
    EXPECT_EQ(epochs[e].conversations(), 6);
    EXPECT_EQ(epochs[e].steps(), 3);
    ASSERT_EQ(epochs[e].losses_size(), 2);
    EXPECT_EQ(epochs[e].losses(0).loss(), "cmerc.NllOptions");
    EXPECT_EQ(epochs[e].losses(1).loss(), "cmerc.CalibrationRankingOptions");
    // Float32 sums of a few numbers, averaged in double.
    EXPECT_NEAR(epochs[e].total_loss(),
                epochs[e].losses(0).value() + 0.3 * epochs[e].losses(1).value(), 1e-5);
    EXPECT_TRUE(epochs[e].has_valid());
    EXPECT_FALSE(epochs[e].has_test());
    EXPECT_EQ(epochs[e].valid().conversations(), 3);
    EXPECT_GT(epochs[e].valid().calibration().nll(), 0);
    EXPECT_EQ(epochs[e].valid().calibration().bins_size(), 0);
  }
  EXPECT_LT(epochs[3].losses(0).value(), epochs[0].losses(0).value());
  const std::vector<std::string> timing = Lines(run.folder + "/timing.jsonl");
  ASSERT_THAT(timing, SizeIs(4));
  EXPECT_THAT(timing[3],
              AllOf(HasSubstr("{\"epoch\":4,\"train_seconds\":"), HasSubstr("\"total_seconds\":"),
                    HasSubstr("\"peak_memory_bytes\":")));
  const auto slowest = FromJson<TimingReport>(timing[3]).slowest_step();
  EXPECT_GT(slowest.seconds(), 0);
  EXPECT_EQ(slowest.conversations_size(), 2);
  EXPECT_GE(slowest.utterances(), 4);  // two conversations of 2 to 6

  const RunSummary& summary = run.summary;
  EXPECT_TRUE(MessageDifferencer::Equals(FromJson<RunSummary>(Bytes(run.folder + "/summary.json")),
                                         summary));
  EXPECT_EQ(summary.protocol(), "HELD_OUT (the validation split selects the epoch)");
  EXPECT_EQ(summary.seed(), 3U);
  EXPECT_EQ(summary.versions().at("cmerc"), "test");
  EXPECT_EQ(summary.backbone(), "cmerc.M3NetOptions");
  EXPECT_EQ(summary.train().conversations(), 6);
  EXPECT_EQ(summary.test().conversations(), 3);
  EXPECT_EQ(summary.test().views_size(), 5);
  EXPECT_FALSE(summary.has_uncalibrated());
  int64_t parameters = 0;
  for (const auto& p : (*MakeBackbone(config, run.data.info))->parameters())
    parameters += p.numel();
  EXPECT_EQ(summary.parameters(), parameters);

  const auto last = ReadCheckpoint(run.folder + "/last.pth");
  const auto selected = ReadCheckpoint(run.folder + "/selected.pth");
  ASSERT_TRUE(last.ok() && selected.ok()) << last.status() << selected.status();
  EXPECT_EQ(last->metadata->epoch(), 4);
  EXPECT_EQ(selected->metadata->epoch(), summary.selected_epoch());
  EXPECT_TRUE(MessageDifferencer::Equals(selected->metadata->config(), WithDefaults(config)));
  EXPECT_TRUE(MessageDifferencer::Equals(selected->metadata->dataset(), Describe(run.data.info)));
  EXPECT_TRUE(
      MessageDifferencer::Equals(selected->metadata->standardization(), *run.data.standardization));
  EXPECT_EQ(selected->metadata->versions().at("cmerc"), "test");
}

TEST(TrainTest, TheSameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  RunConfig config = Calibrated();
  const TrainedRun first = MustTrain(config, "first");
  const TrainedRun second = MustTrain(config, "second");
  for (const std::string file : {"metrics.jsonl", "summary.json", "test_predictions.jsonl",
                                 "test_views.jsonl", "selected.pth", "last.pth"}) {
    EXPECT_EQ(Bytes(first.folder + "/" + file), Bytes(second.folder + "/" + file)) << file;
  }
  config.mutable_training()->set_seed(4);
  const TrainedRun other = MustTrain(config, "other");
  EXPECT_NE(Bytes(first.folder + "/metrics.jsonl"), Bytes(other.folder + "/metrics.jsonl"));
}

// With the batch of the next step under way while one is taken.
TEST(TrainTest, LearnsTheSameOnAnotherDevice) {
  const RunConfig config =
      Config(absl::StrCat(kTask, kRanking), absl::StrReplaceAll(kModel, {{"0.3", "0"}}));
  const TrainedRun expected = MustTrain(config, "on_cpu");
  PreparedData data = Prepare(config);
  data.device = HostDevice();
  const std::string folder = Folder("on_device");
  const auto summary = Train(config, data, folder, {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::vector<EpochReport> got = Epochs(folder), want = Epochs(expected.folder);
  ASSERT_EQ(got.size(), want.size());
  for (size_t e = 0; e < want.size(); ++e) {
    // The CPU has kernels of its own, whose rounding a dozen steps of Adam carry on.
    EXPECT_NEAR(got[e].total_loss(), want[e].total_loss(), 1e-4) << "epoch " << e;
  }
  const absl::StatusOr<Checkpoint> last = ReadCheckpoint(folder + "/last.pth");
  ASSERT_TRUE(last.ok()) << last.status();
  for (const auto& [name, tensor] : last->state) {
    EXPECT_TRUE(tensor.is_cpu()) << name;
  }
}

TEST(TrainTest, Bf16TrainsOnRoundedProductsAndKeepsFloat32) {
  RunConfig config = Calibrated();
  const TrainedRun wide = MustTrain(config, "float32");
  config.mutable_training()->set_precision(TrainingConfig::BF16);
  const TrainedRun rounded = MustTrain(config, "bf16");
  const double difference =
      std::abs(Epochs(rounded.folder)[0].total_loss() - Epochs(wide.folder)[0].total_loss());
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 0.05);
  const absl::StatusOr<Checkpoint> last = ReadCheckpoint(rounded.folder + "/last.pth");
  ASSERT_TRUE(last.ok()) << last.status();
  for (const auto& [name, tensor] : last->state) {
    EXPECT_NE(tensor.scalar_type(), torch::kBFloat16) << name;
  }
}

TEST(TrainTest, TheWeightsOfTheViewsMatter) {
  RunConfig config = Calibrated();
  std::set<std::string> metrics;
  for (const auto weights : {CalibrationConfig::EPOCH_SNAPSHOT, CalibrationConfig::LIVE,
                             CalibrationConfig::LIVE_WITH_GRADIENT}) {
    config.mutable_calibration()->set_view_weights(weights);
    metrics.insert(Bytes(MustTrain(config, "weights").folder + "/metrics.jsonl"));
  }
  EXPECT_THAT(metrics, SizeIs(3));
}

TEST(TrainTest, ALossOfWeightZeroLeavesTheSameBits) {
  RunConfig zero = Calibrated();
  zero.mutable_losses(1)->set_weight(0);
  const TrainedRun without = MustTrain(Config(kTask), "without");
  const TrainedRun with = MustTrain(zero, "with");
  EXPECT_EQ(Bytes(without.folder + "/metrics.jsonl"), Bytes(with.folder + "/metrics.jsonl"));
  EXPECT_TRUE(SameState(without.folder + "/last.pth", with.folder + "/last.pth"));
  EXPECT_TRUE(MessageDifferencer::Equals(without.summary.test(), with.summary.test()));
  EXPECT_EQ(without.summary.test().views_size(), 5);
}

TEST(TrainTest, ComparisonIsTwoRunsOfTheirOwn) {
  RunConfig config = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  config.mutable_training()->set_compare_uncalibrated(true);
  const TrainedRun both = MustTrain(config, "both");
  const std::string uncalibrated = both.folder + "/uncalibrated";

  const TrainedRun plain = MustTrain(Config(kTask), "plain");
  EXPECT_EQ(Bytes(uncalibrated + "/metrics.jsonl"), Bytes(plain.folder + "/metrics.jsonl"));
  EXPECT_EQ(Bytes(uncalibrated + "/test_predictions.jsonl"),
            Bytes(plain.folder + "/test_predictions.jsonl"));
  EXPECT_TRUE(SameState(uncalibrated + "/selected.pth", plain.folder + "/selected.pth"));
  EXPECT_TRUE(SameState(uncalibrated + "/last.pth", plain.folder + "/last.pth"));
  ASSERT_TRUE(both.summary.has_uncalibrated());
  EXPECT_TRUE(MessageDifferencer::Equals(
      FromJson<RunSummary>(Bytes(uncalibrated + "/summary.json")), both.summary.uncalibrated()));
  EXPECT_TRUE(MessageDifferencer::Equals(both.summary.uncalibrated(), plain.summary));

  // The calibrated half is what a run with the uncalibrated model's difficulties gives, whether
  // they come from its checkpoint or from a file.
  RunConfig from_checkpoint = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  from_checkpoint.mutable_curriculum()->set_difficulty_checkpoint(plain.folder + "/selected.pth");
  const TrainedRun calibrated = MustTrain(from_checkpoint, "calibrated");
  EXPECT_EQ(Bytes(both.folder + "/metrics.jsonl"), Bytes(calibrated.folder + "/metrics.jsonl"));
  EXPECT_TRUE(SameState(both.folder + "/last.pth", calibrated.folder + "/last.pth"));
  EXPECT_NE(Bytes(both.folder + "/metrics.jsonl"), Bytes(uncalibrated + "/metrics.jsonl"));

  const auto backbone = MakeBackbone(Config(kTask), plain.data.info);
  ASSERT_TRUE(
      LoadState(ReadCheckpoint(plain.folder + "/selected.pth")->state, **backbone, "").ok());
  const auto table = MeasureDifficulties(**backbone, plain.data, CalibrationConfig());
  ASSERT_TRUE(table.ok()) << table.status();
  const std::string file = plain.folder + "/difficulty.json";
  ASSERT_TRUE(WriteDifficulties(file, {*table, {}}, false).ok());
  RunConfig from_file = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  from_file.mutable_curriculum()->set_difficulty_file(file);
  EXPECT_EQ(Bytes(MustTrain(from_file, "from_file").folder + "/metrics.jsonl"),
            Bytes(both.folder + "/metrics.jsonl"));
}

// Easiest first, or last.
RunConfig WithDifficulties(const std::string& name, bool easiest_first) {
  RunConfig config = Config(absl::StrCat(kTask, kCurriculum));
  const PreparedData data = Prepare(config);
  DifficultyTable table;
  for (const int64_t i : data.train) {
    const auto rank = static_cast<float>(table.size());
    table.emplace_back(data.conversations[i].id, easiest_first ? rank : -rank);
  }
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  TORCH_CHECK(WriteDifficulties(path, {table, {}}, false).ok());
  config.mutable_curriculum()->set_difficulty_file(path);
  return config;
}

TEST(TrainTest, TheCurriculumSaysHowManyConversationsAnEpochHas) {
  std::vector<std::string> metrics;
  for (const bool easiest_first : {true, false}) {
    const TrainedRun run = MustTrain(WithDifficulties("order.json", easiest_first), "curriculum");
    std::vector<int> conversations;
    std::vector<int> steps;
    for (const EpochReport& epoch : Epochs(run.folder)) {
      conversations.push_back(epoch.conversations());
      steps.push_back(epoch.steps());
    }
    EXPECT_THAT(conversations, ElementsAre(2, 4, 6, 6));
    EXPECT_THAT(steps, ElementsAre(1, 2, 3, 3));
    metrics.push_back(Lines(run.folder + "/metrics.jsonl")[0]);
    const auto curriculum = FromJson<CurriculumReport>(Bytes(run.folder + "/curriculum.json"));
    EXPECT_THAT(curriculum.difficulties_from(), HasSubstr("order.json"));
    ASSERT_EQ(curriculum.conversations_size(), 6);
    for (int i = 0; i < 6; ++i) {
      const CurriculumConversation& entry = curriculum.conversations(i);
      const Conversation& conversation = run.data.conversations[run.data.train[i]];
      EXPECT_EQ(entry.conversation(), conversation.id);
      EXPECT_EQ(entry.utterances(), conversation.length());
      EXPECT_EQ(entry.difficulty(), easiest_first ? i : -i);
      // Two more in every epoch.
      EXPECT_EQ(entry.first_epoch(), (easiest_first ? i : 5 - i) / 2 + 1);
    }
  }
  // Other conversations.
  EXPECT_NE(metrics[0], metrics[1]);
}

TEST(TrainTest, ReseedingRepeatsOrderAndDropout) {
  // Steps too small to move a float32 weight, so that only order and dropout tell epochs apart.
  for (const bool reseed : {true, false}) {
    for (const bool shuffle : {true, false}) {
      RunConfig config = Config(kTask);
      config.mutable_training()->set_learning_rate(1e-30);
      config.mutable_training()->set_weight_decay(0);
      config.mutable_training()->set_reseed_every_pass(reseed);
      config.mutable_training()->set_shuffle(shuffle);
      const std::vector<EpochReport> epochs = Epochs(MustTrain(config, "reseed").folder);
      for (size_t e = 1; e < epochs.size(); ++e) {
        EXPECT_EQ(epochs[e].total_loss() == epochs[0].total_loss(), reseed)
            << e << " " << reseed << " " << shuffle;
      }
    }
  }
}

TEST(TrainTest, ASchedulerWithoutDifficultiesNeedsNone) {
  const TrainedRun constant = MustTrain(Config(absl::StrCat(kTask, R"pb(
                                          curriculum {
                                            scheduler {
                                              [type.googleapis.com/cmerc.ConstantOptions] {}
                                            }
                                          }
                                        )pb")),
                                        "constant");
  const TrainedRun none = MustTrain(Config(kTask), "none");
  EXPECT_EQ(Bytes(constant.folder + "/metrics.jsonl"), Bytes(none.folder + "/metrics.jsonl"));
}

}  // namespace
}  // namespace cmerc
