// `cmerc predict --stream` through a pipe: utterances in, answers out, as they come.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "calibration/prediction.pb.h"
#include "datasets/export.h"
#include "datasets/formats/json_lines.h"
#include "tests/end_to_end/predicting.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// What a stream's answer may differ by from the one for the prefix.
constexpr double kTolerance = 1e-6;

constexpr char kPast[] =
    "--set=data { context: PAST } "
    "backbone { [type.googleapis.com/cmerc.GruOptions] { hidden_width: 8 linear_width: 8 } } "
    "training { epochs: 2 learning_rate: 0.01 }";

// Utterances [first, first + count) of a conversation as a line of JSON, without labels.
std::string JsonOf(const Conversation& conversation, const DatasetInfo& info, int64_t first,
                   int64_t count) {
  Conversation part = conversation;
  for (std::vector<torch::Tensor>& streams : part.features) {
    for (torch::Tensor& stream : streams) stream = stream.narrow(0, first, count).clone();
  }
  part.speakers = part.speakers.narrow(0, first, count).clone();
  part.labels = part.labels.narrow(0, first, count).clone();
  if (!part.utterances.empty()) {
    part.utterances = {part.utterances.begin() + first, part.utterances.begin() + first + count};
  }
  ConversationRecord record = RecordOf(part, info);
  for (auto& utterance : *record.mutable_utterances()) utterance.clear_label();
  return ConversationToJson(record);
}

// An answer, or what of it is in the messages of predict.
PredictedUtterance ParseAnswer(const std::string& line) {
  PredictedUtterance answer;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  // An id that is a number is none in the message.
  const std::string json = absl::StrReplaceAll(line, {{"\"id\":17,", ""}});
  const auto status = google::protobuf::util::JsonStringToMessage(json, &answer, options);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << line;
  return answer;
}

void ExpectSame(const PredictedUtterance& got, const PredictedUtterance& want) {
  EXPECT_EQ(got.label(), want.label());
  EXPECT_EQ(got.speaker().value(), want.speaker().value());
  EXPECT_EQ(got.probabilities_size(), want.probabilities_size());
  for (const auto& [name, probability] : want.probabilities()) {
    EXPECT_NEAR(got.probabilities().at(name), probability, kTolerance) << name;
  }
  ASSERT_EQ(got.without_size(), want.without_size());
  for (int v = 0; v < want.without_size(); ++v) {
    EXPECT_NEAR(got.without(v).confidence_change(), want.without(v).confidence_change(), kTolerance)
        << want.without(v).view();
  }
}

class PredictStreamTest : public PredictFixture {
 protected:
  static void SetUpTestSuite() {
    PredictFixture::SetUpTestSuite();
    const Outcome trained =
        RunCmerc({"train", "--config=tiny.textproto", "--output=past", kPast}, *folder_);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }

  // Utterance i of conversation c of the test split, said in the conversation `id`; `more` are
  // members in front.
  static std::string Utterance(size_t c, int64_t i, const std::string& id,
                               const std::string& more = "") {
    const std::string json = JsonOf((*conversations_)[c], *info_, i, 1);
    const size_t begin = json.find("[{") + 2, end = json.rfind("}]");
    return absl::StrCat("{\"conversation\":\"", id, "\",", more, json.substr(begin, end - begin),
                        "}\n");
  }

  // What `predict` answers to the last of the first `count` utterances of conversation c.
  static PredictedUtterance LastOfPrefix(const std::string& checkpoint, size_t c, int64_t count,
                                         const std::vector<std::string>& more = {}) {
    Write("prefix.jsonl", {JsonOf((*conversations_)[c], *info_, 0, count)});
    std::vector<std::string> args = {"predict", "--checkpoint=" + checkpoint,
                                     "--input=prefix.jsonl"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto predictions = Parse(outcome.out);
    return predictions.at(0).utterances(static_cast<int>(count) - 1);
  }
};

TEST_F(PredictStreamTest, ConversationsThatTakeTurnsAreAnsweredAtOnce) {
  const Conversing cmerc(*folder_, {"--stream", "--on_error=SKIP", "--explain"},
                         "past/selected.pth");
  const auto ask = [&](const std::string& line) {
    cmerc.Say(line);
    return cmerc.HearLine();
  };
  // Each is answered before the next is said.
  std::vector<std::string> answers = {ask(Utterance(0, 0, "d1")),
                                      ask(Utterance(1, 0, "d2", "\"id\":17,\"start\":1.50,"))};
  EXPECT_THAT(answers[0], StartsWith("{\"conversation\":\"d1\",\"utterance\":0,\"speaker\":"));
  EXPECT_THAT(answers[1], AllOf(StartsWith("{\"conversation\":\"d2\",\"utterance\":0,\"id\":17,"),
                                HasSubstr("\"start\":1.50")));
  EXPECT_THAT(ask("{\"conversation\":\"d2\",\"id\":\"u9\",\"speaker\":\"A\",\"features\":{\"text\":"
                  "[1]}}\n"),
              AllOf(StartsWith("{\"line\":3,\"conversation\":\"d2\",\"id\":\"u9\",\"error\":"),
                    HasSubstr("features.text has 1 numbers")));
  EXPECT_THAT(ask("what?\n"), StartsWith("{\"line\":4,\"error\":"));
  answers.push_back(ask(Utterance(0, 1, "d1")));
  answers.push_back(ask(Utterance(1, 1, "d2")));
  EXPECT_THAT(answers[3], StartsWith("{\"conversation\":\"d2\",\"utterance\":1,"));
  cmerc.Say("{\"conversation\":\"d1\",\"end\":true}\n{\"conversation\":\"d7\",\"end\":true}\n");
  const std::string again = ask(Utterance(0, 1, "d1"));
  EXPECT_THAT(again, AllOf(StartsWith("{\"conversation\":\"d1\",\"utterance\":0,"),
                           Not(HasSubstr("restarted"))));
  cmerc.CloseInput();
  EXPECT_EQ(cmerc.HearLine(), "");
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 0) << errors;
  EXPECT_THAT(errors,
              AllOf(HasSubstr("stream    at most 256 conversations at a time (--max_open)"),
                    HasSubstr("skipped: standard input, line 3: conversation d2: features.text"),
                    HasSubstr("skipped: standard input, line 4: "),
                    HasSubstr("line 8: conversation d7: is not open"),
                    HasSubstr("5 utterances answered, 2 not; 1 conversations ended, 0 dropped as "
                              "idle, 2 open at the end")));
  EXPECT_THAT(errors, Not(HasSubstr("predicted again")));
  for (size_t a = 0; a < answers.size(); ++a) {
    SCOPED_TRACE(testing::Message() << "answer " << a);
    ExpectSame(
        ParseAnswer(answers[a]),
        LastOfPrefix("past/selected.pth", a % 2, static_cast<int64_t>(a / 2) + 1, {"--explain"}));
  }
}

// The model draws on the past alone, wherever it is used: an answer is the same in the whole
// conversation and in its beginning.
TEST_F(PredictStreamTest, TheCheckpointRemembersTheContext) {
  Write("whole.jsonl", {JsonOf((*conversations_)[2], *info_, 0, (*conversations_)[2].length())});
  const Outcome outcome =
      RunCmerc({"predict", "--checkpoint=past/selected.pth", "--input=whole.jsonl"}, *folder_);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const PredictedConversation whole = Parse(outcome.out).at(0);
  for (int i = 0; i < whole.utterances_size(); ++i) {
    ExpectSame(whole.utterances(i), LastOfPrefix("past/selected.pth", 2, i + 1));
  }
  EXPECT_EQ(RunCmerc({"evaluate", "--checkpoint=past/selected.pth", "--views"}, *folder_).exit_code,
            0);
  EXPECT_EQ(RunCmerc({"difficulty", "--checkpoint=past/selected.pth", "--output=difficulty.json"},
                     *folder_)
                .exit_code,
            0);
  const Outcome other = RunCmerc(
      {"evaluate", "--checkpoint=past/selected.pth", "--set=data { context: CONVERSATION }"},
      *folder_);
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("these are not the weights of this model"));
}

TEST_F(PredictStreamTest, AModelOfWholeConversationsPredictsWhatThereIs) {
  const Conversing cmerc(*folder_, {"--stream"}, "run/selected.pth");
  std::vector<std::string> answers;
  for (int64_t i = 0; i < 2; ++i) {
    cmerc.Say(Utterance(3, i, "d1"));
    answers.push_back(cmerc.HearLine());
  }
  cmerc.CloseInput();
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 0) << errors;
  EXPECT_THAT(errors, HasSubstr("this model was trained with data { context: CONVERSATION }"));
  for (int64_t i = 0; i < 2; ++i) {
    ExpectSame(ParseAnswer(answers[i]), LastOfPrefix("run/selected.pth", 3, i + 1));
  }
}

TEST_F(PredictStreamTest, ABadLineEndsItUnlessItMayBeSkipped) {
  const Conversing cmerc(*folder_, {"--stream"}, "past/selected.pth");
  cmerc.Say(Utterance(0, 0, "d1"));
  EXPECT_THAT(cmerc.HearLine(), StartsWith("{\"conversation\":\"d1\""));
  cmerc.Say("{\"conversation\":\"d1\"}\n");
  EXPECT_EQ(cmerc.HearLine(), "");
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 2);
  EXPECT_THAT(errors, AllOf(HasSubstr("standard input, line 2: has no \"speaker\""),
                            HasSubstr("--on_error=SKIP answers such a line with its error")));
}

TEST_F(PredictStreamTest, AStreamOfWhichNothingCanBePredictedIsAnError) {
  const Conversing cmerc(*folder_, {"--stream", "--on_error=SKIP"}, "past/selected.pth");
  cmerc.Say("{\"conversation\":\"d1\"}\n");
  EXPECT_THAT(cmerc.HearLine(), StartsWith("{\"line\":1,\"error\":\"has no"));
  cmerc.CloseInput();
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 2);
  EXPECT_THAT(errors, HasSubstr("nothing was predicted: none of the 1 utterances"));
}

TEST_F(PredictStreamTest, LimitsAreAnsweredWithTheFlagThatRaisesThem) {
  const Conversing cmerc(*folder_, {"--stream", "--max_open=1", "--max_utterances=2"},
                         "past/selected.pth");
  for (int64_t i = 0; i < 2; ++i) {
    cmerc.Say(Utterance(0, i, "d1"));
    EXPECT_THAT(cmerc.HearLine(), HasSubstr("\"probabilities\""));
  }
  cmerc.Say(Utterance(0, 0, "d1"));
  EXPECT_THAT(cmerc.HearLine(),
              AllOf(StartsWith("{\"line\":3,\"conversation\":\"d1\",\"error\":"),
                    HasSubstr("max_utterances = 2"), HasSubstr("--max_utterances")));
  cmerc.Say(Utterance(0, 0, "d2"));
  EXPECT_THAT(cmerc.HearLine(), AllOf(HasSubstr("max_open = 1"), HasSubstr("--max_open")));
  cmerc.Say(absl::StrReplaceAll(Utterance(0, 0, "d1"), {{"{\"conv", "{\"end\":true,\"conv"}}));
  EXPECT_THAT(cmerc.HearLine(), HasSubstr("\"error\":"));
  cmerc.Say(Utterance(0, 0, "d2"));  // d1 has ended, with an utterance that was one too many
  EXPECT_THAT(cmerc.HearLine(), StartsWith("{\"conversation\":\"d2\",\"utterance\":0,"));
  cmerc.CloseInput();
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 0) << errors;
}

TEST_F(PredictStreamTest, ASignalEndsItWhileNothingComes) {
  const Conversing cmerc(*folder_, {"--stream"}, "past/selected.pth");
  cmerc.Say(Utterance(0, 0, "d1"));
  EXPECT_THAT(cmerc.HearLine(), HasSubstr("\"probabilities\""));
  cmerc.Signal(SIGINT);
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 0) << errors;
  EXPECT_THAT(errors, HasSubstr("1 utterances answered; 0 conversations ended"));
}

TEST_F(PredictStreamTest, AFileOfUtterancesIsAStreamToo) {
  Write("utterances.jsonl", {absl::StrReplaceAll(Utterance(0, 0, "d1"), {{"\n", ""}}), "",
                             absl::StrReplaceAll(Utterance(0, 1, "d1"), {{"\n", ""}})});
  const Outcome outcome = RunCmerc(
      {"predict", "--checkpoint=past/selected.pth", "--stream", "--input=utterances.jsonl"},
      *folder_);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_EQ(lines.size(), 2);
  ExpectSame(ParseAnswer(lines[1]), LastOfPrefix("past/selected.pth", 0, 2));
}

}  // namespace
}  // namespace cmerc
