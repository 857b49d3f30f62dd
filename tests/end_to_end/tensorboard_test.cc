// `cmerc train --tensorboard`: the event file holds what metrics.jsonl does, and gradients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/reports.h"
#include "tests/tensorboard/event_file.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

void Train(const std::string& folder, const std::vector<std::string>& more) {
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  std::vector<std::string> args = {"train", "--config=tiny.textproto", "--output=run"};
  args.insert(args.end(), more.begin(), more.end());
  const Outcome outcome = RunCmerc(args, folder);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
}

// The events without their times.
std::vector<std::string> Timeless(const std::string& run) {
  std::vector<std::string> events;
  for (tensorboard::Event event : ReadEvents(EventFileIn(run))) {
    event.clear_wall_time();
    events.push_back(event.SerializeAsString());
  }
  return events;
}

TEST(TensorboardTest, ScalarsAreThoseOfTheMetrics) {
  const std::string folder = NewFolder();
  Train(folder, {"--tensorboard", "--set=training { epochs: 2 compare_uncalibrated: true }"});
  for (const std::string& run : {folder + "/run", folder + "/run/uncalibrated"}) {
    std::map<std::pair<int64_t, std::string>, float> scalars;
    std::set<std::string> gradients;
    for (const tensorboard::Event& event : ReadEvents(EventFileIn(run))) {
      for (const tensorboard::Summary::Value& value : event.summary().value()) {
        if (absl::StartsWith(value.tag(), "gradient/")) {
          EXPECT_GT(value.histo().num(), 0);
          gradients.insert(value.tag());
        } else {
          EXPECT_TRUE(scalars.insert({{event.step(), value.tag()}, value.simple_value()}).second)
              << value.tag();
        }
      }
    }
    size_t expected = 0;
    const auto is = [&](int epoch, const std::string& tag, double value) {
      ++expected;
      const auto found = scalars.find({epoch, tag});
      ASSERT_NE(found, scalars.end()) << tag;
      EXPECT_EQ(found->second, static_cast<float>(value)) << tag;
    };
    const std::vector<EpochReport> epochs = ReadMetrics(run);
    ASSERT_EQ(epochs.size(), 2u);
    for (const EpochReport& epoch : epochs) {
      is(epoch.epoch(), "loss/total", epoch.total_loss());
      for (const LossReport& loss : epoch.losses()) {
        is(epoch.epoch(), "loss/" + loss.loss(), loss.value());
      }
      is(epoch.epoch(), "train/accuracy", epoch.train_accuracy());
      is(epoch.epoch(), "train/weighted_f1", epoch.train_weighted_f1());
      is(epoch.epoch(), "valid/loss", epoch.valid().loss());
      is(epoch.epoch(), "valid/accuracy", epoch.valid().accuracy());
      is(epoch.epoch(), "valid/weighted_f1", epoch.valid().weighted_f1());
      is(epoch.epoch(), "valid/macro_f1", epoch.valid().macro_f1());
      is(epoch.epoch(), "valid/ece", epoch.valid().calibration().ece());
    }
    EXPECT_EQ(scalars.size(), expected);
    EXPECT_EQ(gradients.count("gradient/smax_fc.weight"), 1u);
    EXPECT_EQ(gradients.count("gradient/smax_fc.bias"), 1u);
  }
}

TEST(TensorboardTest, ChangesNothingElse) {
  const std::string with = NewFolder(), without = NewFolder();
  Train(with, {"--tensorboard"});
  Train(without, {});
  EXPECT_EQ(ReadFile(with + "/run/metrics.jsonl"), ReadFile(without + "/run/metrics.jsonl"));
  EXPECT_EQ(ReadFile(with + "/run/summary.json"), ReadFile(without + "/run/summary.json"));
}

TEST(TensorboardTest, TheSameSeedGivesTheSameEventsButTheirTimes) {
  const std::string one = NewFolder(), other = NewFolder();
  Train(one, {"--tensorboard"});
  Train(other, {"--tensorboard"});
  EXPECT_EQ(Timeless(one + "/run"), Timeless(other + "/run"));
}

TEST(TensorboardTest, AnotherRunReplacesTheEvents) {
  const std::string folder = NewFolder();
  Train(folder, {"--tensorboard", "--set=training { compare_uncalibrated: true }"});
  const std::string old = folder + "/run/events.out.tfevents.1.host.1";
  WriteFile(old, "of an earlier run");
  Train(folder, {"--tensorboard", "--overwrite"});
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_EQ(ReadEvents(EventFileIn(folder + "/run"))[0].file_version(), "brain.Event:2");
  EXPECT_FALSE(std::filesystem::exists(folder + "/run/uncalibrated"));
  Train(folder, {"--overwrite"});
  for (const auto& [name, contents] : Files(folder)) {
    EXPECT_THAT(name, testing::Not(HasSubstr("tfevents")));
  }
}

}  // namespace
}  // namespace cmerc
