// Whole runs: a tiny M3Net on a few generated conversations.
#include "training/trainer.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "calibration/difficulty.h"
#include "calibration/evaluation.h"
#include "calibration/weighted_losses.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/host_device/host_device.h"
#include "tests/training/tiny_run.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A new empty folder.
std::string Folder(const std::string& name) {
  const std::string folder = absl::StrCat(testing::TempDir(), "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

template <typename Message>
Message FromJson(const std::string& text) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &message);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << text;
  return message;
}

std::vector<std::string> Lines(const std::string& path) {
  return absl::StrSplit(Bytes(path), '\n', absl::SkipEmpty());
}

std::vector<EpochReport> Epochs(const std::string& folder) {
  std::vector<EpochReport> epochs;
  for (const std::string& line : Lines(folder + "/metrics.jsonl")) {
    epochs.push_back(FromJson<EpochReport>(line));
  }
  return epochs;
}

struct TrainedRun {
  std::string folder;
  PreparedData data;
  RunSummary summary;
};

TrainedRun MustTrain(const RunConfig& config, const std::string& name) {
  TrainedRun run{Folder(name), Prepare(config), {}};
  absl::StatusOr<RunSummary> summary = Train(config, run.data, run.folder, {{"cmerc", "test"}});
  TORCH_CHECK(summary.ok(), summary.status().ToString());
  run.summary = *std::move(summary);
  return run;
}

// Trains in vain: the error, and nothing was trained.
absl::Status ErrorBeforeTraining(const RunConfig& config, const std::string& folder) {
  const PreparedData data = Prepare(config);
  testing::internal::CaptureStdout();
  const absl::Status status = Train(config, data, folder, {}).status();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_FALSE(std::filesystem::exists(folder + "/last.pth"));
  return status;
}

bool SameState(const std::string& a, const std::string& b) {
  const StateDict first = ReadCheckpoint(a)->state;
  const StateDict second = ReadCheckpoint(b)->state;
  if (first.size() != second.size()) return false;
  for (const auto& [name, tensor] : first) {
    if (second.count(name) == 0 || !second.at(name).equal(tensor)) return false;
  }
  return true;
}

int FirstBest(const std::vector<double>& scores) {
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

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
                         "test_predictions.jsonl", "selected.pth", "last.pth"));

  const std::vector<EpochReport> epochs = Epochs(run.folder);
  ASSERT_THAT(epochs, SizeIs(4));
  for (int e = 0; e < 4; ++e) {
    EXPECT_EQ(epochs[e].epoch(), e);
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
              AllOf(HasSubstr("{\"epoch\":3,\"train_seconds\":"), HasSubstr("\"total_seconds\":"),
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
  EXPECT_EQ(last->metadata->epoch(), 3);
  EXPECT_EQ(selected->metadata->epoch(), summary.selected_epoch());
  EXPECT_TRUE(MessageDifferencer::Equals(selected->metadata->config(), config));
  EXPECT_TRUE(MessageDifferencer::Equals(selected->metadata->dataset(), Describe(run.data.info)));
  EXPECT_TRUE(
      MessageDifferencer::Equals(selected->metadata->standardization(), *run.data.standardization));
  EXPECT_EQ(selected->metadata->versions().at("cmerc"), "test");
}

TEST(TrainTest, TheSameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  RunConfig config = Calibrated();
  const TrainedRun first = MustTrain(config, "first");
  const TrainedRun second = MustTrain(config, "second");
  for (const std::string file :
       {"metrics.jsonl", "summary.json", "test_predictions.jsonl", "selected.pth", "last.pth"}) {
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

TEST(TrainTest, SelectsTheFirstBestEpochOfTheValidationSplit) {
  RunConfig config = Calibrated();
  config.mutable_training()->set_epochs(8);
  std::vector<int> selected;
  for (const int seed : {1, 2, 3, 4}) {
    config.mutable_training()->set_seed(seed);
    const TrainedRun run = MustTrain(config, "select");
    std::vector<double> scores;
    for (const EpochReport& epoch : Epochs(run.folder)) {
      scores.push_back(epoch.valid().weighted_f1());
    }
    EXPECT_EQ(run.summary.selected_epoch(), FirstBest(scores));
    EXPECT_EQ(run.summary.valid().weighted_f1(), scores[FirstBest(scores)]);
    selected.push_back(run.summary.selected_epoch());
  }
  // Not only the first or the last epoch was ever chosen.
  EXPECT_THAT(selected, testing::Contains(AllOf(testing::Gt(0), testing::Lt(7))));
}

TEST(TrainTest, TheSelectedCheckpointGivesTheSummarysScores) {
  RunConfig config = Calibrated();
  config.mutable_data()->clear_modalities();
  config.mutable_data()->add_modalities("text");
  config.mutable_data()->add_modalities("visual");
  const TrainedRun run = MustTrain(config, "reproduce");
  const auto checkpoint = ReadCheckpoint(run.folder + "/selected.pth");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const RunConfig& stored = checkpoint->metadata->config();
  const auto dataset = Datasets().Create(stored.data().dataset());
  const auto data = PrepareData(**dataset, stored.data(), &checkpoint->metadata->standardization());
  ASSERT_TRUE(data.ok()) << data.status();
  const auto backbone = MakeBackbone(stored, data->info);
  ASSERT_TRUE(LoadState(checkpoint->state, **backbone, "selected.pth").ok());
  const auto losses = MakeLosses(stored, data->info);
  ASSERT_TRUE(losses.ok()) << losses.status();
  const auto test = Evaluate(**backbone, *data, data->test, *losses, stored, AllViews(data->info));
  const auto valid = Evaluate(**backbone, *data, data->valid, *losses, stored);
  const auto train = Evaluate(**backbone, *data, data->train, *losses, stored);
  ASSERT_TRUE(test.ok() && valid.ok() && train.ok());
  SplitReport expected = run.summary.test();
  expected.clear_post_hoc();
  EXPECT_EQ(test->SerializeAsString(), expected.SerializeAsString());
  EXPECT_EQ(valid->SerializeAsString(), run.summary.valid().SerializeAsString());
  EXPECT_EQ(train->SerializeAsString(), run.summary.train().SerializeAsString());
  EXPECT_EQ(run.summary.test().views_size(), 4);
}

TEST(TrainTest, RemediesAreFittedOnTheValidationSplit) {
  const TrainedRun run = MustTrain(Calibrated(), "remedies");
  const auto checkpoint = ReadCheckpoint(run.folder + "/selected.pth");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto backbone = MakeBackbone(Calibrated(), run.data.info);
  ASSERT_TRUE(LoadState(checkpoint->state, **backbone, "selected.pth").ok());
  const auto losses = MakeLosses(Calibrated(), run.data.info);
  const auto valid = PredictSplit(**backbone, run.data, run.data.valid, *losses, Calibrated());
  const auto test = PredictSplit(**backbone, run.data, run.data.test, *losses, Calibrated(),
                                 AllViews(run.data.info));
  ASSERT_TRUE(valid.ok() && test.ok());
  const auto remedies = FitRemedies(valid->log_probs, valid->labels, 3);
  ASSERT_TRUE(remedies.ok()) << remedies.status();
  ASSERT_EQ(run.summary.test().post_hoc_size(), 3);
  for (int r = 0; r < 3; ++r) {
    const auto expected = ScoreRemedy((*remedies)[r], *test, run.data.info);
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_TRUE(MessageDifferencer::Equals(run.summary.test().post_hoc(r), *expected));
    EXPECT_EQ(expected->share_surer_without_size(), 5);
  }
  EXPECT_EQ(run.summary.valid().post_hoc_size(), 0);
  EXPECT_EQ(checkpoint->metadata->temperature(), (*remedies)[0].parameters[0]);
  EXPECT_FALSE(ReadCheckpoint(run.folder + "/last.pth")->metadata->has_temperature());
}

TEST(TrainTest, PredictionsOfTheTestSplitAreThoseOfTheSummary) {
  const TrainedRun run = MustTrain(Calibrated(), "predictions");
  const std::vector<std::string> lines = Lines(run.folder + "/test_predictions.jsonl");
  ASSERT_EQ(lines.size(), run.data.test.size());
  int right = 0, utterances = 0;
  double log_likelihood = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto line = FromJson<ConversationPredictions>(lines[i]);
    const Conversation& conversation = run.data.conversations[run.data.test[i]];
    EXPECT_EQ(line.id(), conversation.id);
    ASSERT_EQ(line.labels_size(), conversation.length());
    ASSERT_EQ(line.predicted_size(), conversation.length());
    ASSERT_EQ(line.probabilities_size(), conversation.length());
    for (int u = 0; u < line.labels_size(); ++u) {
      EXPECT_EQ(line.labels(u), conversation.labels[u].item<int64_t>());
      std::vector<double> p;
      for (const auto& value : line.probabilities(u).values()) p.push_back(value.number_value());
      ASSERT_THAT(p, SizeIs(3));
      EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-6);  // float32's
      EXPECT_EQ(line.predicted(u), FirstBest(p));
      right += line.predicted(u) == line.labels(u) ? 1 : 0;
      log_likelihood += std::log(p[line.labels(u)]);
      ++utterances;
    }
  }
  EXPECT_EQ(static_cast<double>(right) / utterances, run.summary.test().accuracy());
  // exp and log, a rounding each.
  EXPECT_NEAR(-log_likelihood / utterances, run.summary.test().calibration().nll(), 1e-12);
}

TEST(TrainTest, OfficialProtocolSelectsOnTheTestSplit) {
  RunConfig config = Calibrated();
  config.mutable_data()->set_protocol(DataConfig::OFFICIAL);
  const TrainedRun run = MustTrain(config, "official");
  std::vector<double> scores;
  for (const EpochReport& epoch : Epochs(run.folder)) {
    EXPECT_EQ(epoch.conversations(), 9);
    EXPECT_FALSE(epoch.has_valid());
    ASSERT_TRUE(epoch.has_test());
    scores.push_back(epoch.test().weighted_f1());
  }
  EXPECT_EQ(run.summary.selected_epoch(), FirstBest(scores));
  EXPECT_EQ(run.summary.test().weighted_f1(), scores[FirstBest(scores)]);
  EXPECT_FALSE(run.summary.has_valid());
  EXPECT_EQ(run.summary.test().post_hoc_size(), 0);
  EXPECT_TRUE(run.summary.test().has_calibration());
  EXPECT_FALSE(ReadCheckpoint(run.folder + "/selected.pth")->metadata->has_temperature());
  EXPECT_EQ(run.summary.train().conversations(), 9);
  EXPECT_EQ(run.summary.protocol(),
            "OFFICIAL (trains on train + valid; the test set selects the epoch)");
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
  ASSERT_TRUE(WriteDifficulties(file, *table, false).ok());
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
  TORCH_CHECK(WriteDifficulties(path, table, false).ok());
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
      EXPECT_EQ(entry.first_epoch(), (easiest_first ? i : 5 - i) / 2);
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

TEST(TrainTest, WhatIsWrongWithAConfigIsSaidAtOnceAndFirst) {
  const RunConfig config =
      Config(R"pb(
               losses {
                 loss {
                   [type.googleapis.com/cmerc.NllOptions] { class_weights: GIVEN weight: 1 }
                 }
               }
               curriculum {
                 scheduler {
                   [type.googleapis.com/cmerc.NllOptions] {}
                 }
               }
             )pb",
             R"pb(
               backbone {
                 [type.googleapis.com/cmerc.M3NetOptions] { input_width: 7 }
               }
             )pb");
  const absl::Status status = ErrorBeforeTraining(config, Folder("wrong"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("losses[0]: "), HasSubstr("backbone: "),
                    HasSubstr("curriculum.scheduler: "), HasSubstr("input_width")));
}

TEST(TrainTest, ACurriculumWithoutDifficultiesFailsFirst) {
  const absl::Status status =
      ErrorBeforeTraining(Config(absl::StrCat(kTask, kCurriculum)), Folder("no_difficulties"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("curriculum.difficulty_file"), HasSubstr("compare_uncalibrated")));
}

TEST(TrainTest, DifficultiesThatDoNotFitFailFirst) {
  // Of all things after an uncalibrated model: that would be hours later.
  const std::string wrong = absl::StrCat(testing::TempDir(), "/wrong.json");
  ASSERT_TRUE(WriteDifficulties(wrong, {{"someone else's", 1.0F}}, false).ok());
  RunConfig config = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  config.mutable_training()->set_compare_uncalibrated(true);
  config.mutable_curriculum()->set_difficulty_file(wrong);
  EXPECT_THAT(std::string(ErrorBeforeTraining(config, Folder("wrong_ids")).message()),
              AllOf(HasSubstr("wrong.json"), HasSubstr("someone else's")));
  config.mutable_curriculum()->set_difficulty_file(wrong + ".none");
  EXPECT_EQ(ErrorBeforeTraining(config, Folder("no_file")).code(), absl::StatusCode::kNotFound);

  config.mutable_curriculum()->clear_difficulty_file();
  config.mutable_curriculum()->set_difficulty_checkpoint(wrong);
  EXPECT_THAT(std::string(ErrorBeforeTraining(config, Folder("no_checkpoint")).message()),
              HasSubstr("not a checkpoint"));
  // The weights of another model.
  const std::string other = absl::StrCat(testing::TempDir(), "/other.pth");
  CheckpointMetadata metadata;
  *metadata.mutable_config() = config;
  ASSERT_TRUE(WriteCheckpoint(other, {{"a", torch::ones({1})}}, metadata).ok());
  config.mutable_curriculum()->set_difficulty_checkpoint(other);
  EXPECT_THAT(std::string(ErrorBeforeTraining(config, Folder("other_model")).message()),
              HasSubstr("other.pth: these are not the weights of this model"));
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

TEST(TrainTest, AnOutputThatCannotBeWritten) {
  const RunConfig config = Config(kTask);
  const std::string folder = Folder("unwritable");
  EXPECT_THAT(
      std::string(ErrorBeforeTraining(config, folder + "/none").message()),
      AllOf(HasSubstr("unwritable/none/config.textproto"), HasSubstr("choose another path")));
  std::filesystem::create_directory(folder + "/timing.jsonl");
  EXPECT_THAT(std::string(ErrorBeforeTraining(config, folder).message()),
              HasSubstr("timing.jsonl"));

  const std::string taken = Folder("taken");
  std::filesystem::create_directory(taken + "/selected.pth");
  const PreparedData data = Prepare(config);
  EXPECT_THAT(std::string(Train(config, data, taken, {}).status().message()),
              HasSubstr("taken/selected.pth"));
}

TEST(TrainTest, AFullDiskEndsTheRunWithAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const RunConfig config = Config(kTask);
  const std::string folder = Folder("full");
  std::filesystem::create_symlink("/dev/full", folder + "/metrics.jsonl");
  const absl::Status status = Train(config, Prepare(config), folder, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("metrics.jsonl: No space left on device"), HasSubstr("--output")));
}

TEST(TrainTest, AStepThatFailsNamesEpochStepAndConversations) {
  RunConfig config = Config(kTask);
  config.mutable_training()->set_learning_rate(1e30);  // weights that overflow at once
  const PreparedData data = Prepare(config);
  const absl::Status status = Train(config, data, Folder("diverges"), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("epoch 1, step "), HasSubstr("conversations "),
                    HasSubstr("the loss cmerc.NllOptions is "), HasSubstr("learning_rate")));
}

}  // namespace
}  // namespace cmerc
