// `cmerc predict` says of each utterance what `cmerc evaluate` scores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "calibration/prediction.pb.h"
#include "datasets/formats/json_lines.h"
#include "metrics/classification.h"
#include "tests/end_to_end/predicting.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

using PredictTest = PredictFixture;

TEST_F(PredictTest, GivesExactlyTheScoresOfEvaluate) {
  const Outcome evaluated =
      RunCmerc({"evaluate", "--checkpoint=run/selected.pth", "--output=scores.json"}, *folder_);
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const SplitReport scores = ReadEvaluation(*folder_ + "/scores.json").scores();

  const Outcome outcome = Predict({"--input=test.jsonl"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, StartsWith("9 conversations, "));
  const std::vector<PredictedConversation> predictions = Parse(outcome.out);
  ASSERT_THAT(predictions, SizeIs(9));
  std::vector<int64_t> labels, predicted;
  for (size_t c = 0; c < 9; ++c) {
    EXPECT_EQ(predictions[c].id(), absl::StrCat("test_", c));
    ASSERT_EQ(predictions[c].utterances_size(), (*conversations_)[c].length());
    for (int i = 0; i < predictions[c].utterances_size(); ++i) {
      const PredictedUtterance& utterance = predictions[c].utterances(i);
      labels.push_back((*conversations_)[c].labels[i].item<int64_t>());
      predicted.push_back(
          std::find(info_->class_names.begin(), info_->class_names.end(), utterance.label()) -
          info_->class_names.begin());
      double sum = 0;
      EXPECT_EQ(utterance.probabilities_size(), 3);
      for (const auto& [name, probability] : utterance.probabilities()) {
        EXPECT_LE(probability, utterance.confidence());
        sum += probability;
      }
      EXPECT_NEAR(sum, 1, 1e-6);  // float32
      EXPECT_EQ(utterance.probabilities().at(utterance.label()), utterance.confidence());
      EXPECT_EQ(utterance.without_size(), 0);
    }
  }
  const absl::StatusOr<SplitReport> recomputed =
      ClassificationReport(labels, predicted, info_->class_names);
  ASSERT_TRUE(recomputed.ok()) << recomputed.status();
  EXPECT_EQ(recomputed->weighted_f1(), scores.weighted_f1());
  EXPECT_EQ(recomputed->accuracy(), scores.accuracy());
  EXPECT_EQ(recomputed->utterances(), scores.utterances());
}

TEST_F(PredictTest, TheSplitOfADatasetGivesTheSameAsItsLines) {
  const std::string lines = MustPredict({"--input=labelled.jsonl", "--explain"});
  EXPECT_EQ(MustPredict({"--explain"}), lines);
  EXPECT_EQ(MustPredict({"--explain", "--split=test"}), lines);
  EXPECT_THAT(Lines(MustPredict({"--split=train"})), SizeIs(20));
  EXPECT_THAT(Lines(MustPredict({"--config=tiny.textproto"})), SizeIs(2));
}

TEST_F(PredictTest, ExplanationsAndCalibratedConfidencesAreThoseOfEvaluate) {
  const Outcome evaluated = RunCmerc(
      {"evaluate", "--checkpoint=run/selected.pth", "--views", "--output=views.json"}, *folder_);
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const SplitReport scores = ReadEvaluation(*folder_ + "/views.json").scores();
  ASSERT_EQ(scores.post_hoc_size(), 1);
  const double temperature = scores.post_hoc(0).parameters(0);

  std::vector<double> change_sums(5), surer(5);
  for (const PredictedConversation& prediction :
       Parse(MustPredict({"--input=test.jsonl", "--explain"}))) {
    for (const PredictedUtterance& utterance : prediction.utterances()) {
      std::vector<std::string> views;
      for (const ViewChange& change : utterance.without()) {
        change_sums[views.size()] += change.log_prob_change();
        surer[views.size()] += change.log_prob_change() > 0 ? 1 : 0;
        views.push_back(change.view());
        const double remaining = utterance.confidence() + change.confidence_change();
        // Doubles between 0 and 1, printed so that they can be read back exactly.
        EXPECT_NEAR(utterance.confidence() * std::exp(change.log_prob_change()), remaining, 1e-14);
        EXPECT_GE(remaining, 0);
        EXPECT_LE(remaining, 1);
        if (change.label() != utterance.label()) {
          EXPECT_LE(remaining, 0.5);
        }
      }
      EXPECT_THAT(views, ElementsAre("text", "audio", "visual", "same_speaker", "other_speakers"));

      double sum = 0;
      for (const auto& [name, probability] : utterance.probabilities()) {
        sum += std::pow(probability / utterance.confidence(), 1 / temperature);
      }
      // Doubles near 1 once more; T is at least 1/20, so the power takes an error times 20.
      EXPECT_NEAR(utterance.calibrated_confidence().value(), 1 / sum, 1e-13);
    }
  }
  for (int v = 0; v < 5; ++v) {
    const ViewReport& view = scores.views(v);
    EXPECT_NEAR(change_sums[v] / scores.utterances(), view.mean_predicted_log_prob_rise(), 1e-13);
    EXPECT_EQ(surer[v] / scores.utterances(), view.share_predicted_surer_without());
  }
}

TEST_F(PredictTest, StandardInputAndOutput) {
  const std::string expected = MustPredict({"--input=test.jsonl"});
  const Outcome outcome = Predict({"--input=-", "--output=-"}, *folder_ + "/test.jsonl");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, expected);
  EXPECT_EQ(MustPredict({"--input=test.jsonl", "--output=predicted.jsonl"}), "");
  EXPECT_EQ(ReadFile(*folder_ + "/predicted.jsonl"), expected);
}

TEST_F(PredictTest, NeedsNeitherDataNorConfig) {
  const std::string elsewhere = NewFolder();
  std::filesystem::copy(*folder_ + "/run/selected.pth", elsewhere + "/model.pth");
  std::filesystem::copy(*folder_ + "/test.jsonl", elsewhere + "/new.jsonl");
  const Outcome outcome =
      RunCmerc({"predict", "--checkpoint=model.pth", "--input=new.jsonl"}, elsewhere);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, MustPredict({"--input=test.jsonl"}));
}

// Whoever joins predictions with a table of numbers finds numbers.
TEST_F(PredictTest, AnIdThatIsANumberStaysOne) {
  const std::string line = (*lines_)[0];
  const std::string id = "{\"id\":\"test_0\",";
  ASSERT_THAT(line, StartsWith(id));
  const std::string rest = line.substr(id.size());
  WriteFile(*folder_ + "/numbers.jsonl",
            absl::StrCat("{\"id\":12,", rest, "\n{\"id\":\"12\",", rest,
                         "\n{\"id\":-9007199254740993,", rest, "\n"));
  const std::vector<std::string> out = Lines(MustPredict({"--input=numbers.jsonl"}));
  ASSERT_THAT(out, SizeIs(3));
  EXPECT_THAT(out[0], StartsWith("{\"id\":12,\"utterances\":"));
  EXPECT_THAT(out[1], StartsWith("{\"id\":\"12\",\"utterances\":"));
  EXPECT_THAT(out[2], StartsWith("{\"id\":-9007199254740993,\"utterances\":"));
}

TEST_F(PredictTest, AnswersAsConversationsCome) {
  const std::vector<std::string> expected =
      Lines(MustPredict({"--input=test.jsonl", "--set=training { batch_size: 1 }"}));
  const Conversing cmerc(*folder_);
  // Batches are of two. Without an answer before the next line this would wait forever.
  for (const int line : {0, 1}) {
    cmerc.Say((*lines_)[line] + "\n\n  \n");
    EXPECT_EQ(cmerc.HearLine(), expected[line]);
  }
  // Two that come together may be a batch, which changes the last bits.
  cmerc.Say((*lines_)[2] + "\n" + (*lines_)[3] + "\n");
  EXPECT_EQ(Parse(cmerc.HearLine() + "\n")[0].id(), "test_2");
  EXPECT_EQ(Parse(cmerc.HearLine() + "\n")[0].id(), "test_3");
  cmerc.Say((*lines_)[4]);
  cmerc.CloseInput();
  EXPECT_EQ(Parse(cmerc.HearLine() + "\n")[0].id(), "test_4");
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 0);
  EXPECT_THAT(errors, HasSubstr("5 conversations, "));
}

TEST_F(PredictTest, AReaderThatGoesAwayEndsItWithAMessage) {
  const Conversing cmerc(*folder_);
  cmerc.CloseOutput();
  cmerc.Say((*lines_)[0] + "\n" + (*lines_)[1] + "\n");
  cmerc.CloseInput();
  std::string errors;
  EXPECT_EQ(cmerc.End(&errors), 1);
  EXPECT_THAT(errors, HasSubstr("cmerc: whoever read standard output has closed it"));
}

TEST_F(PredictTest, AnUnusableLineEndsItOrIsSkipped) {
  const std::vector<std::string> expected = Lines(MustPredict({"--input=test.jsonl"}));
  const std::string broken = (*lines_)[3].substr(0, (*lines_)[3].size() / 2);
  const std::string narrow =
      R"({"id": "odd", "utterances": [{"speaker": "A", "features": {"text": [1]}}]})";
  std::vector<std::string> lines(lines_->begin(), lines_->begin() + 3);
  lines.insert(lines.end(), {broken, narrow, (*lines_)[3]});
  Write("broken.jsonl", lines);

  const Outcome failed = Predict({"--input=broken.jsonl"});
  EXPECT_EQ(failed.exit_code, 2);
  EXPECT_THAT(failed.err, AllOf(StartsWith("cmerc: broken.jsonl, line 4: "),
                                HasSubstr("3 conversations before it"), HasSubstr("SKIP")));
  // The third in a batch of its own, which does not matter to this model but for the last bits.
  EXPECT_THAT(Lines(failed.out), SizeIs(3));
  EXPECT_EQ(Lines(failed.out)[1], expected[1]);
  EXPECT_EQ(Parse(failed.out)[2].id(), "test_2");

  EXPECT_EQ(Predict({"--input=broken.jsonl", "--output=part.jsonl"}).exit_code, 2);
  EXPECT_EQ(ReadFile(*folder_ + "/part.jsonl"), failed.out);

  const Outcome skipped = Predict({"--input=broken.jsonl", "--on_error=SKIP"});
  EXPECT_EQ(skipped.exit_code, 0);
  EXPECT_THAT(skipped.err,
              AllOf(HasSubstr("skipped: broken.jsonl, line 4: "),
                    HasSubstr("skipped: broken.jsonl, line 5: conversation odd: features.text"),
                    EndsWith("2 skipped\n")));
  EXPECT_EQ(Lines(skipped.out), std::vector<std::string>(expected.begin(), expected.begin() + 4));
}

TEST_F(PredictTest, SpeakersOfOtherNames) {
  const std::vector<std::string> expected = Lines(MustPredict({"--input=test.jsonl"}));
  // The first to speak takes the first place, whatever the name.
  const std::string kAnna = "\"speaker\":\"Anna\"", kThree = "\"speaker\":3";
  std::vector<std::string> renamed;
  for (size_t c = 0; c < lines_->size(); ++c) {
    const bool zero_first = (*conversations_)[c].speakers[0].item<int64_t>() == 0;
    renamed.push_back(
        absl::StrReplaceAll((*lines_)[c], {{"\"speaker\":\"0\"", zero_first ? kAnna : kThree},
                                           {"\"speaker\":\"1\"", zero_first ? kThree : kAnna}}));
  }
  Write("renamed.jsonl", renamed);
  const std::vector<std::string> predicted = Lines(MustPredict({"--input=renamed.jsonl"}));
  ASSERT_EQ(predicted.size(), expected.size());
  int same = 0;
  for (size_t c = 0; c < expected.size(); ++c) {
    if ((*conversations_)[c].speakers[0].item<int64_t>() != 0) continue;
    EXPECT_THAT(predicted[c], AllOf(HasSubstr(kAnna), HasSubstr("\"speaker\":\"3\"")));
    EXPECT_EQ(absl::StrReplaceAll(predicted[c], {{kAnna, "\"speaker\":\"0\""},
                                                 {"\"speaker\":\"3\"", "\"speaker\":\"1\""}}),
              expected[c]);
    ++same;
  }
  EXPECT_GT(same, 0);

  const auto longest = std::max_element(
      conversations_->begin(), conversations_->end(),
      [](const Conversation& a, const Conversation& b) { return a.length() < b.length(); });
  ASSERT_GE(longest->length(), 3);
  ConversationRecord record =
      ConversationFromJson((*lines_)[longest - conversations_->begin()]).value();
  for (int i = 0; i < 3; ++i) record.mutable_utterances(i)->set_speaker(absl::StrCat("S", i));
  for (int i = 3; i < record.utterances_size(); ++i) {
    record.mutable_utterances(i)->set_speaker("S0");
  }
  Write("crowd.jsonl", {ConversationToJson(record)});
  const Outcome crowd = Predict({"--input=crowd.jsonl"});
  EXPECT_EQ(crowd.exit_code, 2);
  EXPECT_THAT(crowd.err, AllOf(HasSubstr("crowd.jsonl, line 1: conversation " + record.id()),
                               HasSubstr("there are 3 speakers (S0, S1, S2)"),
                               HasSubstr("has weights for 2")));
}

}  // namespace
}  // namespace cmerc
