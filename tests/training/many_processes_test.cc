// Whole runs of several processes: the files of one.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/training/lockstep.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/agreement.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// Everything that could have a part of its own in several processes: dropout, drawn views, views of
// a snapshot, an average, a schedule, a clipped norm.
RunConfig Rich() {
  RunConfig config = Config(absl::StrCat(kTask, kRanking, kCurriculum));
  const bool merged = google::protobuf::TextFormat::MergeFromString(
      R"pb(
        calibration { views_per_step: 2 }
        training {
          batch_size: 4
          parts: 4
          drop_evidence: 0.2
          ema_decay: 0.5
          gradient_clip_norm: 0.5
          compare_uncalibrated: true
          learning_rate_schedule {
            [type.googleapis.com/cmerc.CosineRateOptions] {}
          }
        }
      )pb",
      &config);
  EXPECT_TRUE(merged);
  return config;
}

// What each rank returns.
std::vector<absl::Status> TrainTogether(const RunConfig& config, const std::string& folder,
                                        int size, const TrainOptions& options = {}) {
  const PreparedData data = Prepare(config);
  std::vector<absl::Status> results(size);
  RunInLockstep(size, [&](ProcessGroup& group) {
    TrainOptions own = options;
    own.processes = &group;
    if (group.rank() != size - 1) own.should_stop = nullptr;
    results[group.rank()] = Train(config, data, folder, {{"LibTorch", "1"}}, own).status();
  });
  return results;
}

void ExpectSameRun(const std::string& folder, const std::string& expected) {
  for (const char* name :
       {"metrics.jsonl", "summary.json", "selected.pth", "last.pth", "test_predictions.jsonl",
        "test_views.jsonl", "curriculum.json", "config.textproto", "uncalibrated/metrics.jsonl",
        "uncalibrated/selected.pth"}) {
    EXPECT_EQ(Bytes(absl::StrCat(folder, "/", name)), Bytes(absl::StrCat(expected, "/", name)))
        << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder + "/resume.pth"));
}

std::string Alone() {
  const std::string folder = Folder("alone");
  const auto summary = Train(Rich(), Prepare(Rich()), folder, {{"LibTorch", "1"}});
  EXPECT_TRUE(summary.ok()) << summary.status();
  return folder;
}

TEST(ManyProcessesTest, WriteWhatOneWrites) {
  const std::string alone = Alone();
  for (const int size : {2, 3}) {
    const std::string folder = Folder(absl::StrCat("of_", size));
    for (const absl::Status& status : TrainTogether(Rich(), folder, size)) {
      ASSERT_TRUE(status.ok()) << status;
    }
    ExpectSameRun(folder, alone);
  }
}

// Whichever process is asked to stop, all stop between the same steps; any number goes on.
TEST(ManyProcessesTest, StopTogetherAndGoOnInAnotherNumber) {
  const std::string alone = Alone();
  const std::string folder = Folder("stopped");
  TrainOptions options;
  int asked = 0;
  options.should_stop = [&] { return ++asked == 9; };
  for (const absl::Status& status : TrainTogether(Rich(), folder, 2, options)) {
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
  }
  ASSERT_TRUE(std::filesystem::exists(folder + "/resume.pth") ||
              std::filesystem::exists(folder + "/uncalibrated/resume.pth"));
  options.resume = true;
  asked = 0;
  options.should_stop = [&] { return ++asked == 4; };
  for (const absl::Status& status : TrainTogether(Rich(), folder, 4, options)) {
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
  }
  options.should_stop = nullptr;
  const auto summary = Train(Rich(), Prepare(Rich()), folder, {{"LibTorch", "1"}}, options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  ExpectSameRun(folder, alone);
}

TEST(ManyProcessesTest, MustHaveTheSame) {
  const std::string folder = Folder("unlike");
  std::vector<absl::Status> results(2);
  RunInLockstep(2, [&](ProcessGroup& group) {
    RunConfig config = Rich();
    config.mutable_training()->set_seed(group.rank() == 0 ? 5 : 6);
    TrainOptions options;
    options.processes = &group;
    results[group.rank()] = Train(config, Prepare(config), folder, {}, options).status();
  });
  for (const absl::Status& status : results) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                testing::AllOf(HasSubstr("rank 0 has"), HasSubstr("seed: 5"),
                               HasSubstr("rank 1 has"), HasSubstr("seed: 6")));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(ManyProcessesTest, NeedAsManyParts) {
  RunConfig config = Rich();
  config.mutable_training()->set_parts(2);
  for (const absl::Status& status : TrainTogether(config, Folder("few_parts"), 3)) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("training.parts = 2, must not be below"));
  }
}

TEST(CheckAlikeTest, NamesTheFirstDifference) {
  std::vector<absl::Status> results(3);
  RunInLockstep(3, [&](ProcessGroup& group) {
    const std::string more = group.rank() == 2 ? "\nc" : "";
    results[group.rank()] = CheckAlike(&group, {{"one", "a"}, {"two", "b" + more}});
  });
  for (const absl::Status& status : results) {
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank 0 has `` and rank 2 has `two: c`"));
  }
}

TEST(FromRank0Test, IsWhatRank0Says) {
  std::vector<double> results(3);
  RunInLockstep(3, [&](ProcessGroup& group) {
    results[group.rank()] = FromRank0(&group, 0.1 + group.rank(), "a number").value_or(-1);
  });
  EXPECT_THAT(results, testing::ElementsAre(0.1, 0.1, 0.1));
  EXPECT_EQ(*FromRank0(nullptr, 2.5, "a number"), 2.5);
}

}  // namespace
}  // namespace cmerc
