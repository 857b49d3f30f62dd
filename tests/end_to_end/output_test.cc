// What --output may replace, and what it is called.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OutputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewFolder());
    WriteFile(*folder_ + "/tiny.textproto", TinyConfig());
    Must({"train", "--config=tiny.textproto", "--output=run"});
    Must({"data", "convert", "--config=tiny.textproto", "--output=corpus.jsonl"});
  }

  static Outcome Run(const std::vector<std::string>& args, const Surroundings& surroundings = {}) {
    return RunCmerc(args, *folder_, surroundings);
  }
  static std::string Must(const std::vector<std::string>& args) {
    const Outcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }

  static std::string* folder_;
};

std::string* OutputTest::folder_ = nullptr;

TEST_F(OutputTest, OverwriteReplacesAFileOfTheSameKind) {
  const std::string checkpoint = "--checkpoint=run/selected.pth";
  const std::vector<std::vector<std::string>> commands = {
      {"evaluate", checkpoint, "--output=scores.json"},
      {"predict", checkpoint, "--input=corpus.jsonl", "--output=predicted.jsonl"},
      {"predict", checkpoint, "--output=of_data.jsonl"},
      {"difficulty", checkpoint, "--output=difficulty.json"},
      {"difficulty", checkpoint, "--output=difficulty.pkl"},
      {"data", "convert", "--config=tiny.textproto", "--output=a.records"},
      {"data", "convert", "--config=tiny.textproto", "--output=a.jsonl"},
      {"data", "convert", "--config=tiny.textproto", "--output=a.npz"},
      {"report", "run", "--output=page.html"},
  };
  for (std::vector<std::string> command : commands) {
    SCOPED_TRACE(command[0] + " " + command.back());
    const std::string file = absl::StrCat(*folder_, "/", command.back().substr(9));
    WriteFile(file, "");  // an empty file is in nobody's way
    Must(command);
    const std::string first = ReadFile(file);
    EXPECT_NE(first, "");
    const Outcome again = Run(command);
    EXPECT_EQ(again.exit_code, 2);
    EXPECT_THAT(again.err, HasSubstr("is there already and holds"));
    command.push_back("--overwrite");
    Must(command);
    EXPECT_EQ(ReadFile(file), first);
    WriteFile(file, "what somebody wrote\n");
    const Outcome other = Run(command);
    EXPECT_EQ(other.exit_code, 2);
    EXPECT_THAT(other.err, HasSubstr("does not hold"));
    EXPECT_EQ(ReadFile(file), "what somebody wrote\n");
  }
}

// As behind `>> corpus.jsonl`.
TEST_F(OutputTest, StandardOutputIsNoInputEither) {
  const std::string corpus = ReadFile(*folder_ + "/corpus.jsonl");
  Surroundings surroundings;
  surroundings.standard_output = *folder_ + "/corpus.jsonl";
  const Outcome outcome =
      Run({"predict", "--checkpoint=run/selected.pth", "--input=corpus.jsonl"}, surroundings);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err,
              HasSubstr("standard output is the same file as --input=corpus.jsonl, which is read"));
  EXPECT_EQ(ReadFile(*folder_ + "/corpus.jsonl"), corpus);
}

TEST_F(OutputTest, ATildeIsTheHomeFolder) {
  Surroundings surroundings;
  surroundings.environment = {{"HOME", *folder_ + "/home"}};
  std::filesystem::create_directory(*folder_ + "/home");
  const Outcome outcome = Run({"train", "--config=~/../tiny.textproto", "--output=~/runs/x",
                               "--set=data.dataset=Records data.dataset.file=~/../corpus.jsonl"},
                              surroundings);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(Files(*folder_ + "/home"), testing::Contains(testing::Key("runs/x/summary.json")));
  EXPECT_FALSE(std::filesystem::exists(*folder_ + "/~"));
  EXPECT_THAT(ReadFile(*folder_ + "/home/runs/x/config.textproto"),
              AllOf(HasSubstr("home/../corpus.jsonl"), Not(HasSubstr("~"))));
}

TEST_F(OutputTest, ARunMayBeRepeatedInItsOwnFolder) {
  Must({"train", "--config=tiny.textproto", "--output=again"});
  const std::string config = ReadFile(*folder_ + "/again/config.textproto");
  Must({"train", "--config=again/config.textproto", "--output=again", "--overwrite"});
  EXPECT_EQ(ReadFile(*folder_ + "/again/config.textproto"), config);
  // With another config it would not stay as it is.
  const Outcome other = Run({"train", "--config=again/config.textproto", "--output=again",
                             "--overwrite", "--set=training.epochs=2"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("the run reads again/config.textproto and would write over it"));
  EXPECT_EQ(ReadFile(*folder_ + "/again/config.textproto"), config);
  Must({"train", "--config=again/config.textproto", "--output=again", "--resume"});
}

TEST_F(OutputTest, TrainingSaysWhatItsLinesMeanAndCountsEpochsFromOne) {
  const std::string held_out = Must({"train", "--config=tiny.textproto", "--output=held_out",
                                     "--set", "training.epochs=2", "training.seed=5"});
  EXPECT_THAT(held_out, AllOf(HasSubstr("\nepochs    F1 is weighted over the classes; * marks the "
                                        "highest on valid so far"),
                              HasSubstr("\nepoch   2/2 "), HasSubstr(" of 2, protocol HELD_OUT")));
  const std::string metrics = ReadFile(*folder_ + "/held_out/metrics.jsonl");
  EXPECT_THAT(metrics, AllOf(testing::StartsWith("{\"epoch\":1,"), HasSubstr("\n{\"epoch\":2,")));
  EXPECT_THAT(ReadFile(*folder_ + "/held_out/summary.json"),
              AllOf(HasSubstr("\"seed\": \"5\""), HasSubstr("\"epochs_from\": 1")));
  EXPECT_THAT(Must({"train", "--config=tiny.textproto", "--output=official",
                    "--set=data.protocol=OFFICIAL"}),
              HasSubstr("* marks the highest on test so far"));
}

TEST_F(OutputTest, HelpKnowsPluginsAndPartsOfAConfig) {
  EXPECT_THAT(Must({"help", "Gru"}), AllOf(HasSubstr("backbone Gru"), Not(HasSubstr("M3Net"))));
  EXPECT_EQ(Must({"help", "losses"}), Must({"plugins", "losses"}));
  EXPECT_THAT(Must({"help", "losses"}),
              AllOf(HasSubstr("loss Nll "), HasSubstr("loss Cscl "), Not(HasSubstr("backbone"))));
  EXPECT_EQ(Must({"help", "loss"}), Must({"help", "losses"}));
  EXPECT_THAT(Must({"help", "training"}),
              AllOf(testing::StartsWith("training {\n"), HasSubstr("  batch_size: 16 "),
                    Not(HasSubstr("fold_group"))));
}

}  // namespace
}  // namespace cmerc
