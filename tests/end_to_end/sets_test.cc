// `--sets` and `--abstain_below` of `cmerc evaluate` and `predict`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/prediction.pb.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/predicting.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class SetsTest : public PredictFixture {
 protected:
  static Outcome Evaluate(const std::vector<std::string>& more,
                          const std::string& checkpoint = "run/selected.pth") {
    std::vector<std::string> args = {"evaluate", "--checkpoint=" + checkpoint, "--overwrite",
                                     "--output=scores.json"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome;
  }

  static SplitReport Scores() { return ReadEvaluation(*folder_ + "/scores.json").scores(); }
};

std::vector<std::string> SetOf(const PredictedUtterance& utterance) {
  std::vector<std::string> names;
  for (const auto& name : utterance.set().values()) names.push_back(name.string_value());
  return names;
}

TEST_F(SetsTest, EvaluateScoresTheSetsThatPredictGives) {
  for (const char* method : {"split", "class_conditional", "adaptive"}) {
    SCOPED_TRACE(method);
    const std::vector<std::string> flags = {"--sets=0.8", absl::StrCat("--sets_method=", method),
                                            "--abstain_below=0.5"};
    const Outcome evaluated = Evaluate(flags);
    EXPECT_THAT(evaluated.out,
                AllOf(HasSubstr("coverage asked for: 0.8, calibrated on 12 conversations"),
                      HasSubstr("AURC ")));
    const SplitReport scores = Scores();
    ASSERT_EQ(scores.sets().methods_size(), 1);
    const SetReport& sets = scores.sets().methods(0);
    EXPECT_EQ(sets.method(), method);
    std::vector<std::string> with_input = flags;
    with_input.emplace_back("--input=labelled.jsonl");
    const std::vector<PredictedConversation> answers = Parse(Predict(with_input).out);
    ASSERT_THAT(answers, SizeIs(9));
    EXPECT_EQ(MustPredict(with_input), MustPredict(flags));  // the test split of the data set
    int utterances = 0, covered = 0, size = 0, answered = 0, right = 0;
    double by_conversation = 0;
    for (const PredictedConversation& answer : answers) {
      int covered_here = 0;
      for (const PredictedUtterance& utterance : answer.utterances()) {
        const std::vector<std::string> set = SetOf(utterance);
        ++utterances;
        size += static_cast<int>(set.size());
        covered_here += std::count(set.begin(), set.end(), utterance.true_label().value()) > 0;
        ASSERT_TRUE(utterance.has_abstained());
        EXPECT_EQ(utterance.abstained().value(), utterance.calibrated_confidence().value() < 0.5);
        if (utterance.abstained().value()) continue;
        ++answered;
        right += utterance.label() == utterance.true_label().value() ? 1 : 0;
      }
      covered += covered_here;
      by_conversation += static_cast<double>(covered_here) / answer.utterances_size() / 9;
    }
    EXPECT_EQ(sets.coverage(), static_cast<double>(covered) / utterances);
    EXPECT_NEAR(sets.conversation_coverage(), by_conversation, 1e-12);
    EXPECT_EQ(sets.mean_size(), static_cast<double>(size) / utterances);
    EXPECT_EQ(scores.risk_coverage().confidence(), "calibrated_confidence");
    EXPECT_EQ(scores.risk_coverage().asked().answered(), answered);
    if (answered > 0) {
      EXPECT_EQ(scores.risk_coverage().asked().accuracy().value(),
                static_cast<double>(right) / answered);
    }
    EXPECT_EQ(scores.risk_coverage().points_size(), 20);
  }
}

TEST_F(SetsTest, WithoutTheFlagsNothingIsSaidOfThem) {
  const std::string plain = MustPredict({"--input=test.jsonl"});
  EXPECT_THAT(plain, Not(HasSubstr("\"set\"")));
  EXPECT_THAT(plain, Not(HasSubstr("abstained")));
  EXPECT_THAT(Evaluate({}).out, Not(HasSubstr("coverage")));
  EXPECT_FALSE(Scores().has_sets() || Scores().has_risk_coverage());
  // Such keys of an input are repeated as any other, unless answers have them.
  Write("kept.jsonl",
        {absl::StrCat((*lines_)[0].substr(0, (*lines_)[0].size() - 3), R"(,"set":["mine"]}]})")});
  EXPECT_THAT(MustPredict({"--input=kept.jsonl"}), HasSubstr(R"("set":["mine"])"));
  const Outcome refused = Predict({"--input=kept.jsonl", "--sets=0.8"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("].set is a key that answers have for themselves"));
}

TEST_F(SetsTest, TooFewConversationsAreSaidAndEveryClassIsIn) {
  const Outcome outcome = Predict({"--input=test.jsonl", "--sets=0.95"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err,
              HasSubstr("warning: every class is in every set: calibrated on 12 conversations; a "
                        "coverage of 0.95 needs 19"));
  for (const PredictedConversation& answer : Parse(outcome.out)) {
    for (const PredictedUtterance& utterance : answer.utterances()) {
      EXPECT_THAT(SetOf(utterance), SizeIs(3));
      EXPECT_EQ(SetOf(utterance)[0], utterance.label());
    }
  }
  EXPECT_THAT(Evaluate({"--sets=0.95"}).out, HasSubstr("note: every class is in every set"));
}

TEST_F(SetsTest, TablesHaveColumnsOfThem) {
  EXPECT_EQ(
      MustPredict({"--input=test.jsonl", "--sets=0.8", "--abstain_below=0.5", "--output=sets.csv"}),
      "");
  const std::string table = ReadFile(*folder_ + "/sets.csv");
  EXPECT_THAT(Lines(table)[0], HasSubstr(",set,abstained,conversation_extra,"));
  EXPECT_THAT(Lines(table)[1], AllOf(HasSubstr(",\"["), HasSubstr("]\",")));
}

// last.pth carries no scores: the data set's validation split says the same.
TEST_F(SetsTest, WithoutStoredScoresEvaluateTakesThoseOfTheValidationSplit) {
  const Outcome refused = RunCmerc(
      {"predict", "--checkpoint=run/last.pth", "--input=test.jsonl", "--sets=0.8"}, *folder_);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("last.pth never does; take selected.pth of the same run"));
  const Outcome evaluated = Evaluate({"--sets=0.8"}, "run/last.pth");
  EXPECT_THAT(evaluated.err, HasSubstr("sets are calibrated on that of the data set now"));
  EXPECT_EQ(Scores().sets().methods(0).calibration_conversations(), 12);
  EXPECT_THAT(Evaluate({"--sets=0.8", "--split=valid"}).err,
              HasSubstr("the coverage of sets there says nothing of new conversations"));
}

TEST_F(SetsTest, TheOfficialProtocolHasNoSplitForThem) {
  const Outcome trained = RunCmerc({"train", "--config=tiny.textproto", "--output=official",
                                    "--set=data { protocol: OFFICIAL }"},
                                   *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"predict", "--input=test.jsonl"},
        {"predict"},
        {"evaluate"},
        {"evaluate", "--input=labelled.jsonl"},
        // The model was trained on what is the validation split under this config.
        {"evaluate", "--set=data { protocol: HELD_OUT }"}}) {
    std::vector<std::string> all = args;
    all.insert(all.end(), {"--checkpoint=official/selected.pth", "--sets=0.8"});
    const Outcome outcome = RunCmerc(all, *folder_);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.out;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("--sets: official/selected.pth carries no scores"),
                                   HasSubstr("protocol OFFICIAL leaves no validation split; train "
                                             "under HELD_OUT")));
  }
}

TEST_F(SetsTest, ThePageOfARunHasThem) {
  ASSERT_EQ(RunCmerc({"report", "run", "--output=page.html"}, *folder_).exit_code, 0);
  EXPECT_THAT(ReadFile(*folder_ + "/page.html"),
              AllOf(HasSubstr("What can be acted on?"), HasSubstr("class conditional"),
                    HasSubstr("Answered and right, by threshold")));
}

}  // namespace
}  // namespace cmerc
