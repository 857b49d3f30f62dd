// `cmerc difficulty`, and training with what it writes.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "calibration/difficulty.pb.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class DifficultyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewFolder());
    WriteFile(*folder_ + "/tiny.textproto", TinyConfig());
    Run({"train", "--config=tiny.textproto", "--output=run",
         "--set=training { epochs: 3 learning_rate: 0.01 }"});
    Run({"difficulty", "--checkpoint=run/selected.pth", "--output=difficulty.json"});
    Run({"difficulty", "--checkpoint=run/selected.pth", "--output=difficulty.pkl"});
  }

  static std::string Run(const std::vector<std::string>& args) {
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  }

  // metrics.jsonl of three epochs with half of the four conversations first.
  static std::string TrainWith(const std::string& name, const std::string& source) {
    Run({"train", "--config=tiny.textproto", "--output=" + name,
         "--set=curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] "
         "{ epoch_ratio: 0.5 } } " +
             source + " } training { epochs: 3 }"});
    return ReadFile(*folder_ + "/" + name + "/metrics.jsonl");
  }

  static std::string* folder_;
};

std::string* DifficultyTest::folder_ = nullptr;

TEST_F(DifficultyTest, OurFileHasEveryTrainingConversation) {
  DifficultyFile file;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(ReadFile(*folder_ + "/difficulty.json"), &file)
          .ok());
  std::vector<std::string> ids;
  for (const auto& entry : file.conversations()) {
    ids.push_back(entry.conversation());
    EXPECT_TRUE(std::isfinite(entry.difficulty()));
    EXPECT_GT(entry.difficulty(), 0);
  }
  EXPECT_THAT(ids, ElementsAre("train_0", "train_1", "train_2", "train_3"));
}

TEST_F(DifficultyTest, AName_pkl_IsAPythonPickle) {
  // Protocol 2, then an empty dict.
  EXPECT_THAT(ReadFile(*folder_ + "/difficulty.pkl"), StartsWith("\x80\x02}"));
}

TEST_F(DifficultyTest, UnderTheOfficialProtocolTheValidationSplitIsTrainedOnToo) {
  EXPECT_THAT(Run({"difficulty", "--checkpoint=run/selected.pth", "--output=official.json",
                   "--set=data { protocol: OFFICIAL }"}),
              HasSubstr("difficulties of 5 training conversations written to official.json"));
}

TEST_F(DifficultyTest, EverySourceGivesTheSameCurriculum) {
  const std::string from_json = TrainWith("json", "difficulty_file: 'difficulty.json'");
  EXPECT_EQ(TrainWith("pickle", "difficulty_file: 'difficulty.pkl'"), from_json);
  EXPECT_EQ(TrainWith("checkpoint", "difficulty_checkpoint: 'run/selected.pth'"), from_json);
  std::vector<int> conversations;
  for (const EpochReport& epoch : ReadMetrics(*folder_ + "/json")) {
    conversations.push_back(epoch.conversations());
  }
  EXPECT_THAT(conversations, ElementsAre(2, 4, 4));
}

}  // namespace
}  // namespace cmerc
