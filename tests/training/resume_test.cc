// Runs that are interrupted at every possible place and then continued, against one that was not.
#include "training/resume.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "config/loader.h"
#include "storage/run_folder.h"
#include "tests/bin/files.h"
#include "tests/training/interrupted_run.h"
#include "tests/training/tiny_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// The first step of each epoch and a later one find no label.
TEST(ResumeTest, StepsWithoutLabels) {
  RunConfig config = Calibrated();
  config.mutable_training()->set_shuffle(false);
  config.mutable_training()->set_batch_size(1);
  config.mutable_training()->set_epochs(2);
  PreparedData data = Prepare(config);
  for (const size_t position : {0, 4}) {
    torch::Tensor& labels = data.conversations[data.train[position]].labels;
    labels = torch::full_like(labels, kUnlabelled);
  }
  torch::Tensor& partly = data.conversations[data.train[2]].labels;
  partly = partly.clone();
  partly[0] = kUnlabelled;
  ExpectTheSameBits(config, data);
}

TEST(ResumeTest, ACalibratedRunWithCurriculumAfterTheUncalibratedOne) {
  RunConfig config = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  config.mutable_training()->set_compare_uncalibrated(true);
  config.mutable_training()->set_epochs(3);
  ExpectTheSameBits(config);
}

// Calibrated() with the fields of `text`.
RunConfig CalibratedWith(const std::string& text) {
  RunConfig more, config = Calibrated();
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, &more), text);
  config.MergeFrom(more);
  return config;
}

TEST(ResumeTest, TheOfficialProtocolAndOrder) {
  ExpectTheSameBits(CalibratedWith(
      "data { protocol: OFFICIAL } training { reseed_every_pass: true shuffle: false "
      "epochs: 2 on_non_finite: SKIP_BATCH }"));
}

TEST(ResumeTest, EvidenceThatIsDroppedAndShown) {
  ExpectTheSameBits(
      CalibratedWith("calibration { evidence_flags: true view_weights: LIVE_PAIRED } "
                     "training { drop_evidence: 0.4 epochs: 3 }"));
}

TEST(ResumeTest, ViewsThatAreDrawn) {
  ExpectTheSameBits(
      CalibratedWith("calibration { view_weights: LIVE_PAIRED views_per_step: 2 } "
                     "training { epochs: 3 }"));
}

// A config with most options of the trainer, which starts with `checkpoint`.
RunConfig WithTrainersOptions(const std::string& checkpoint) {
  RunConfig config = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  TrainingConfig more;
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(
      "compare_uncalibrated: true epochs: 4 patience: 1 select_by: MACRO_F1 optimizer: ADAMW "
      "weight_decay: 0.1 ema_decay: 0.7 init_skip: 'smax_fc.*' learning_rate_schedule { "
      "[type.googleapis.com/cmerc.PlateauRateOptions] { warmup_epochs: 0.5 patience: 0 gamma: 0.5 "
      "} }",
      &more));
  config.mutable_training()->MergeFrom(more);
  config.mutable_training()->set_init_checkpoint(checkpoint);
  return config;
}

// The last.pth of a run of one epoch.
std::string TrainedCheckpoint() {
  RunConfig config = Config(kTask);
  config.mutable_training()->set_epochs(1);
  const std::string folder = NewFolder();
  EXPECT_TRUE(RunTraining(config, Prepare(config), folder, false).ok());
  return folder + "/last.pth";
}

TEST(ResumeTest, EveryOptionOfTheTrainer) {
  ExpectTheSameBits(WithTrainersOptions(TrainedCheckpoint()));
}

TEST(ResumeTest, AWarmUpAndACosineAreWhereTheyWere) {
  ExpectTheSameBits(
      CalibratedWith("training { epochs: 3 learning_rate_schedule { "
                     "[type.googleapis.com/cmerc.CosineRateOptions] { warmup_epochs: 1.5 } } }"));
}

// Not even for the second of two models, which begins after the run was resumed.
TEST(ResumeTest, WhatARunStartsWithIsNotReadAgain) {
  const std::string checkpoint = TrainedCheckpoint();
  const RunConfig config = WithTrainersOptions(checkpoint);
  const PreparedData data = Prepare(config);
  const std::string whole = NewFolder(), folder = NewFolder();
  ASSERT_TRUE(RunTraining(config, data, whole, false).ok());
  ASSERT_TRUE(absl::IsCancelled(RunTraining(config, data, folder, false, 2)));
  ASSERT_TRUE(CanResume(folder));
  std::filesystem::remove(checkpoint);
  const absl::Status done = RunTraining(config, data, folder, true);
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_EQ(Results(folder), Results(whole));
}

TEST(ResumeTest, AStateThatLacksWhatTheOptionsNeedIsRefused) {
  RunConfig config = WithTrainersOptions(TrainedCheckpoint());
  config.mutable_training()->set_compare_uncalibrated(false);
  config.clear_curriculum();
  const PreparedData data = Prepare(config);
  const std::string folder = NewFolder(), path = ResumeFile(folder);
  ASSERT_TRUE(absl::IsCancelled(RunTraining(config, data, folder, false, 4)));
  const Checkpoint good = *ReadCheckpoint(path);
  const auto refusal = [&](const std::function<void(Checkpoint*)>& spoil) {
    Checkpoint bad = good;
    spoil(&bad);
    EXPECT_TRUE(WriteCheckpoint(path, bad.state, *bad.metadata).ok());
    return std::string(RunTraining(config, data, folder, true).message());
  };
  EXPECT_THAT(refusal([](Checkpoint* c) { c->state.erase("average/graph_model.fc1.bias"); }),
              HasSubstr("it has no graph_model.fc1.bias"));
  EXPECT_THAT(refusal([](Checkpoint* c) { c->metadata->mutable_progress()->clear_scores(); }),
              HasSubstr("lacks the scores of the epochs"));
  EXPECT_THAT(
      refusal([](Checkpoint* c) { c->metadata->mutable_progress()->set_averaged_steps(-1); }),
      HasSubstr("contradicts itself"));
}

TEST(ResumeTest, EventsGoOnWhereTheyWere) {
  const RunConfig config = Calibrated();
  const PreparedData data = Prepare(config);
  const auto sizes = [&](const std::string& folder) {
    std::map<std::string, size_t> sizes;
    for (const auto& [name, contents] : Files(folder)) {
      if (absl::StrContains(name, "tfevents")) sizes["events"] += contents.size();
    }
    return sizes;
  };
  const std::string whole = NewFolder(), folder = NewFolder();
  ASSERT_TRUE(RunTraining(config, data, whole, false, -1, true).ok());
  ASSERT_TRUE(absl::IsCancelled(RunTraining(config, data, folder, false, 5, true)));
  ASSERT_TRUE(RunTraining(config, data, folder, true, -1, true).ok());
  EXPECT_EQ(sizes(folder), sizes(whole));
}

// A run that was stopped in its second epoch.
class StoppedTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(absl::IsCancelled(RunTraining(config_, data_, folder_, false, 4)));
  }

  std::string Refusal() { return Refusal(config_, data_); }
  std::string Refusal(const RunConfig& config, const PreparedData& data) {
    const absl::Status status = RunTraining(config, data, folder_, true);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.message(), HasSubstr(folder_));
    return std::string(status.message());
  }

  // resume.pth with one thing changed.
  void Spoil(const std::function<void(Checkpoint*)>& change) {
    absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(path_);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    change(&*checkpoint);
    ASSERT_TRUE(WriteCheckpoint(path_, checkpoint->state, *checkpoint->metadata).ok());
  }
  std::string RefusalOf(const std::function<void(Checkpoint*)>& change) {
    Spoil(change);
    return Refusal();
  }

  const RunConfig config_ = Calibrated();
  const PreparedData data_ = Prepare(config_);
  const std::string folder_ = NewFolder();
  const std::string path_ = ResumeFile(folder_);
};

TEST_F(StoppedTest, ItsStateIsNothingToStartWith) {
  RunConfig config = config_;
  config.mutable_training()->set_init_checkpoint(path_);
  EXPECT_THAT(std::string(RunTraining(config, data_, NewFolder(), false).message()),
              HasSubstr("holds the state of an interrupted run; name the selected.pth"));
}

TEST_F(StoppedTest, OtherFeaturesAreRefused) {
  PreparedData other = data_;
  other.conversations[0].features[0][0] = other.conversations[0].features[0][0].clone();
  other.conversations[0].features[0][0][0][0] += 1;
  EXPECT_THAT(Refusal(config_, other), HasSubstr("begun with other data"));
}

TEST_F(StoppedTest, OtherEvidenceIsRefused) {
  PreparedData other = data_;
  other.conversations[0].present = torch::ones({other.conversations[0].length(), 3}, torch::kBool);
  EXPECT_THAT(Refusal(config_, other), HasSubstr("begun with other data"));
}

TEST_F(StoppedTest, AnotherOrderOfConversationsIsRefused) {
  PreparedData other = data_;
  std::swap(other.train[0], other.train[1]);
  EXPECT_THAT(Refusal(config_, other), HasSubstr("begun with other data"));
}

TEST_F(StoppedTest, AnotherConfigIsRefused) {
  RunConfig other = config_;
  other.mutable_training()->set_learning_rate(0.02);
  EXPECT_THAT(Refusal(other, data_), HasSubstr("another config than config.textproto"));
}

TEST_F(StoppedTest, ADamagedFileIsRefused) {
  std::string bytes = ReadFile(path_);
  // Among the numbers of a tensor: between them a bit may be padding, which says nothing.
  const torch::Tensor random = ReadCheckpoint(path_)->state.at("random_state");
  const size_t numbers =
      bytes.find(std::string(static_cast<const char*>(random.data_ptr()), random.nbytes()));
  ASSERT_NE(numbers, std::string::npos);
  bytes[numbers + random.nbytes() / 2] ^= 1;
  WriteFile(path_, bytes);
  Refusal();
  WriteFile(path_, bytes.substr(0, bytes.size() / 3));
  Refusal();
}

TEST_F(StoppedTest, AShorterLogIsRefused) {
  WriteFile(folder_ + "/metrics.jsonl", "");
  EXPECT_THAT(Refusal(), HasSubstr("metrics.jsonl: has 0 bytes, want the "));
}

TEST_F(StoppedTest, OtherSelectedWeightsAreRefused) {
  const std::string selected = folder_ + "/selected.pth";
  absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(selected);
  ASSERT_TRUE(checkpoint.ok());
  checkpoint->metadata->clear_epoch();
  Spoil([](Checkpoint* resume) {
    resume->metadata->mutable_progress()->set_epochs(2);
    resume->metadata->mutable_progress()->set_selected_epoch(2);
  });
  EXPECT_THAT(Refusal(), HasSubstr("holds the weights of epoch 1, want those of 2"));
}

// The epoch alone does not tell them apart: every run has a first one.
TEST_F(StoppedTest, WeightsOfAnotherRunAreRefused) {
  RunConfig other = config_;
  other.mutable_training()->set_seed(4);
  const std::string folder = NewFolder(), selected = "/selected.pth";
  ASSERT_TRUE(absl::IsCancelled(RunTraining(other, data_, folder, false, 4)));
  ASSERT_EQ(ReadCheckpoint(folder + selected)->metadata->epoch(),
            ReadCheckpoint(folder_ + selected)->metadata->epoch());
  const std::string own = ReadFile(folder_ + selected);
  WriteFile(folder_ + selected, ReadFile(folder + selected));
  EXPECT_THAT(Refusal(),
              HasSubstr("selected.pth: holds other weights than those that were selected after "
                        "epoch 1, as "));
  WriteFile(folder_ + selected, own);
  EXPECT_TRUE(RunTraining(config_, data_, folder_, true).ok());
}

TEST_F(StoppedTest, AStateWithoutADigestGoesOn) {
  const std::string whole = NewFolder();
  ASSERT_TRUE(RunTraining(config_, data_, whole, false).ok());
  Spoil([](Checkpoint* resume) {
    ASSERT_TRUE(resume->metadata->progress().has_selected_digest());
    resume->metadata->mutable_progress()->clear_selected_digest();
  });
  ASSERT_TRUE(RunTraining(config_, data_, folder_, true).ok());
  EXPECT_EQ(Results(folder_), Results(whole));
}

// What claims to be of an epoch that was cut short must be selected when that is trained again.
TEST_F(StoppedTest, WeightsOfAnEpochThatIsNotTheBestAreRefused) {
  const std::string path = folder_ + "/selected.pth";
  absl::StatusOr<Checkpoint> selected = ReadCheckpoint(path);
  ASSERT_TRUE(selected.ok());
  selected->metadata->set_epoch(8);  // no such epoch
  ASSERT_TRUE(WriteCheckpoint(path, selected->state, *selected->metadata).ok());
  EXPECT_THAT(Refusal(), HasSubstr("holds the weights of epoch 8, want those of 1"));
  Spoil([](Checkpoint* resume) {
    resume->metadata->mutable_progress()->set_best(1);  // no epoch is better
  });
  selected->metadata->set_epoch(2);
  ASSERT_TRUE(WriteCheckpoint(path, selected->state, *selected->metadata).ok());
  EXPECT_THAT(Refusal(), HasSubstr("holds the weights of epoch 2, which is not the best when it is "
                                   "trained again; was it changed since?"));
}

TEST_F(StoppedTest, AConfigWithItsDefaultsGivesTheSameBytes) {
  const std::string whole = NewFolder();
  ASSERT_TRUE(RunTraining(config_, data_, whole, false).ok());
  const absl::StatusOr<RunConfig> own = LoadConfig(folder_ + "/config.textproto", {});
  ASSERT_TRUE(own.ok()) << own.status();
  ASSERT_NE(own->SerializeAsString(), config_.SerializeAsString());
  ASSERT_TRUE(RunTraining(*own, data_, folder_, true).ok());
  EXPECT_EQ(Results(folder_), Results(whole));
}

TEST(MovedTest, AFolderThatGoesAwayEndsTheRunAtTheNextSave) {
  const RunConfig config = Calibrated();
  const PreparedData data = Prepare(config);
  for (const bool moved : {true, false}) {
    const std::string folder = NewFolder() + "/run";
    std::filesystem::create_directory(folder);
    int questions = 0;
    TrainOptions options;
    options.should_stop = [&] {
      if (++questions == 2) {
        if (moved) {
          std::filesystem::rename(folder, folder + "_elsewhere");
          std::filesystem::create_directory(folder);  // the files would be written into it
        } else {
          std::filesystem::remove_all(folder);
        }
      }
      return false;
    };
    const absl::Status status = Train(config, data, folder, {}, options).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr(folder + " was moved or deleted since the run began"));
    EXPECT_LE(questions, 4);  // three steps an epoch
    EXPECT_TRUE(!moved || Files(folder).empty());
  }
}

TEST_F(StoppedTest, StatesThatContradictThemselvesAreRefused) {
  const Checkpoint good = *ReadCheckpoint(path_);
  const std::string parameter = "graph_model.fc1.weight";
  const std::map<std::string, std::function<void(Checkpoint*)>> changes = {
      {"has no tensor random_state", [](Checkpoint* c) { c->state.erase("random_state"); }},
      {"tensor random_state is of type Float, want Byte",
       [](Checkpoint* c) { c->state["random_state"] = torch::zeros({8}); }},
      {"RNG state",  // LibTorch's words
       [](Checkpoint* c) { c->state["random_state"] = torch::zeros({8}, torch::kUInt8); }},
      {"adam/steps has 1 numbers",
       [](Checkpoint* c) { c->state["adam/steps"] = torch::ones({1}, torch::kInt64); }},
      {"adam/steps holds -1", [](Checkpoint* c) { c->state["adam/steps"].fill_(-1); }},
      {"has no tensor adam/graph_model.fc1.weight/first",
       [&](Checkpoint* c) { c->state.erase("adam/" + parameter + "/first"); }},
      {"is not of the shape of its parameter",
       [&](Checkpoint* c) { c->state["adam/" + parameter + "/second"] = torch::zeros({2}); }},
      {"graph_model.fc1.weight", [&](Checkpoint* c) { c->state.erase("model/" + parameter); }},
      {"graph_model.fc1.bias",
       [&](Checkpoint* c) { c->state.erase("snapshot/graph_model.fc1.bias"); }},
      {"epoch/conversations holds 12, want 0 to 11",
       [](Checkpoint* c) { c->state["epoch/conversations"][0] = 12; }},
      {"epoch/predictions holds -1, want 0 to 2",
       [](Checkpoint* c) { c->state["epoch/predictions"][0] = -1; }},
      {"contradicts itself",
       [](Checkpoint* c) { c->state["epoch/labels"] = torch::zeros({1}, torch::kInt64); }},
      {"of the interrupted epoch contradicts itself",
       [](Checkpoint* c) {
         c->metadata->mutable_progress()->mutable_partial_epoch()->clear_losses();
       }},
      {"of the epochs contradicts itself",
       [](Checkpoint* c) { c->metadata->mutable_progress()->set_selected_epoch(7); }},
      {"does not say how far", [](Checkpoint* c) { c->metadata->clear_progress(); }},
      {"is not the name of an event file",
       [](Checkpoint* c) {
         c->metadata->mutable_progress()->mutable_log()->set_event_file("../config.textproto");
       }},
  };
  for (const auto& [says, change] : changes) {
    SCOPED_TRACE(says);
    ASSERT_TRUE(WriteCheckpoint(path_, good.state, *good.metadata).ok());
    const std::string config = ReadFile(folder_ + "/config.textproto");
    Spoil(change);
    EXPECT_THAT(std::string(RunTraining(config_, data_, folder_, true).message()), HasSubstr(says));
    EXPECT_EQ(ReadFile(folder_ + "/config.textproto"), config);
  }
}

}  // namespace
}  // namespace cmerc
