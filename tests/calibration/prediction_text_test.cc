#include "calibration/prediction_text.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "metrics/json.h"

namespace cmerc {
namespace {

using testing::EndsWith;
using testing::StartsWith;

PredictedConversation Sample() {
  PredictedConversation prediction;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        id: 'd"1'
        utterances {
          id { value: "7" }
          speaker { value: "Ann, \"A\"" }
          true_label { value: "joy" }
          label: "=sum"
          probabilities { key: "joy" value: 0.25 }
          probabilities { key: "=sum" value: 0.75 }
          confidence: 0.75
          calibrated_confidence { value: 0.625 }
          calibrated_probabilities { key: "=sum" value: 0.625 }
          calibrated_probabilities { key: "joy" value: 0.375 }
          without { view: "text" label: "joy" log_prob_change: -1.5 confidence_change: -0.5 }
        }
        utterances {
          label: "joy"
          probabilities { key: "joy" value: 0.1 }
          probabilities { key: "=sum" value: 0.9 }
          confidence: 0.9
          without { view: "text" label: "joy" log_prob_change: 0.001 confidence_change: 1e-9 }
        }
      )pb",
      &prediction));
  return prediction;
}

TEST(StreamedToJsonTest, SaysWhichUtteranceOfWhichConversationItIs) {
  PredictedConversation prediction = Sample();
  prediction.mutable_utterances()->DeleteSubrange(0, 1);
  CarriedAlong carried;
  carried.utterances = {{false, R"("start":1.50)"}};
  const std::string rest =
      R"("label":"joy","probabilities":{"=sum":0.9,"joy":0.1},"confidence":0.9,)"
      R"("calibrated_probabilities":{},"without":[{"view":"text","label":"joy",)"
      R"("log_prob_change":0.001,"confidence_change":1e-09}],"start":1.50})";
  EXPECT_EQ(StreamedToJson(prediction, 12, /*restarted=*/false, carried),
            R"({"conversation":"d\"1","utterance":12,)" + rest);
  prediction.set_id("7");
  prediction.mutable_utterances(0)->mutable_id()->set_value("u1");
  carried.numeric_id = true;
  EXPECT_EQ(StreamedToJson(prediction, 0, /*restarted=*/true, carried),
            R"({"conversation":7,"utterance":0,"restarted":true,"id":"u1",)" + rest);
}

TEST(RefusalToJsonTest, NamesTheLineAndWhatIsKnownOfIt) {
  EXPECT_EQ(RefusalToJson(3, PredictedConversation(), {}, "is no \"JSON\""),
            R"({"line":3,"error":"is no \"JSON\""})");
  PredictedConversation names;
  names.set_id("d1");
  names.add_utterances()->mutable_id()->set_value("17");
  CarriedAlong carried;
  carried.utterances = {{true, ""}};
  EXPECT_EQ(RefusalToJson(12, names, carried, "too wide"),
            R"({"line":12,"conversation":"d1","id":17,"error":"too wide"})");
}

TEST(PredictionToJsonTest, NamesComeFirstAndWhatIsCarriedAlongLast) {
  CarriedAlong carried;
  carried.members = R"("metadata":{"a": 1})";
  carried.utterances = {{true, R"("start":1.50,"x":null)"}, {}};
  EXPECT_EQ(
      PredictionToJson(Sample(), carried),
      R"({"id":"d\"1","metadata":{"a": 1},"utterances":[{"id":7,"speaker":"Ann, \"A\"",)"
      R"("true_label":"joy","label":"=sum","probabilities":{"=sum":0.75,"joy":0.25},)"
      R"("confidence":0.75,"calibrated_probabilities":{"=sum":0.625,"joy":0.375},)"
      R"("without":[{"view":"text","label":"joy","log_prob_change":-1.5,"confidence_change":-0.5}],)"
      R"("calibrated_confidence":0.625,"start":1.50,"x":null},)"
      R"({"label":"joy","probabilities":{"=sum":0.9,"joy":0.1},"confidence":0.9,)"
      R"("calibrated_probabilities":{},"without":[{"view":"text","label":"joy",)"
      R"("log_prob_change":0.001,"confidence_change":1e-09}]}]})");
}

TEST(PredictionToJsonTest, WhatIsMissingIsNamedWhereAnythingIs) {
  PredictedConversation prediction = Sample();
  prediction.mutable_utterances(1)->mutable_missing()->add_values()->set_string_value("au}]\"dio");
  prediction.mutable_utterances(1)->mutable_missing()->add_values()->set_string_value("visual");
  const std::string json = PredictionToJson(prediction);
  EXPECT_THAT(json, EndsWith(R"("log_prob_change":0.001,"confidence_change":1e-09}],)"
                             R"("missing":["au}]\"dio","visual"]}]})"));
  EXPECT_EQ(json.find("missing"), json.rfind("missing"));
}

TEST(PredictionToJsonTest, NumbersAreNumbers) {
  PredictedConversation prediction = Sample();
  prediction.set_id("-9007199254740993");
  EXPECT_THAT(PredictionToJson(prediction, {true, "", {}}),
              StartsWith(R"({"id":-9007199254740993,"utterances":[{"id":"7","speaker")"));
  prediction.clear_utterances();
  EXPECT_EQ(PredictionToJson(prediction), R"({"id":"-9007199254740993","utterances":[]})");
}

// What is written by hand is what Protobuf writes, to the last digit.
TEST(PredictionToJsonTest, NumbersAndNamesAreThoseOfProtobuf) {
  PredictedConversation prediction;
  prediction.set_id("c");
  std::mt19937_64 random(7);
  const auto any = [&random] {
    // Of every exponent, and such as have few digits.
    double value;
    const uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof(value));
    return random() % 2 == 0 ? value : std::round(std::fmod(value, 1e5)) / 8;
  };
  for (int i = 0; i < 300; ++i) {
    PredictedUtterance* utterance = prediction.add_utterances();
    utterance->set_label("joy & <co>");
    utterance->set_confidence(any());
    for (const char* name : {"z", "joy & <co>", "A b", "\xC3\xA9", ""}) {
      (*utterance->mutable_probabilities())[name] = any();
      if (i % 2 == 0) (*utterance->mutable_calibrated_probabilities())[name] = any();
    }
    if (i % 2 == 0) utterance->mutable_calibrated_confidence()->set_value(any());
    for (int v = 0; v < i % 3; ++v) {
      ViewChange* change = utterance->add_without();
      change->set_view("same_speaker");
      change->set_label("z");
      change->set_log_prob_change(any());
      if (v > 0) change->set_confidence_change(-0.0);
    }
    if (i % 5 == 0) utterance->mutable_missing()->add_values()->set_string_value("au\"dio");
    if (i % 5 < 2) utterance->mutable_set();
    if (i % 5 == 1) utterance->mutable_set()->add_values()->set_string_value("z");
    if (i % 4 < 2) utterance->mutable_abstained()->set_value(i % 4 == 0);
  }
  prediction.mutable_utterances(0)->set_confidence(std::nan(""));
  prediction.mutable_utterances(1)->set_confidence(-std::numeric_limits<double>::infinity());
  prediction.mutable_utterances(2)->set_confidence(std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(PredictionToJson(prediction), ToJson(prediction, /*pretty=*/false));
}

// Whatever names hold, utterances are told apart.
TEST(PredictionToJsonTest, NamesOfAnyKind) {
  PredictedConversation prediction;
  prediction.set_id("\\");
  for (const char* name : {"}]", "\"}", "{\"label\":", "\\\"", "\xC3\xA9\n<"}) {
    PredictedUtterance* utterance = prediction.add_utterances();
    utterance->mutable_id()->set_value(name);
    utterance->mutable_speaker()->set_value(name);
    utterance->mutable_true_label()->set_value(name);
    utterance->set_label(name);
    (*utterance->mutable_probabilities())[name] = 1;
    (*utterance->mutable_probabilities())["label"] = 0;
    utterance->add_without()->set_view(name);
  }
  const std::string json = PredictionToJson(prediction, {false, "\"x\":[{}]", {}});
  EXPECT_EQ(json.find('\n'), std::string::npos);
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  PredictedConversation again;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &again, options);
  ASSERT_TRUE(status.ok()) << status.ToString() << json;
  for (PredictedUtterance& utterance : *prediction.mutable_utterances()) {
    utterance.set_confidence(0);  // what is not set is written
    utterance.mutable_without(0)->set_label("");
    utterance.mutable_without(0)->set_log_prob_change(0);
    utterance.mutable_without(0)->set_confidence_change(0);
  }
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(again, prediction)) << json;
}

TEST(PredictionToJsonTest, KnowsTheKeysOfAnswers) {
  for (const char* key :
       {"id", "speaker", "true_label", "label", "probabilities", "confidence",
        "calibrated_confidence", "calibrated_probabilities", "without", "missing"}) {
    EXPECT_TRUE(IsAnswerKey(key)) << key;
  }
  for (const char* key : {"", "metadata", "text", "Label", "start", "set", "abstained"}) {
    EXPECT_FALSE(IsAnswerKey(key)) << key;
  }
  OptionalKeys keys;
  keys.set = true;
  EXPECT_TRUE(IsAnswerKey("set", keys));
  EXPECT_FALSE(IsAnswerKey("abstained", keys));
  keys.abstained = true;
  EXPECT_TRUE(IsAnswerKey("abstained", keys));
}

PredictedConversation WithRules() {
  PredictedConversation prediction = Sample();
  for (const char* name : {"joy", "=sum"}) {
    prediction.mutable_utterances(0)->mutable_set()->add_values()->set_string_value(name);
  }
  prediction.mutable_utterances(1)->mutable_set();
  prediction.mutable_utterances(0)->mutable_abstained()->set_value(false);
  prediction.mutable_utterances(1)->mutable_abstained()->set_value(true);
  return prediction;
}

TEST(PredictionToJsonTest, SetsAreListsOfNames) {
  const std::string json = PredictionToJson(WithRules());
  EXPECT_THAT(json, testing::HasSubstr(R"("set":["joy","=sum"],"abstained":false)"));
  EXPECT_THAT(json, testing::HasSubstr(R"("set":[],"abstained":true)"));
  PredictedConversation again;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &again).ok()) << json;
}

TEST(PredictionTableTest, SetsAndAbstainingHaveColumnsWhereTheyAreAskedFor) {
  const PredictionTable table({"joy", "=sum"}, {}, {true, true});
  EXPECT_THAT(table.Header(),
              EndsWith(",set,abstained,conversation_extra,utterance_extra,missing\n"));
  const std::string rows = table.Rows(WithRules());
  EXPECT_THAT(rows, testing::HasSubstr(R"(,"[""joy"",""=sum""]",false,,)"));
  EXPECT_THAT(rows, EndsWith(",\"[]\",true,,,\n"));
}

TEST(PredictionTableTest, ARowForEachUtterance) {
  View text;
  text.modality = "text";
  const PredictionTable table({"joy", "=sum"}, {text});
  EXPECT_EQ(table.Header(),
            "conversation,utterance,utterance_id,speaker,true_label,label,confidence,"
            "calibrated_confidence,\"probability_joy\",\"probability_=sum\","
            "\"calibrated_probability_joy\",\"calibrated_probability_=sum\",\"without_text_label\","
            "\"without_text_log_prob_change\",\"without_text_confidence_change\","
            "conversation_extra,utterance_extra,missing\n");
  CarriedAlong carried;
  carried.members = R"("metadata":"a,\"b")";
  carried.utterances = {{true, R"("start":1.50)"}, {}};
  // The class =sum is no formula.
  EXPECT_EQ(table.Rows(Sample(), carried),
            R"("d""1",0,7,"Ann, ""A""","joy","'=sum",0.75,0.625,0.25,0.75,0.375,0.625,"joy",-1.5,)"
            R"(-0.5,"{""metadata"":""a,\""b""}","{""start"":1.50}",)"
            "\n"
            R"("d""1",1,,,,"joy",0.9,,0.1,0.9,,,"joy",0.001,1e-09,"{""metadata"":""a,\""b""}",,)"
            "\n");
  EXPECT_THAT(table.Rows(Sample()), StartsWith("\"d\"\"1\",0,\"7\",\"Ann"));
  EXPECT_THAT(table.Rows(Sample()), EndsWith(",1e-09,,,\n"));
  PredictedConversation lacking = Sample();
  for (const char* name : {"audio", "=visual"}) {
    lacking.mutable_utterances(1)->mutable_missing()->add_values()->set_string_value(name);
  }
  EXPECT_THAT(table.Rows(lacking), EndsWith(",1e-09,,,\"audio;=visual\"\n"));
  PredictedConversation number = Sample();
  number.set_id("-3");
  EXPECT_THAT(table.Rows(number), StartsWith("\"'-3\",0,"));
  EXPECT_THAT(table.Rows(number, {true, "", {}}), StartsWith("-3,0,"));
}

}  // namespace
}  // namespace cmerc
