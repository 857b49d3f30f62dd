// Ids of utterances, metadata, and keys that no format has: kept as they are where that is asked
// for.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

// What nobody looks at, and answers repeat.
constexpr char kCarried[] =
    R"({"metadata": {"a" : [1, {"b":null}], "":-0.0e+1} ,"id":"d","channel":"x,\u00e9","utterances":)"
    R"([{"id":"u1","speaker":"A","start":1.50,"features":{"t":[1]},"metadata":[]},)"
    R"({"id":-7,"speaker":"A","features":{"t":[2]},"ok":true}]})";

TEST(KeptKeysTest, KeepsIdsMetadataAndUnknownKeys) {
  const auto record = ConversationFromJson(kCarried, UnknownKeys::kKeep);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(ExtrasToJson(record->extras()),
            R"("metadata":{"a" : [1, {"b":null}], "":-0.0e+1},"channel":"x,\u00e9")");
  EXPECT_EQ(record->utterances(0).id(), "u1");
  EXPECT_FALSE(record->utterances(0).numeric_id());
  EXPECT_EQ(ExtrasToJson(record->utterances(0).extras()), R"("start":1.50,"metadata":[])");
  EXPECT_EQ(record->utterances(1).id(), "-7");
  EXPECT_TRUE(record->utterances(1).numeric_id());
  EXPECT_EQ(ExtrasToJson(record->utterances(1).extras()), R"("ok":true)");
  EXPECT_EQ(ExtrasToJson({}), "");

  const auto again = ConversationFromJson(ConversationToJson(*record), UnknownKeys::kKeep);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*again, *record));
}

TEST(KeptKeysTest, KeepsIdsAndMetadataWhereOtherKeysAreRefused) {
  EXPECT_THAT(ConversationFromJson(kCarried).status().message(),
              HasSubstr("channel is no field of this format"));
  const auto record = ConversationFromJson(
      R"({"id":"d","metadata":"m","utterances":[{"id":"u","speaker":"A","metadata":{"k":[]},)"
      R"("features":{"t":[1]}}]})");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(ExtrasToJson(record->extras()), R"("metadata":"m")");
  EXPECT_EQ(record->utterances(0).id(), "u");
  EXPECT_EQ(ExtrasToJson(record->utterances(0).extras()), R"("metadata":{"k":[]})");
}

TEST(KeptKeysTest, WhatIsKeptIsJsonToo) {
  const auto error = [](const std::string& value) {
    const auto record = ConversationFromJson(
        absl::StrCat(R"({"x":)", value,
                     R"(,"id":"d","utterances":[{"speaker":"A","features":{"t":[1]}}]})"),
        UnknownKeys::kKeep);
    return record.ok() ? "no error" : std::string(record.status().message());
  };
  for (const char* good : {"{}", "[]", "[{}]", "null", "true", "false", "0", "-1.5e-7", "\"\"",
                           R"({"a":{"a":[[]]}})", "[1 , \"]\" ,{}]"}) {
    EXPECT_EQ(error(good), "no error") << good;
  }
  for (const char* bad :
       {"",    "{",        "[",        "[1,]",    "{\"a\":1,}", "{\"a\"}", "{1:2}", "{\"a\" 1}",
        "tru", "nul",      "01",       "1.",      "+1",         "'a'",     "[1 2]", "[}",
        "{]",  "\"\x80\"", "\"a\tb\"", "\"\\x\"", "[1}",        "]"}) {
    EXPECT_NE(error(bad), "no error") << bad;
  }
  EXPECT_EQ(error("[NaN]"), "x is NaN, want a value of JSON; replace the value");
  EXPECT_EQ(error("1,\"x\":2"), "x occurs twice");
  EXPECT_EQ(error(std::string(100, '[') + std::string(100, ']')), "no error");
  EXPECT_EQ(error(std::string(1000000, '[')), "x is nested deeper than 100 levels");
  // Blanks that would end the line of whoever repeats it.
  const auto record = ConversationFromJson(
      "{\"x\":[\n1,\r\t2],\"id\":\"d\",\"utterances\":[{\"speaker\":\"A\","
      "\"features\":{\"t\":[1]}}]}",
      UnknownKeys::kKeep);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(ExtrasToJson(record->extras()), "\"x\":[1,2]");
}

TEST(KeptKeysTest, ALineOfSomethingElseIsNoConversation) {
  const auto error = [](const std::string& json) {
    return std::string(ConversationFromJson(json, UnknownKeys::kKeep).status().message());
  };
  EXPECT_THAT(error(R"({"epoch":1,"loss":0.5})"), HasSubstr("epoch is no field of this format"));
  EXPECT_THAT(error(R"({"speaker":"A","features":{"t":[1]}})"),
              HasSubstr("speaker is no field of a conversation; put all utterances"));
  EXPECT_THAT(error(R"({"id":"d","uterances":[]})"), HasSubstr("did you mean \"utterances\"?"));
  EXPECT_EQ(error(R"({"id":"d"})"), "utterances is missing or empty, want >= 1");
}

}  // namespace
}  // namespace cmerc
