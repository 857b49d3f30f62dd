// Runs that cannot be trained, or end with an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "calibration/difficulty.h"
#include "storage/checkpoint.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Trains in vain: the error, and nothing was trained.
absl::Status ErrorBeforeTraining(const RunConfig& config, const std::string& folder) {
  const PreparedData data = Prepare(config);
  testing::internal::CaptureStdout();
  const absl::Status status = Train(config, data, folder, {}).status();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_FALSE(std::filesystem::exists(folder + "/last.pth"));
  return status;
}

TEST(TrainErrorsTest, WhatIsWrongWithAConfigIsSaidAtOnceAndFirst) {
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

TEST(TrainErrorsTest, ACurriculumWithoutDifficultiesFailsFirst) {
  const absl::Status status =
      ErrorBeforeTraining(Config(absl::StrCat(kTask, kCurriculum)), Folder("no_difficulties"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("curriculum.difficulty_file"), HasSubstr("compare_uncalibrated")));
}

TEST(TrainErrorsTest, DifficultiesThatDoNotFitFailFirst) {
  // It must not fail after an uncalibrated model was trained: that would be hours later.
  const std::string wrong = absl::StrCat(testing::TempDir(), "/wrong.json");
  ASSERT_TRUE(WriteDifficulties(wrong, {{{"someone else's", 1.0F}}, {}}, false).ok());
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
              HasSubstr("want a checkpoint"));
  // The weights of another model.
  const std::string other = absl::StrCat(testing::TempDir(), "/other.pth");
  CheckpointMetadata metadata;
  *metadata.mutable_config() = config;
  ASSERT_TRUE(WriteCheckpoint(other, {{"a", torch::ones({1})}}, metadata).ok());
  config.mutable_curriculum()->set_difficulty_checkpoint(other);
  EXPECT_THAT(std::string(ErrorBeforeTraining(config, Folder("other_model")).message()),
              HasSubstr("other.pth: these are not the weights of this model"));
}

TEST(TrainErrorsTest, AnOutputThatCannotBeWritten) {
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

TEST(TrainErrorsTest, AFullDiskEndsTheRunWithAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const RunConfig config = Config(kTask);
  const std::string folder = Folder("full");
  std::filesystem::create_symlink("/dev/full", folder + "/metrics.jsonl");
  const absl::Status status = Train(config, Prepare(config), folder, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("metrics.jsonl: No space left on device"), HasSubstr("--output")));
}

TEST(TrainErrorsTest, AStepThatFailsNamesEpochStepAndConversations) {
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
