#include "tests/training/interrupted_run.h"

#include <gtest/gtest.h>

#include <iterator>
#include <memory>

#include "absl/strings/match.h"
#include "storage/run_folder.h"
#include "tests/bin/files.h"
#include "tests/training/tiny_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

// How many times a whole run is asked whether to stop.
int Questions(const RunConfig& config, const PreparedData& data, const std::string& folder) {
  int questions = 0;
  TrainOptions options;
  options.should_stop = [&questions] {
    ++questions;
    return false;
  };
  const absl::Status status = Train(config, data, folder, {{"cmerc", "test"}}, options).status();
  EXPECT_TRUE(status.ok()) << status;
  return questions;
}

}  // namespace

absl::Status RunTraining(const RunConfig& config, const PreparedData& data,
                         const std::string& folder, bool resume, int steps, bool tensorboard) {
  TrainOptions options;
  options.resume = resume;
  options.tensorboard = tensorboard;
  // Asked once before every step, and once more at the end.
  options.should_stop = [left = std::make_shared<int>(steps)] { return (*left)-- == 0; };
  return Train(config, data, folder, {{"cmerc", "test"}}, options).status();
}

std::map<std::string, std::string> Results(const std::string& folder) {
  std::map<std::string, std::string> files = Files(folder);
  for (auto it = files.begin(); it != files.end();) {
    const bool of_times =
        absl::EndsWith(it->first, "timing.jsonl") || absl::StrContains(it->first, "tfevents");
    it = of_times ? files.erase(it) : std::next(it);
  }
  return files;
}

void ExpectTheSameBits(const RunConfig& config, const PreparedData& data) {
  const std::string whole = NewFolder();
  const int places = Questions(config, data, whole);
  ASSERT_GT(places, 8);
  const std::map<std::string, std::string> expected = Results(whole);
  EXPECT_EQ(expected.count("resume.pth"), 0u);
  const std::string often = NewFolder();
  bool resume = false;
  int stops = 0;
  for (; !RunTraining(config, data, often, resume, 2).ok(); resume = true) {
    ASSERT_LT(++stops, places);
    ASSERT_TRUE(CanResume(often));
  }
  EXPECT_GE(stops, places / 2 - 2);
  EXPECT_EQ(Results(often), expected);
  for (int place = 0; place < places; ++place) {
    SCOPED_TRACE(place);
    const std::string folder = NewFolder();
    const absl::Status stopped = RunTraining(config, data, folder, false, place);
    ASSERT_TRUE(absl::IsCancelled(stopped)) << stopped;
    const absl::Status done = RunTraining(config, data, folder, true);
    ASSERT_TRUE(done.ok()) << done;
    EXPECT_EQ(Results(folder), expected);
  }
}

void ExpectTheSameBits(const RunConfig& config) { ExpectTheSameBits(config, Prepare(config)); }

}  // namespace cmerc
