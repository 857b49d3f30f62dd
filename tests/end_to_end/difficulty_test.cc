// `cmerc difficulty`, and training with what it writes.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "calibration/difficulty.pb.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class DifficultyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewFolderWithRun());
    Run({"difficulty", "--checkpoint=run/selected.pth", "--output=difficulty.json"});
    Run({"difficulty", "--checkpoint=run/selected.pth", "--output=difficulty.pkl"});
  }

  static std::string Run(const std::vector<std::string>& args, const std::string& warning = "") {
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    if (warning.empty()) {
      EXPECT_EQ(outcome.err, "");
    } else {
      EXPECT_THAT(outcome.err, StartsWith("warning: " + warning));
    }
    return outcome.out;
  }

  // metrics.jsonl of three epochs with half of the four conversations first. `warning` begins what
  // is said about the source, on the terminal and in summary.json.
  static std::string TrainWith(const std::string& name, const std::string& source,
                               const std::string& warning = "", const std::string& set = "") {
    std::vector<std::string> args = {
        "train", "--config=tiny.textproto", "--output=" + name,
        "--set=curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] "
        "{ epoch_ratio: 0.5 } } " +
            source + " } training { epochs: 3 }"};
    if (!set.empty()) args.push_back("--set=" + set);
    const std::string out = Run(args, warning);
    const RunSummary summary = ReadSummary(*folder_ + "/" + name);
    int of_difficulties = 0;
    for (const std::string& one : summary.warnings()) {
      if (!absl::StartsWith(one, "the difficulties ")) continue;  // of remedies
      ++of_difficulties;
      EXPECT_THAT(one, StartsWith(warning));
      EXPECT_THAT(out, HasSubstr("\nwarning: " + one + "\n"));
    }
    EXPECT_EQ(of_difficulties, warning.empty() ? 0 : 1) << name;
    return ReadFile(*folder_ + "/" + name + "/metrics.jsonl");
  }

  // Conversation -> difficulty, of a run's curriculum.json.
  static std::map<std::string, float> Curriculum(const std::string& name) {
    CurriculumReport report;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(
                    ReadFile(*folder_ + "/" + name + "/curriculum.json"), &report)
                    .ok());
    std::map<std::string, float> difficulties;
    for (const auto& entry : report.conversations()) {
      difficulties[entry.conversation()] = entry.difficulty();
    }
    return difficulties;
  }

  // The same of a file of `cmerc difficulty`.
  static std::map<std::string, float> Measured(const std::string& name) {
    DifficultyFile file;
    EXPECT_TRUE(
        google::protobuf::util::JsonStringToMessage(ReadFile(*folder_ + "/" + name), &file).ok());
    std::map<std::string, float> difficulties;
    for (const auto& entry : file.conversations()) {
      difficulties[entry.conversation()] = entry.difficulty();
    }
    return difficulties;
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
  EXPECT_EQ(TrainWith("pickle", "difficulty_file: 'difficulty.pkl'",
                      "the difficulties come from difficulty.pkl, which does not say the protocol"),
            from_json);
  EXPECT_EQ(TrainWith("checkpoint", "difficulty_checkpoint: 'run/selected.pth'"), from_json);
  std::vector<int> conversations;
  for (const EpochReport& epoch : ReadMetrics(*folder_ + "/json")) {
    conversations.push_back(epoch.conversations());
  }
  EXPECT_THAT(conversations, ElementsAre(2, 4, 4));
}

// A model that has seen one scale must not be shown another, nor modalities it does not know.
TEST_F(DifficultyTest, ACheckpointSeesTheDataAsInItsOwnTraining) {
  int run = 0;
  for (const std::string theirs : {"data { standardize: true }", "data { standardize: false }",
                                   "data { standardize: true modalities: 'text' modalities: "
                                   "'audio' }"}) {
    const std::string name = "theirs_" + std::to_string(run++);
    Run({"train", "--config=tiny.textproto", "--output=" + name,
         "--set=training { epochs: 3 learning_rate: 0.01 } " + theirs});
    const std::string checkpoint = name + "/selected.pth";
    Run({"difficulty", "--checkpoint=" + checkpoint, "--output=" + name + ".json"});
    const std::map<std::string, float> measured = Measured(name + ".json");
    ASSERT_EQ(measured.size(), 4u);
    for (const char* ours : {"true", "false"}) {
      TrainWith("ours", "difficulty_checkpoint: '" + checkpoint + "'", "",
                std::string(" data { standardize: ") + ours + " }");
      EXPECT_EQ(Curriculum("ours"), measured) << theirs << ", in a run with " << ours;
      std::filesystem::remove_all(*folder_ + "/ours");
    }
  }
  EXPECT_NE(Measured("theirs_0.json"), Measured("theirs_1.json"));
}

// The test split chose the epoch of the model that chose the order of training.
TEST_F(DifficultyTest, TestLabelsBehindDifficultiesAreWarnedOf) {
  const std::string official = " data { protocol: OFFICIAL }";
  Run({"train", "--config=tiny.textproto", "--output=official",
       "--set=training { epochs: 3 }" + official});
  Run({"difficulty", "--checkpoint=official/selected.pth", "--output=of_official.json"});
  Run({"difficulty", "--checkpoint=run/selected.pth", "--output=of_held_out.json",
       "--set=data { protocol: OFFICIAL }"});
  const std::string from = "the difficulties come from ";
  const std::string not_held_out =
      ", a model whose epoch the test split selected and that was trained on the validation split "
      "too (protocol OFFICIAL): the test scores are then not held out";
  TrainWith("a", "difficulty_checkpoint: 'official/selected.pth'",
            from + "official/selected.pth" + not_held_out);
  TrainWith("b", "difficulty_file: 'of_official.json'", from + "of_official.json" + not_held_out);
  const std::string reach_weights =
      ", a model whose epoch the test split selected (protocol OFFICIAL): labels of the test split "
      "reach the trained weights";
  TrainWith("c", "difficulty_file: 'of_official.json'", from + "of_official.json" + reach_weights,
            official);
  TrainWith("d", "", from + "the uncalibrated model" + reach_weights,
            " training { compare_uncalibrated: true }" + official);
  // What the test split had no part in.
  TrainWith("e", "difficulty_file: 'of_held_out.json'", "", official);
  TrainWith("f", "difficulty_checkpoint: 'run/selected.pth'");
  TrainWith("g", "", "", " training { compare_uncalibrated: true }");

  Run({"report", "a", "--output=a.html"});
  EXPECT_THAT(ReadFile(*folder_ + "/a.html"),
              HasSubstr("Warning: " + from + "official/selected.pth" + not_held_out));
}

}  // namespace
}  // namespace cmerc
