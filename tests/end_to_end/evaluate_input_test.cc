// `cmerc evaluate --input` scores labelled conversations as it scores a split.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "metrics/text_report.h"
#include "tests/end_to_end/predicting.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class EvaluateInputTest : public PredictFixture {
 protected:
  static Outcome Evaluate(const std::vector<std::string>& more,
                          const std::string& standard_input = "/dev/null") {
    std::vector<std::string> args = {"evaluate", "--checkpoint=run/selected.pth"};
    args.insert(args.end(), more.begin(), more.end());
    Surroundings surroundings;
    surroundings.standard_input = standard_input;
    return RunCmerc(args, *folder_, surroundings);
  }

  static EvaluationReport MustEvaluate(const std::vector<std::string>& more) {
    std::vector<std::string> args = {"--output=scores.json", "--overwrite"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = Evaluate(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return ReadEvaluation(*folder_ + "/scores.json");
  }
};

TEST_F(EvaluateInputTest, GivesExactlyTheScoresOfTheSplit) {
  const EvaluationReport split = MustEvaluate({"--views"});
  const EvaluationReport input = MustEvaluate({"--views", "--input=labelled.jsonl"});
  EXPECT_EQ(split.scores().views_size(), 5);
  EXPECT_EQ(split.scores().post_hoc_size(), 1);
  EXPECT_TRUE(MessageDifferencer::Equals(split.scores(), input.scores()))
      << input.scores().DebugString();
  EXPECT_EQ(input.split(), "");
  EXPECT_EQ(input.input().value(), "labelled.jsonl");
  EXPECT_FALSE(split.has_input());
  EXPECT_EQ(input.protocol(), split.protocol());

  const Outcome streamed = Evaluate({"--input=-"}, *folder_ + "/labelled.jsonl");
  EXPECT_EQ(streamed.exit_code, 0) << streamed.err;
  EXPECT_THAT(streamed.out, AllOf(HasSubstr("data      -, 9 conversations ("),
                                  HasSubstr(FormatSplitReport(split.scores())),
                                  HasSubstr("\ntemperature "), Not(HasSubstr("split     "))));
}

TEST_F(EvaluateInputTest, NeedsNoDataAndReadsOtherFormats) {
  const auto convert = [](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"data", "convert", "--config=tiny.textproto"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  convert({"--output=all.jsonl"});
  const SplitReport lines = MustEvaluate({"--input=all.jsonl"}).scores();
  EXPECT_EQ(lines.conversations(), 20 + 12 + 2);
  // These list the classes in another order than the model, and one that nobody has.
  const std::string reordered =
      "--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: 'all.jsonl' "
      "class_names: ['class_2', 'none_of_these', 'class_0', 'class_1'] } } }";
  for (const char* output : {"other.records", "other.npz"}) {
    convert({reordered, absl::StrCat("--output=", output)});
    const SplitReport scores = MustEvaluate({absl::StrCat("--input=", output)}).scores();
    EXPECT_TRUE(MessageDifferencer::Equals(scores, lines)) << output << scores.DebugString();
  }
}

TEST_F(EvaluateInputTest, SaysAllThatIsWrongWithTheLabels) {
  std::vector<std::string> lines = Lines(ReadFile(*folder_ + "/labelled.jsonl"));
  lines[1] = absl::StrReplaceAll(lines[1], {{"\"label\":", "\"lable\":"}});
  lines[2] = absl::StrReplaceAll(lines[2], {{"\"label\":\"class_", "\"label\":\"clas_"}});
  lines[3] = absl::StrReplaceAll(lines[3], {{"\"label\":\"class_", "\"label\":\""}});
  lines[4] = lines[0];
  Write("wrong.jsonl", lines);
  const Outcome outcome = Evaluate({"--input=wrong.jsonl"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  const std::string want = ", want a class of the model: class_0, class_1, class_2; ";
  EXPECT_THAT(
      outcome.err,
      AllOf(HasSubstr("wrong.jsonl, line 2: conversation test_1: utterances[0].label is missing" +
                      want + "is it \"lable\"?"),
            HasSubstr("line 3: conversation test_2: utterances[0].label is \"clas_"),
            HasSubstr(want + "did you mean \"class_"),
            HasSubstr(want + "numbers say nothing without a list of names"),
            HasSubstr("line 5: conversation test_0: its id is that of wrong.jsonl, line 1: "
                      "conversation test_0 too")));
}

TEST_F(EvaluateInputTest, UnusableInput) {
  WriteFile(*folder_ + "/nothing.jsonl", "\n");
  EXPECT_THAT(Evaluate({"--input=nothing.jsonl"}).err,
              HasSubstr("nothing.jsonl is empty: there is no conversation to score"));
  for (const char* flag : {"--split=valid", "--config=tiny.textproto"}) {
    const Outcome both = Evaluate({"--input=labelled.jsonl", flag});
    EXPECT_EQ(both.exit_code, 2);
    EXPECT_THAT(both.err, HasSubstr("says which dataset to score, and --input=labelled.jsonl "
                                    "which conversations; keep one"));
  }
  const Outcome unlabelled = Evaluate({"--input=test.jsonl"});
  EXPECT_EQ(unlabelled.exit_code, 2);
  EXPECT_THAT(
      unlabelled.err,
      HasSubstr("no utterance of test.jsonl has a label, and scores need some, want a class "
                "of the model: class_0, class_1"));
}

// Utterances without a label are context: the others get the scores that they have beside labelled
// ones.
TEST_F(EvaluateInputTest, ScoresTheLabelledUtterances) {
  std::vector<std::string> lines = Lines(ReadFile(*folder_ + "/labelled.jsonl"));
  const size_t label = lines[0].find("\"label\":\"");
  const size_t end = lines[0].find(',', label);
  lines[0].replace(label, end - label, "\"label\":null");
  lines[1] = absl::StrReplaceAll(lines[1], {{"\"label\":\"class_0\",", ""},
                                            {"\"label\":\"class_1\",", ""},
                                            {"\"label\":\"class_2\",", "\"label\":-1,"}});
  Write("partly.jsonl", lines);
  const SplitReport all = MustEvaluate({"--input=labelled.jsonl"}).scores();
  const SplitReport partly = MustEvaluate({"--input=partly.jsonl", "--views"}).scores();
  const int unlabelled = partly.unlabelled_utterances().value();
  EXPECT_GT(unlabelled, 1);
  EXPECT_EQ(partly.utterances() + unlabelled, all.utterances());
  EXPECT_EQ(partly.conversations(), all.conversations());
  EXPECT_EQ(partly.views_size(), 5);
  EXPECT_FALSE(all.has_unlabelled_utterances());
  const std::string out = Evaluate({"--input=partly.jsonl"}).out;
  EXPECT_THAT(out, HasSubstr(absl::StrCat(" utterances, ", unlabelled, " unlabelled)")));
  EXPECT_THAT(out, HasSubstr(absl::StrCat(unlabelled,
                                          " utterances have no label: context, and in "
                                          "no score\n")));
}

}  // namespace
}  // namespace cmerc
