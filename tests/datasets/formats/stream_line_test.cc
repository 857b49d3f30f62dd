#include "datasets/formats/stream_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string ErrorOf(const std::string& json, UnknownKeys unknown_keys = UnknownKeys::kRefuse) {
  const auto line = StreamLineFromJson(json, unknown_keys);
  EXPECT_EQ(line.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(line.status().message());
}

TEST(StreamLineTest, HasAnUtteranceOfAConversation) {
  const auto line = StreamLineFromJson(
      R"({"speaker": "A", "id": 7, "features": {"text": [0.5, -2], "audio": [[1], [3]]}, )"
      R"("conversation": "d\u0031", "metadata": {"start": 1.50}})");
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_FALSE(line->ends);
  EXPECT_EQ(line->record.id(), "d1");
  EXPECT_FALSE(line->record.numeric_id());
  ASSERT_EQ(line->record.utterances_size(), 1);
  const ConversationRecord::Utterance& utterance = line->record.utterances(0);
  EXPECT_EQ(utterance.speaker(), "A");
  EXPECT_EQ(utterance.id(), "7");
  EXPECT_TRUE(utterance.numeric_id());
  EXPECT_EQ(ExtrasToJson(utterance.extras()), R"("metadata":{"start": 1.50})");
  ASSERT_EQ(line->record.modalities_size(), 2);
  EXPECT_THAT(line->record.modalities(0).streams(0).values(), ElementsAre(0.5, -2));
  EXPECT_EQ(line->record.modalities(1).streams_size(), 2);
}

TEST(StreamLineTest, EndsAConversationWithOrWithoutAnUtterance) {
  const auto bare = StreamLineFromJson(R"({"conversation": 12, "end": true})");
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_TRUE(bare->ends);
  EXPECT_EQ(bare->record.id(), "12");
  EXPECT_TRUE(bare->record.numeric_id());
  EXPECT_EQ(bare->record.utterances_size(), 0);
  const auto last = StreamLineFromJson(
      R"({"conversation": "d1", "end": true, "speaker": "A", "features": {"text": [1]}})");
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_TRUE(last->ends);
  EXPECT_EQ(last->record.utterances_size(), 1);
  const auto more = StreamLineFromJson(
      R"({"conversation": "d1", "end": false, "speaker": "A", "features": {"text": [1]}})");
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_FALSE(more->ends);
}

TEST(StreamLineTest, UnknownKeysAreKeptOrRefused) {
  const std::string json =
      R"({"conversation": "d1", "speaker": "A", "a \"key\"": [1, 2], "features": {"text": [1]}})";
  const auto line = StreamLineFromJson(json, UnknownKeys::kKeep);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(ExtrasToJson(line->record.utterances(0).extras()), R"("a \"key\"":[1, 2])");
  EXPECT_THAT(ErrorOf(json), HasSubstr("is no field of this format"));
}

TEST(StreamLineTest, SaysWhatIsWrongInTermsOfTheLine) {
  EXPECT_THAT(ErrorOf(R"({"conversation": "d1", "speaker": "A", "features": {"text": [1, NaN]}})"),
              StartsWith("features.text[1] is NaN"));
  EXPECT_THAT(ErrorOf(R"({"conversation": "d1", "features": {"text": [1]}})"),
              StartsWith("has no \"speaker\", want a name; a line is {"));
  EXPECT_THAT(ErrorOf(R"({"speaker": "A", "features": {"text": [1]}})"),
              StartsWith("has no \"conversation\""));
  EXPECT_THAT(ErrorOf(R"({"conversation": 1.5, "end": true})"),
              StartsWith("conversation is 1.5, want a string or an integer"));
  EXPECT_THAT(ErrorOf(R"({"conversation": "", "end": true})"), StartsWith("conversation is empty"));
  EXPECT_THAT(ErrorOf(R"({"conversation": "d1", "end": 1})"),
              StartsWith("end is 1, want true or false"));
  EXPECT_THAT(ErrorOf(R"({"id": "d1", "utterances": []})"),
              HasSubstr("without --stream whole conversations are predicted"));
  EXPECT_THAT(ErrorOf(R"({"conversation": "d1", "conversation": "d2", "end": true})"),
              HasSubstr("conversation"));
  EXPECT_THAT(ErrorOf("[1]"), HasSubstr("{"));
}

}  // namespace
}  // namespace cmerc
