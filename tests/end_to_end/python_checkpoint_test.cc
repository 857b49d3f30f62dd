// Weights in files as training scripts in Python save them: the scores are those of the run that
// they are from, and a line says what was read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/checkpoint.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/reports.h"
#include "tests/storage/python_archive.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

class PythonCheckpointTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { folder_ = new std::string(NewFolderWithRun()); }

  static Outcome Run(const std::vector<std::string>& args) {
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome;
  }

  // Evaluates the weights of the run in a file of Python, and returns what is said beside.
  static std::string Evaluate(const std::vector<std::string>& entries, const std::string& prefix) {
    const auto checkpoint = ReadCheckpoint(*folder_ + "/run/selected.pth");
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    WriteFile(*folder_ + "/best.pth", PythonArchive(checkpoint->state, entries, prefix));
    const Outcome outcome = Run(
        {"evaluate", "--checkpoint=best.pth", "--config=tiny.textproto", "--output=scores.json"});
    const SplitReport scores = ReadEvaluation(*folder_ + "/scores.json").scores();
    const SplitReport want = ReadSummary(*folder_ + "/run").test();
    EXPECT_EQ(scores.weighted_f1(), want.weighted_f1());
    EXPECT_EQ(scores.loss(), want.loss());
    return outcome.err;
  }

  static std::string* folder_;
};

std::string* PythonCheckpointTest::folder_ = nullptr;

TEST_F(PythonCheckpointTest, AStateDict) { EXPECT_EQ(Evaluate({}, ""), ""); }

TEST_F(PythonCheckpointTest, AStateDictInsideADict) {
  EXPECT_EQ(Evaluate({"model_state_dict"}, ""),
            "note: best.pth: the weights are its entry \"model_state_dict\"\n");
}

TEST_F(PythonCheckpointTest, AStateDictOfDataParallel) {
  EXPECT_EQ(Evaluate({"model"}, "module."),
            "note: best.pth: the weights are its entry \"model\"; the names of the weights begin "
            "with \"module.\", which is left out\n");
}

// The difficulties of a curriculum may come from such a file, too.
TEST_F(PythonCheckpointTest, ADifficultyCheckpoint) {
  Evaluate({"net"}, "_orig_mod.");
  const Outcome outcome =
      Run({"train", "--config=tiny.textproto", "--output=curriculum",
           "--set=curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] {} } "
           "difficulty_checkpoint: 'best.pth' }"});
  EXPECT_THAT(outcome.err, HasSubstr("note: best.pth: the weights are its entry \"net\""));
}

// MELD's preset leaves linear_l out, which is official with GRU alone: both training and official
// weights of another encoder say so.
TEST_F(PythonCheckpointTest, NoOfficialModelLeavesTheLinearLayerOutBeforeAnLstm) {
  const std::string meld = "semantics: OFFICIAL input_width: 32 text_encoder: LSTM text_linear: ";
  const auto backbone = [&](const std::string& text_linear) {
    return absl::StrCat("--set=backbone { [type.googleapis.com/cmerc.M3NetOptions] { ", meld,
                        text_linear, " } }");
  };
  const std::string says = "leaves linear_l out with --base-model GRU alone";
  const Outcome trained =
      Run({"train", "--config=tiny.textproto", "--output=lstm", backbone("false")});
  EXPECT_THAT(trained.err, HasSubstr("warning: backbone: text_linear = false with text_encoder = "
                                     "LSTM"));
  EXPECT_THAT(trained.err, HasSubstr(says));
  EXPECT_EQ(Run({"train", "--config=tiny.textproto", "--output=right", backbone("true")}).err, "");

  const auto weights = ReadCheckpoint(*folder_ + "/right/selected.pth");
  ASSERT_TRUE(weights.ok()) << weights.status();
  WriteFile(*folder_ + "/official.pth", PythonArchive(weights->state, {}, ""));
  const Outcome refused = RunCmerc(
      {"evaluate", "--checkpoint=official.pth", "--config=tiny.textproto", backbone("false")},
      *folder_);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr(says));
  EXPECT_THAT(refused.err, HasSubstr("text_linear: true"));
  Run({"evaluate", "--checkpoint=official.pth", "--config=tiny.textproto", backbone("true")});
  // The weights of the run itself are what its config says.
  Run({"evaluate", "--checkpoint=lstm/selected.pth"});
}

}  // namespace
}  // namespace cmerc
