// `cmerc predict` in a job that nobody watches: what is left out, what is carried along, tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/bytes/packed.h"
#include "tests/end_to_end/predicting.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr char kNarrow[] =
    R"({"id": "odd", "utterances": [{"speaker": "A", "features": {"text": [1]}}]})";

class NightlyTest : public PredictFixture {
 protected:
  // Nine good conversations and, behind the third, `bad` others.
  static void WriteMixed(const std::string& file, int bad) {
    std::vector<std::string> lines(*lines_);
    lines.insert(lines.begin() + 3, bad, kNarrow);
    Write(file, lines);
  }
};

int Count(const std::string& text, const std::string& part) {
  return static_cast<int>(absl::StrSplit(text, part).operator std::vector<std::string>().size()) -
         1;
}

TEST_F(NightlyTest, FailsWhereNothingWasPredicted) {
  Write("bad.jsonl", {kNarrow, "{}", "nonsense"});
  const std::string before = "{\"id\":\"a\",\"utterances\":[{\"probabilities\":{}}]}\n";
  WriteFile(*folder_ + "/before.jsonl", before);
  const Outcome outcome =
      Predict({"--input=bad.jsonl", "--on_error=SKIP", "--output=before.jsonl", "--overwrite"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("skipped: bad.jsonl, line 3: "),
                    HasSubstr("cmerc: nothing was predicted: all 3 conversations of bad.jsonl")));
  EXPECT_EQ(ReadFile(*folder_ + "/before.jsonl"), before);
}

TEST_F(NightlyTest, MaxSkippedIsANumberOrAShare) {
  WriteMixed("mixed.jsonl", 3);  // of 12
  const auto run = [](const std::string& limit, const std::string& output) {
    return Predict({"--input=mixed.jsonl", "--on_error=SKIP", "--max_skipped=" + limit,
                    "--output=" + output, "--overwrite"});
  };
  for (const char* enough : {"3", "25%", "100%"}) {
    EXPECT_EQ(run(enough, "enough.jsonl").exit_code, 0) << enough;
    EXPECT_THAT(Lines(ReadFile(*folder_ + "/enough.jsonl")), SizeIs(9));
  }
  const Outcome number = run("2", "number.jsonl");
  EXPECT_EQ(number.exit_code, 2);
  EXPECT_THAT(number.err,
              AllOf(HasSubstr("more conversations were skipped than --max_skipped=2 allows"),
                    HasSubstr("3 conversations before it were predicted")));
  EXPECT_THAT(Lines(ReadFile(*folder_ + "/number.jsonl")), SizeIs(3));
  const Outcome share = run("24.9%", "share.jsonl");
  EXPECT_EQ(share.exit_code, 2);
  EXPECT_THAT(share.err, HasSubstr("cmerc: 3 of 12 conversations were skipped, and "
                                   "--max_skipped=24.9% allows fewer"));
  EXPECT_THAT(Lines(ReadFile(*folder_ + "/share.jsonl")), SizeIs(9));
}

TEST_F(NightlyTest, EmptyFilesAndStreamsEndAlike) {
  WriteFile(*folder_ + "/empty.jsonl", "");
  WriteFile(*folder_ + "/blank.jsonl", "\n \n");
  for (const char* file : {"empty.jsonl", "blank.jsonl"}) {
    const Outcome named = Predict({absl::StrCat("--input=", file), "--output=none.jsonl"});
    const Outcome streamed =
        Predict({"--input=-", "--output=none.jsonl"}, absl::StrCat(*folder_, "/", file));
    EXPECT_EQ(named.exit_code, 2);
    EXPECT_EQ(streamed.exit_code, 2);
    EXPECT_THAT(named.err, AllOf(HasSubstr(file), HasSubstr(" is empty")));
    EXPECT_THAT(streamed.err, HasSubstr("standard input is empty: there is no conversation"));
  }
  EXPECT_EQ(Predict({"--input=-"}).exit_code, 2);  // a device
  EXPECT_FALSE(std::filesystem::exists(*folder_ + "/none.jsonl"));
}

TEST_F(NightlyTest, AModelWithoutATemperatureIsSaidOnceOrRefused) {
  for (const std::string input : {"--input=test.jsonl", "--split=test"}) {
    const auto run = [&](const std::vector<std::string>& more) {
      std::vector<std::string> args = {"predict", "--checkpoint=run/last.pth", input};
      args.insert(args.end(), more.begin(), more.end());
      return RunCmerc(args, *folder_);
    };
    const Outcome warned = run({});
    EXPECT_EQ(warned.exit_code, 0);
    EXPECT_EQ(Count(warned.err, "warning: run/last.pth carries no temperature"), 1) << warned.err;
    EXPECT_THAT(warned.err, HasSubstr("take selected.pth of the same run"));
    for (const PredictedConversation& prediction : Parse(warned.out)) {
      EXPECT_FALSE(prediction.utterances(0).has_calibrated_confidence());
      EXPECT_EQ(prediction.utterances(0).calibrated_probabilities_size(), 0);
    }
    const Outcome refused = run({"--require_calibrated", "--output=refused.jsonl"});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err,
                StartsWith("cmerc: --require_calibrated: run/last.pth carries no temperature"));
    EXPECT_FALSE(std::filesystem::exists(*folder_ + "/refused.jsonl"));
  }
  const Outcome calibrated = Predict({"--input=test.jsonl", "--require_calibrated"});
  EXPECT_EQ(calibrated.exit_code, 0);
  EXPECT_THAT(calibrated.err, Not(HasSubstr("temperature")));
}

// The first line with more keys: before its utterances, and in the first of them.
std::string WithKeys(const std::string& line, const std::string& of_conversation,
                     const std::string& of_utterance) {
  const size_t utterances = line.find("\"utterances\":[{");
  return absl::StrCat(line.substr(0, utterances), of_conversation, "\"utterances\":[{",
                      of_utterance, line.substr(utterances + 15));
}

TEST_F(NightlyTest, CarriesAlongWhatNoModelLooksAt) {
  const std::string of_conversation = R"("metadata": {"call": 7},"channel":"web",)";
  Write("carried.jsonl",
        {WithKeys((*lines_)[0], of_conversation, R"("id":"u1","start":1.50,)"),
         WithKeys((*lines_)[1], R"("channel":null,)", R"("id":12,"metadata":[1, 2],"end":2,)")});
  const std::vector<std::string> plain =
      Lines(MustPredict({"--input=test.jsonl"}));  // batches of two
  const Outcome outcome = Predict({"--input=carried.jsonl"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines[0], StartsWith(R"({"id":"test_0","metadata":{"call": 7},"channel":"web",)"
                                   R"("utterances":[{"id":"u1","speaker":")"));
  EXPECT_THAT(lines[1], StartsWith(R"({"id":"test_1","channel":null,"utterances":[{"id":12,)"));
  EXPECT_EQ(absl::StrReplaceAll(lines[0], {{R"("metadata":{"call": 7},"channel":"web",)", ""},
                                           {R"("id":"u1",)", ""},
                                           {R"(,"start":1.50)", ""}}),
            plain[0]);
  EXPECT_EQ(absl::StrReplaceAll(lines[1], {{R"("channel":null,)", ""},
                                           {R"("id":12,)", ""},
                                           {R"(,"metadata":[1, 2],"end":2)", ""}}),
            plain[1]);
  // Each key once; metadata is no surprise.
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("warning: carried.jsonl, line 1: conversation test_0: no model looks "
                              "at \"channel\", \"start\"; answers repeat such keys"),
                    HasSubstr("line 2: conversation test_1: no model looks at \"end\";")));
  EXPECT_EQ(Count(outcome.err, "warning: "), 2);

  const Outcome strict = Predict({"--input=carried.jsonl", "--unknown_keys=FAIL"});
  EXPECT_EQ(strict.exit_code, 2);
  EXPECT_THAT(strict.err, HasSubstr("line 1: channel is no field of this format"));
  Write("metadata.jsonl", {WithKeys((*lines_)[0], R"("metadata":1,)", R"("id":"u",)")});
  EXPECT_EQ(Predict({"--input=metadata.jsonl", "--unknown_keys=FAIL"}).exit_code, 0);
}

TEST_F(NightlyTest, AKeyOfTheAnswerIsNotOverwritten) {
  Write("taken.jsonl", {WithKeys((*lines_)[0], "", R"("confidence":0.5,)"), (*lines_)[1]});
  const Outcome outcome = Predict({"--input=taken.jsonl"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err,
              HasSubstr("taken.jsonl, line 1: conversation test_0: utterances[0].confidence is a "
                        "key that answers have for themselves; rename it"));
  EXPECT_THAT(Lines(Predict({"--input=taken.jsonl", "--on_error=SKIP"}).out), SizeIs(1));
}

TEST_F(NightlyTest, ATableHasTheSameNumbersAsTheLines) {
  std::vector<std::string> lines = Lines(ReadFile(*folder_ + "/labelled.jsonl"));
  lines[0] = WithKeys(lines[0], R"("metadata":{"a":"b;\"c\""},)", R"("id":"=u,1","start":1.50,)");
  Write("table.jsonl", lines);
  const std::vector<PredictedConversation> expected =
      Parse(MustPredict({"--input=labelled.jsonl", "--explain"}));
  EXPECT_EQ(MustPredict({"--input=table.jsonl", "--explain", "--output=table.csv"}), "");
  const std::vector<std::string> rows = Lines(ReadFile(*folder_ + "/table.csv"));
  EXPECT_THAT(
      rows[0],
      AllOf(StartsWith("conversation,utterance,utterance_id,speaker,true_label,label,confidence,"
                       "calibrated_confidence,\"probability_class_0\",\"probability_class_1\","),
            HasSubstr("\"calibrated_probability_class_2\",\"without_text_label\","),
            EndsWith("\"without_other_speakers_confidence_change\",conversation_extra,"
                     "utterance_extra,missing")));
  EXPECT_THAT(rows[1],
              AllOf(StartsWith("\"test_0\",0,\"'=u,1\",\""),
                    EndsWith(R"(,"{""metadata"":{""a"":""b;\""c\""""}}","{""start"":1.50}",)")));
  size_t row = 1;
  for (const PredictedConversation& conversation : expected) {
    for (int i = 0; i < conversation.utterances_size(); ++i, ++row) {
      ASSERT_LT(row, rows.size());
      if (row == 1) continue;  // has commas within fields
      const PredictedUtterance& utterance = conversation.utterances(i);
      const std::vector<std::string> fields = absl::StrSplit(rows[row], ',');
      ASSERT_THAT(fields, SizeIs(8 + 3 + 3 + 5 * 3 + 3));
      EXPECT_EQ(fields[0], absl::StrCat("\"", conversation.id(), "\""));
      EXPECT_EQ(fields[1], absl::StrCat(i));
      EXPECT_EQ(fields[4], absl::StrCat("\"", utterance.true_label().value(), "\""));
      EXPECT_EQ(fields[5], absl::StrCat("\"", utterance.label(), "\""));
      EXPECT_EQ(std::stod(fields[6]), utterance.confidence());
      EXPECT_EQ(std::stod(fields[7]), utterance.calibrated_confidence().value());
      for (int c = 0; c < 3; ++c) {
        const std::string name = absl::StrCat("class_", c);
        EXPECT_EQ(std::stod(fields[8 + c]), utterance.probabilities().at(name));
        EXPECT_EQ(std::stod(fields[11 + c]), utterance.calibrated_probabilities().at(name));
      }
      EXPECT_EQ(fields[14], absl::StrCat("\"", utterance.without(0).label(), "\""));
      EXPECT_EQ(std::stod(fields[28]), utterance.without(4).confidence_change());
    }
  }
  EXPECT_EQ(row, rows.size());
}

// A line of a run and an answer are one form.
TEST_F(NightlyTest, TestPredictionsOfARunAreWhatPredictSays) {
  EXPECT_EQ(ReadFile(*folder_ + "/run/test_predictions.jsonl"), MustPredict({"--split=test"}));
}

TEST_F(NightlyTest, WhereBatchMatesMatterAStreamHasNone) {
  const Outcome trained = RunCmerc(
      {"train", "--config=tiny.textproto", "--output=official",
       "--set=backbone { [type.googleapis.com/cmerc.M3NetOptions] { semantics: OFFICIAL } }"},
      *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto run = [](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"predict", "--checkpoint=official/selected.pth",
                                     "--input=test.jsonl"};
    args.insert(args.end(), more.begin(), more.end());
    return Lines(RunCmerc(args, *folder_).out);
  };
  const std::vector<std::string> batches = run({}),
                                 alone = run({"--set=training { batch_size: 1 }"});
  EXPECT_NE(batches, alone);  // they do matter

  const Conversing cmerc(*folder_, {}, "official/selected.pth");
  std::string errors;
  // More at once than a batch holds.
  cmerc.Say(absl::StrJoin(*lines_, "\n") + "\n");
  cmerc.CloseInput();
  std::vector<std::string> heard;
  for (size_t i = 0; i < lines_->size(); ++i) heard.push_back(cmerc.HearLine());
  EXPECT_EQ(cmerc.End(&errors), 0);
  EXPECT_EQ(heard, alone);
  EXPECT_THAT(errors, HasSubstr("warning: batch mates matter to this model"));
  // A file that is standard input is a file.
  Surroundings surroundings;
  surroundings.standard_input = *folder_ + "/test.jsonl";
  EXPECT_EQ(Lines(RunCmerc({"predict", "--checkpoint=official/selected.pth", "--input=-"}, *folder_,
                           surroundings)
                      .out),
            batches);
}

TEST_F(NightlyTest, StandardInputOfAnotherKind) {
  WriteFile(*folder_ + "/packed.jsonl.gz", Gzip(absl::StrJoin(*lines_, "\n") + "\n"));
  EXPECT_THAT(Lines(MustPredict({"--input=packed.jsonl.gz"})), SizeIs(9));
  for (const char* on_error : {"FAIL", "SKIP"}) {
    const Outcome packed = Predict({"--input=-", absl::StrCat("--on_error=", on_error)},
                                   *folder_ + "/packed.jsonl.gz");
    EXPECT_EQ(packed.exit_code, 2);
    EXPECT_THAT(packed.err, HasSubstr("cmerc: standard input: is a gzip file, want JSON Lines; "
                                      "unpack it before it comes here"));
  }
  WriteFile(*folder_ + "/list.json", absl::StrCat("[", absl::StrJoin(*lines_, ",\n"), "]\n"));
  EXPECT_THAT(Predict({"--input=-"}, *folder_ + "/list.json").err,
              HasSubstr("standard input: is one JSON list, want JSON Lines"));
  // A first line that is no JSON is one of those that can be left out.
  Write("greeting.jsonl", {"Starting, please wait", (*lines_)[0]});
  EXPECT_THAT(Lines(Predict({"--input=-", "--on_error=SKIP"}, *folder_ + "/greeting.jsonl").out),
              SizeIs(1));
}

}  // namespace
}  // namespace cmerc
