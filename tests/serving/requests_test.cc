// Requests and answers of the Open Inference Protocol: what is read, what is refused and how, and
// that JSON and bytes say the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "serving/infer_json.h"
#include "serving/infer_tensors.h"
#include "serving/raw_tensor.h"

namespace cmerc::serving {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using testing::ElementsAre;
using testing::HasSubstr;

// text 2, audio 3 in two streams; classes calm, angry, sad.
ModelDescription Model() {
  ModelDescription model;
  model.name = "m";
  model.version = "4";
  model.modalities = {{"text", 2, 1}, {"audio", 3, 2}};
  model.class_names = {"calm", "angry", "sad"};
  model.views = {"text", "audio"};
  model.sets = true;
  return model;
}

std::string InputJson(const std::string& name, const std::string& datatype,
                      const std::string& shape, const std::string& data) {
  return absl::StrCat("{\"name\":\"", name, "\",\"datatype\":\"", datatype, "\",\"shape\":", shape,
                      ",\"data\":", data, "}");
}

const char kSpeakers[] =
    R"({"name":"speakers","datatype":"BYTES","shape":[2],"data":["Ann","Bo"]})";
const char kText[] = R"({"name":"text","datatype":"FP32","shape":[2,2],"data":[[1,2],[3,4.5]]})";

std::string Request(const std::vector<std::string>& inputs, const std::string& more = "") {
  return absl::StrCat("{", more, "\"inputs\":[", absl::StrJoin(inputs, ","), "]}");
}

absl::StatusOr<InferInput> Read(const std::string& json) {
  const absl::StatusOr<ModelInferRequest> request = InferRequestFromJson(json, std::nullopt);
  if (!request.ok()) return request.status();
  return ReadInferRequest(*request, Model(), 100);
}

TEST(RequestsTest, AConversationIsReadFromJson) {
  const auto input = Read(Request({kSpeakers, kText}, R"("id":"42",)"));
  ASSERT_TRUE(input.ok()) << input.status();
  ASSERT_EQ(input->conversations.size(), 1u);
  const ConversationRecord& record = input->conversations[0];
  ASSERT_EQ(record.utterances_size(), 2);
  EXPECT_EQ(record.utterances(1).speaker(), "Bo");
  ASSERT_EQ(record.modalities_size(), 1) << "audio is lacked by all";
  EXPECT_EQ(record.modalities(0).name(), "text");
  EXPECT_THAT(record.modalities(0).streams(0).values(), ElementsAre(1, 2, 3, 4.5));
  EXPECT_FALSE(input->explain);
  EXPECT_THAT(input->outputs,
              ElementsAre("label", "confidence", "probabilities", "set", "missing", "prediction"));
}

TEST(RequestsTest, SeveralConversationsLieOneAfterTheOther) {
  const auto input = Read(
      Request({R"({"name":"speakers","datatype":"BYTES","shape":[3],"data":["A","B","C"]})",
               InputJson("text", "FP32", "[3,2]", "[1,2,3,4,5,6]"),
               InputJson("lengths", "INT32", "[2]", "[1,2]"),
               R"({"name":"conversation_ids","datatype":"BYTES","shape":[2],"data":["x","y"]})"}));
  ASSERT_TRUE(input.ok()) << input.status();
  ASSERT_EQ(input->conversations.size(), 2u);
  EXPECT_EQ(input->conversations[0].id(), "x");
  EXPECT_EQ(input->conversations[1].id(), "y");
  EXPECT_EQ(input->conversations[1].utterances(0).speaker(), "B");
  EXPECT_THAT(input->conversations[1].modalities(0).streams(0).values(), ElementsAre(3, 4, 5, 6));
}

TEST(RequestsTest, StreamsOfAModalityAreTakenApartAndWhatIsNotThereIsNotLookedAt) {
  const auto input = Read(
      Request({kSpeakers, InputJson("audio", "FP32", "[2,2,3]", "[1,2,3,4,5,6, 7,8,9,10,11,12]"),
               kText, InputJson("evidence", "BOOL", "[2,2]", "[true,false,true,true]")}));
  ASSERT_TRUE(input.ok()) << input.status();
  const ConversationRecord& record = input->conversations[0];
  ASSERT_EQ(record.modalities_size(), 2);
  const ConversationRecord::Modality& audio = record.modalities(1);
  EXPECT_THAT(audio.absent(), ElementsAre(0));
  EXPECT_THAT(audio.streams(0).values(), ElementsAre(7, 8, 9));
  EXPECT_THAT(audio.streams(1).values(), ElementsAre(10, 11, 12));
}

TEST(RequestsTest, BinaryValuesAndContentsSayTheSameAsJson) {
  std::string raw_text, raw_speakers;
  for (const float value : {1.0F, 2.0F, 3.0F, 4.5F}) AppendFloat(value, &raw_text);
  for (const char* speaker : {"Ann", "Bo"}) AppendText(speaker, &raw_speakers);
  const std::string json = absl::StrCat(
      R"({"inputs":[{"name":"speakers","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":)",
      raw_speakers.size(),
      R"(}},{"name":"text","datatype":"FP32","shape":[2,2],"parameters":{"binary_data_size":16}}]})");
  const auto binary = InferRequestFromJson(json + raw_speakers + raw_text, json.size());
  ASSERT_TRUE(binary.ok()) << binary.status();
  const auto from_json = InferRequestFromJson(Request({kSpeakers, kText}), std::nullopt);
  ASSERT_TRUE(from_json.ok()) << from_json.status();
  EXPECT_THAT(binary->raw_input_contents(), ElementsAre(raw_speakers, raw_text));
  EXPECT_THAT(from_json->raw_input_contents(), ElementsAre(raw_speakers, raw_text));

  ModelInferRequest contents = *from_json;
  contents.clear_raw_input_contents();
  for (const char* speaker : {"Ann", "Bo"}) {
    contents.mutable_inputs(0)->mutable_contents()->add_bytes_contents(speaker);
  }
  for (const float value : {1.0F, 2.0F, 3.0F, 4.5F}) {
    contents.mutable_inputs(1)->mutable_contents()->add_fp32_contents(value);
  }
  const auto one = ReadInferRequest(contents, Model(), 100);
  const auto other = ReadInferRequest(*binary, Model(), 100);
  ASSERT_TRUE(one.ok() && other.ok()) << one.status() << other.status();
  EXPECT_EQ(one->conversations[0].SerializeAsString(), other->conversations[0].SerializeAsString());
}

struct Bad {
  std::string name, json, message;
};

std::vector<Bad> BadRequests() {
  return {
      {"Empty", "", "want"},
      {"NoJson", "hello", "want"},
      {"CutShort", R"({"inputs":[{"name":"text)", ""},
      {"TooMuch", Request({kSpeakers, kText}) + "x", ""},
      {"UnknownMember", R"({"input":[]})", "is no member of a request"},
      {"NoSpeakers", Request({kText}), "\"speakers\" is missing"},
      {"NoValues", R"({"inputs":[{"name":"text","datatype":"FP32","shape":[1,2]}]})",
       "inputs[0] has no values"},
      {"NotANumber", Request({kSpeakers, InputJson("text", "FP32", "[2,2]", "[1,2,NaN,4]")}),
       "inputs[1].data is NaN"},
      {"TooLargeForFloat", Request({kSpeakers, InputJson("text", "FP32", "[2,2]", "[1,2,1e39,4]")}),
       "inputs[1]: data[2] is 1e39"},
      {"WrongWidth", Request({kSpeakers, InputJson("text", "FP32", "[2,3]", "[1,2,3,4,5,6]")}),
       "\"text\" has the shape [2, 3], want [2, 2]"},
      {"WrongLength", Request({kSpeakers, InputJson("text", "FP32", "[1,2]", "[1,2]")}),
       "\"text\" has the shape [1, 2], want [2, 2]"},
      {"TooFewValues", Request({kSpeakers, InputJson("text", "FP32", "[2,2]", "[1,2,3]")}),
       "has 12 bytes of values, but its shape [2, 2] of FP32 takes 16"},
      {"HugeShape",
       Request({kSpeakers,
                InputJson("text", "FP32", "[9223372036854775807,9223372036854775807]", "[1]")}),
       "want [2, 2]"},
      {"NegativeSize", Request({InputJson("speakers", "BYTES", "[-1]", R"(["A"])"), kText}),
       "one dimension of at least 1"},
      {"HugeSpeakers",
       Request({InputJson("speakers", "BYTES", "[4611686018427387904]", R"(["A"])")}),
       "a request may have 100"},
      {"WrongType", Request({kSpeakers, InputJson("text", "FP64", "[2,2]", "[1,2,3,4]")}),
       "has the datatype \"FP64\""},
      {"UnknownInput", Request({kSpeakers, InputJson("texts", "FP32", "[2,2]", "[1,2,3,4]")}),
       "did you mean text?"},
      {"Twice", Request({kSpeakers, kText, kText}), "\"text\" is there twice"},
      {"NoUtterances", Request({InputJson("speakers", "BYTES", "[0]", "[]")}),
       "one dimension of at least 1"},
      {"NothingThere", Request({kSpeakers}), "modalit"},
      {"LengthsTooLong", Request({kSpeakers, kText, InputJson("lengths", "INT64", "[2]", "[1,2]")}),
       "has 2 after 1 of the 2 utterances"},
      {"LengthsTooShort", Request({kSpeakers, kText, InputJson("lengths", "INT64", "[1]", "[1]")}),
       "sums up to 1, want 2"},
      {"LengthsOverflow",
       Request({kSpeakers, kText,
                InputJson("lengths", "INT64", "[2]", "[9223372036854775807,9223372036854775807]")}),
       "has 9223372036854775807"},
      {"UnknownOutput", Request({kSpeakers, kText}, R"("outputs":[{"name":"logits"}],)"),
       "output \"logits\" is none"},
      {"OutputTwice",
       Request({kSpeakers, kText}, R"("outputs":[{"name":"label"},{"name":"label"}],)"),
       "asked for twice"},
      {"SizeAndData",
       R"({"inputs":[{"name":"text","datatype":"FP32","shape":[1],"data":[1],"parameters":{"binary_data_size":4}}]})",
       "has both"},
      {"HugeBinary",
       R"({"inputs":[{"name":"text","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":9223372036854775807}}]})",
       "only 0 bytes are left"},
      {"NegativeBinary",
       R"({"inputs":[{"name":"text","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":-1}}]})",
       "must be a number of bytes"},
      {"Explain", Request({kSpeakers, kText}, R"("parameters":{"explain":3},)"),
       "must be true or false"},
      {"TooDeep",
       Request({kSpeakers,
                InputJson("text", "FP32", "[2,2]", std::string(50, '[') + std::string(50, ']'))}),
       "too deep"},
  };
}

class BadRequestTest : public testing::TestWithParam<Bad> {};

TEST_P(BadRequestTest, IsRefusedWithAMessage) {
  const absl::StatusOr<InferInput> input = Read(GetParam().json);
  ASSERT_EQ(input.status().code(), absl::StatusCode::kInvalidArgument) << input.status();
  EXPECT_THAT(std::string(input.status().message()), HasSubstr(GetParam().message));
  EXPECT_FALSE(input.status().message().empty());
}

INSTANTIATE_TEST_SUITE_P(All, BadRequestTest, testing::ValuesIn(BadRequests()),
                         [](const auto& info) { return info.param.name; });

TEST(RequestsTest, BytesThatDoNotFitAreRefused) {
  auto request = InferRequestFromJson(Request({kSpeakers, kText}), std::nullopt);
  ASSERT_TRUE(request.ok());
  const auto message = [&] {
    return std::string(ReadInferRequest(*request, Model(), 100).status().message());
  };
  const std::string speakers = request->raw_input_contents(0);
  *request->mutable_raw_input_contents(0) = speakers.substr(0, 5);
  EXPECT_THAT(message(), HasSubstr("has a text 0 of 3 bytes, but only 1 bytes are left"));
  *request->mutable_raw_input_contents(0) = std::string("\xff\xff\xff\xff", 4) + speakers;
  EXPECT_THAT(message(), HasSubstr("has a text 0 of 4294967295 bytes"));
  *request->mutable_raw_input_contents(0) = speakers + "x";
  EXPECT_THAT(message(), HasSubstr("1 bytes behind the last"));
  std::string no_utf8;
  AppendText("\xff", &no_utf8);
  AppendText("Bo", &no_utf8);
  *request->mutable_raw_input_contents(0) = no_utf8;
  EXPECT_THAT(message(), HasSubstr("no UTF-8"));
  *request->mutable_raw_input_contents(0) = speakers;
  std::string nan;
  for (int i = 0; i < 4; ++i) AppendFloat(std::numeric_limits<float>::quiet_NaN(), &nan);
  *request->mutable_raw_input_contents(1) = nan;
  EXPECT_THAT(message(), HasSubstr("nan"));
  request->add_raw_input_contents("more");
  EXPECT_THAT(message(), HasSubstr("2 inputs and 3 raw_input_contents"));
}

PredictedConversation Predicted() {
  PredictedConversation predicted;
  predicted.set_id("0");
  for (int i = 0; i < 2; ++i) {
    PredictedUtterance* utterance = predicted.add_utterances();
    utterance->set_label(i == 0 ? "sad" : "calm");
    utterance->set_confidence(0.5 + 0.1 * i);
    for (const char* name : {"calm", "angry", "sad"}) {
      (*utterance->mutable_probabilities())[name] = 1.0 / 3;
    }
    utterance->mutable_set()->add_values()->set_string_value("sad");
  }
  predicted.mutable_utterances(1)->mutable_missing()->add_values()->set_string_value("audio");
  return predicted;
}

TEST(RequestsTest, AnswersAreWrittenAsJsonAndAsBytes) {
  auto request = InferRequestFromJson(
      Request({kSpeakers, kText},
              R"("id":"7","outputs":[{"name":"label"},{"name":"confidence"},{"name":"set"},)"
              R"({"name":"missing"},{"name":"prediction"}],)"),
      std::nullopt);
  ASSERT_TRUE(request.ok()) << request.status();
  const auto input = ReadInferRequest(*request, Model(), 100);
  ASSERT_TRUE(input.ok()) << input.status();
  const ModelInferResponse response =
      WriteInferResponse(*request, Model(), *input, {Predicted()}, {"{\"id\":\"0\"}"});
  const InferAnswer json = InferResponseToJson(*request, response);
  EXPECT_FALSE(json.json_size.has_value());
  EXPECT_EQ(
      json.body,
      R"({"model_name":"m","model_version":"4","id":"7","outputs":[)"
      R"({"name":"label","datatype":"BYTES","shape":[2],"data":["sad","calm"]},)"
      R"({"name":"confidence","datatype":"FP64","shape":[2],"data":[0.5,0.6]},)"
      R"({"name":"set","datatype":"BOOL","shape":[2,3],"data":[false,false,true,false,false,true]},)"
      R"({"name":"missing","datatype":"BOOL","shape":[2,2],"data":[false,false,false,true]},)"
      R"({"name":"prediction","datatype":"BYTES","shape":[1],"data":["{\"id\":\"0\"}"]}]})");

  auto& parameters = *request->mutable_outputs(1)->mutable_parameters();
  parameters["binary_data"].set_bool_param(true);
  const InferAnswer mixed = InferResponseToJson(*request, response);
  ASSERT_TRUE(mixed.json_size.has_value());
  EXPECT_EQ(mixed.body.size(), *mixed.json_size + 16);
  EXPECT_THAT(mixed.body, HasSubstr(R"("shape":[2],"parameters":{"binary_data_size":16}})"));
  EXPECT_EQ(mixed.body.substr(*mixed.json_size), response.raw_output_contents(1));
}

TEST(RequestsTest, OutputsThatSayWhatChangesAreAskedForByNameOrExplain) {
  const auto named =
      Read(Request({kSpeakers, kText}, R"("outputs":[{"name":"without_log_prob_change"}],)"));
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_TRUE(named->explain);
  const auto all = Read(Request({kSpeakers, kText}, R"("parameters":{"explain":true},)"));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(all->explain);
  EXPECT_EQ(all->outputs.size(), OutputTensors(Model()).size());
}

TEST(RequestsTest, AModalityMustNotBeCalledAsAnotherInput) {
  ModelDescription model = Model();
  EXPECT_TRUE(CheckNames(model).ok());
  model.modalities[1].name = "lengths";
  EXPECT_THAT(std::string(CheckNames(model).message()), HasSubstr("\"lengths\""));
}

TEST(RequestsTest, TextsAreEscapedInJson) {
  EXPECT_EQ(JsonString("a\"b\\c\n\x01é"), "\"a\\\"b\\\\c\\u000a\\u0001é\"");
  EXPECT_EQ(ErrorToJson("no \"x\""), R"({"error":"no \"x\""})");
}

}  // namespace
}  // namespace cmerc::serving
