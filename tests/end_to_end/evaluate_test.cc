// `cmerc evaluate` gives the scores that the run gave.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "metrics/text_report.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class EvaluateTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(NewFolder());
    // As much to learn from and to validate on as it takes to tell a temperature.
    WriteFile(
        *folder_ + "/tiny.textproto",
        absl::StrReplaceAll(TinyConfig(), {{"train_conversations: 4", "train_conversations: 20"},
                                           {"valid_conversations: 1", "valid_conversations: 12"}}));
    const Outcome trained = RunCmerc({"train", "--config=tiny.textproto", "--output=run",
                                      "--set=training { epochs: 3 learning_rate: 0.01 }"},
                                     *folder_);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    summary_ = new RunSummary(ReadSummary(*folder_ + "/run"));
  }

  Outcome Evaluate(const std::vector<std::string>& more) {
    std::vector<std::string> args = {"evaluate", "--checkpoint=run/selected.pth"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome;
  }

  static std::string* folder_;
  static RunSummary* summary_;
};

// What `cmerc evaluate` says of a split without being asked for more: of the remedies of a run it
// knows the temperature, which is the first.
SplitReport WithTemperatureAlone(SplitReport report) {
  report.clear_sets();
  report.clear_risk_coverage();
  while (report.post_hoc_size() > 1) report.mutable_post_hoc()->RemoveLast();
  return report;
}

std::string* EvaluateTest::folder_ = nullptr;
RunSummary* EvaluateTest::summary_ = nullptr;

TEST_F(EvaluateTest, TestScoresAreThoseOfTheSummary) {
  const Outcome outcome = Evaluate({"--output=test.json"});
  EXPECT_THAT(outcome.out, HasSubstr(FormatSplitReport(summary_->test())));
  EXPECT_THAT(outcome.out, HasSubstr("split     test\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("without text")));

  const EvaluationReport report = ReadEvaluation(*folder_ + "/test.json");
  EXPECT_EQ(report.checkpoint(), "run/selected.pth");
  EXPECT_EQ(report.split(), "test");
  EXPECT_EQ(report.protocol(), summary_->protocol());
  EXPECT_THAT(outcome.out, HasSubstr("\ncalibration "));
  EXPECT_THAT(outcome.out, HasSubstr("\ntemperature "));
  SplitReport expected = WithTemperatureAlone(summary_->test());
  expected.clear_views();
  expected.mutable_post_hoc(0)->clear_share_surer_without();
  EXPECT_TRUE(MessageDifferencer::Equals(report.scores(), expected))
      << report.scores().DebugString() << expected.DebugString();
}

TEST_F(EvaluateTest, ViewsOfTheTestSplitAreThoseOfTheSummary) {
  const Outcome outcome = Evaluate({"--views", "--output=views.json"});
  for (const char* view : {"text", "audio", "visual", "same_speaker", "other_speakers"}) {
    EXPECT_THAT(outcome.out, HasSubstr(std::string("\nwithout ") + view + " "));
  }
  const SplitReport scores = ReadEvaluation(*folder_ + "/views.json").scores();
  EXPECT_EQ(scores.views_size(), 5);
  EXPECT_TRUE(MessageDifferencer::Equals(scores, WithTemperatureAlone(summary_->test())))
      << scores.DebugString();
}

TEST_F(EvaluateTest, OtherSplits) {
  Evaluate({"--split=valid", "--output=valid.json"});
  Evaluate({"--split", "train", "--output", "train.json"});
  for (const auto& [split, expected] :
       {std::make_pair("valid", summary_->valid()), std::make_pair("train", summary_->train())}) {
    SplitReport scores = ReadEvaluation(*folder_ + "/" + split + ".json").scores();
    ASSERT_EQ(scores.post_hoc_size(), 1) << split;
    // Fitted on this one.
    if (std::string(split) == "valid") {
      EXPECT_LE(scores.post_hoc(0).calibration().nll(), scores.calibration().nll());
    }
    scores.clear_post_hoc();
    EXPECT_TRUE(MessageDifferencer::Equals(scores, expected)) << split;
  }
}

TEST_F(EvaluateTest, WithAConfigOfItsOwn) {
  const Outcome same = Evaluate({"--config=tiny.textproto"});
  EXPECT_THAT(same.out, HasSubstr(FormatSplitReport(summary_->test())));
  // Other conversations of the same kind.
  Evaluate({"--output=others.json",
            "--set=data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { "
            "test_conversations: 9 } } }"});
  EXPECT_EQ(ReadEvaluation(*folder_ + "/others.json").scores().conversations(), 9);
}

TEST_F(EvaluateTest, MissingEvidenceAtRandom) {
  const Outcome outcome = Evaluate({"--missing=0,0.3,0.6", "--output=missing.json"});
  EXPECT_THAT(outcome.out, HasSubstr(FormatSplitReport(summary_->test())));
  EXPECT_THAT(outcome.out, HasSubstr("\nmodalities of utterances removed at random, seed 1"));
  const EvaluationReport report = ReadEvaluation(*folder_ + "/missing.json");
  const RobustnessReport& robustness = report.robustness();
  EXPECT_EQ(robustness.seed(), 1U);
  ASSERT_EQ(robustness.missing_size(), 3);
  for (const MissingReport& entry : robustness.missing()) {
    EXPECT_NEAR(entry.removed(), entry.rate(), 0.1);
    EXPECT_EQ(entry.scores().utterances(), report.scores().utterances());
    EXPECT_EQ(entry.scores().post_hoc_size(), 1);
    EXPECT_EQ(entry.scores().views_size(), 0);
    EXPECT_EQ(MessageDifferencer::Equals(entry.scores(), report.scores()), entry.rate() == 0);
  }
  EXPECT_EQ(robustness.missing(0).removed(), 0);
  // The same of any order of shares, another of another seed.
  Evaluate({"--missing=0.6", "--output=alone.json"});
  EXPECT_TRUE(MessageDifferencer::Equals(
      ReadEvaluation(*folder_ + "/alone.json").robustness().missing(0), robustness.missing(2)));
  Evaluate({"--missing=0.6", "--seed=2", "--output=other.json"});
  const RobustnessReport other = ReadEvaluation(*folder_ + "/other.json").robustness();
  EXPECT_EQ(other.seed(), 2U);
  EXPECT_FALSE(MessageDifferencer::Equals(other.missing(0), robustness.missing(2)));
}

TEST_F(EvaluateTest, ReplacesTheFileItWrites) {
  WriteFile(*folder_ + "/old.json", R"({"checkpoint": "of.pth", "scores": {}})");
  Evaluate({"--output=old.json", "--overwrite"});
  EXPECT_GT(ReadEvaluation(*folder_ + "/old.json").scores().conversations(), 0);
}

TEST_F(EvaluateTest, WarnsOfClassesWithOtherNames) {
  TinyCorpus corpus;
  WriteFile(*folder_ + "/corpus.pkl", PickleOf(corpus));
  const std::string data =
      "data { dataset { [type.googleapis.com/cmerc.OfficialPicklesOptions] { "
      "roberta_file: 'corpus.pkl' class_names: ";
  const Outcome trained = RunCmerc({"train", "--config=tiny.textproto", "--output=named",
                                    "--set=" + data + "['calm', 'angry'] } } }"},
                                   *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Outcome outcome = RunCmerc(
      {"evaluate", "--checkpoint=named/selected.pth", "--set=" + data + "['angry', 'calm'] } } }"},
      *folder_);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, StartsWith("warning: the model was trained on the classes calm angry"));
}

}  // namespace
}  // namespace cmerc
