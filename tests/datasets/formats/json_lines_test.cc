#include "datasets/formats/json_lines.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "datasets/formats/conversation.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kGood[] =
    R"({"id":"d1","split":"valid","utterances":[)"
    R"({"speaker":"A","label":"joy","text":"At last!","features":{"text":[0.5,-2],"audio":[1e-3]}},)"
    R"({"speaker":7,"features":{"audio":[4],"text":[0.25,1E+2]}}]})";

std::string ErrorOf(const std::string& json) {
  const auto record = ConversationFromJson(json);
  if (record.ok()) return "no error";
  EXPECT_EQ(record.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(record.status().message());
}

// One utterance with these features.
std::string WithFeatures(const std::string& features) {
  return absl::StrCat(R"({"id":"d","utterances":[{"speaker":"A","features":)", features, "}]}");
}

// Its utterances[0] has text of width 2 and two streams of gaze of width 1.
std::string WithSecondFeatures(const std::string& features) {
  return absl::StrCat(
      R"({"id":"d","utterances":[{"speaker":"A","features":{"text":[1,2],"gaze":[[3],[4]]}},)"
      R"({"speaker":"A","features":)",
      features, "}]}");
}

TEST(ConversationFromJsonTest, ReadsEveryField) {
  const auto record = ConversationFromJson(kGood);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->id(), "d1");
  EXPECT_FALSE(record->numeric_id());
  EXPECT_EQ(record->split(), ConversationRecord::VALID);
  ASSERT_EQ(record->utterances_size(), 2);
  EXPECT_EQ(record->utterances(0).speaker(), "A");
  EXPECT_EQ(record->utterances(0).label(), "joy");
  EXPECT_EQ(record->utterances(0).text(), "At last!");
  EXPECT_EQ(record->utterances(1).speaker(), "7");
  EXPECT_FALSE(record->utterances(1).has_label());
  EXPECT_FALSE(record->utterances(1).has_text());
  ASSERT_EQ(record->modalities_size(), 2);
  EXPECT_EQ(record->modalities(0).name(), "text");
  EXPECT_EQ(record->modalities(0).width(), 2);
  EXPECT_THAT(record->modalities(0).streams(0).values(), ElementsAre(0.5f, -2, 0.25f, 100));
  EXPECT_THAT(record->modalities(1).streams(0).values(), ElementsAre(1e-3f, 4));
}

TEST(ConversationFromJsonTest, ReadsStreamsAndSharesEqualOnes) {
  const auto record =
      ConversationFromJson(WithFeatures(R"({"text":[[1,2],[1,2],[1,3],[1,3]],"gaze":[[5]]})"));
  ASSERT_TRUE(record.ok()) << record.status();
  const auto& text = record->modalities(0);
  ASSERT_EQ(text.streams_size(), 4);
  EXPECT_EQ(text.width(), 2);
  EXPECT_TRUE(text.streams(1).same_as_previous());
  EXPECT_TRUE(text.streams(1).values().empty());
  EXPECT_FALSE(text.streams(2).same_as_previous());
  EXPECT_TRUE(text.streams(3).same_as_previous());
  EXPECT_THAT(StreamValues(text, 1), ElementsAre(1, 2));
  EXPECT_THAT(StreamValues(text, 3), ElementsAre(1, 3));
  EXPECT_EQ(record->modalities(1).streams_size(), 1);
}

TEST(ConversationFromJsonTest, IntegersAreNamesToo) {
  const auto record = ConversationFromJson(
      R"({"id":275,"utterances":[{"speaker":0,"label":3,"features":{"text":[1]}}]})");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->id(), "275");
  EXPECT_TRUE(record->numeric_id());
  EXPECT_EQ(record->utterances(0).speaker(), "0");
  EXPECT_EQ(record->utterances(0).label(), "3");
}

TEST(ConversationFromJsonTest, ResolvesEscapes) {
  const auto record = ConversationFromJson(
      "{\"id\":\"a\\u00e9\\ud83d\\ude00\\n\\/\\\\\\\"\xC3\xA9\",\"utterances\":"
      "[{\"speaker\":\"A\",\"features\":{\"t\":[1]}}]}");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->id(), "a\xC3\xA9\xF0\x9F\x98\x80\n/\\\"\xC3\xA9");
}

struct BadLine {
  std::string json;
  std::string error;  // all of it
};

TEST(ConversationFromJsonTest, NamesWhatIsWrongWithTheValues) {
  const std::string want = ", want a number that is finite in float32, within +-3.4e38";
  const std::vector<BadLine> lines = {
      {WithFeatures(R"({"text":[1,NaN]})"),
       "utterances[0].features.text[1] is NaN" + want + "; replace the value"},
      {WithFeatures(R"({"text":[[1],[-Infinity]]})"),
       "utterances[0].features.text[1][0] is -Infinity" + want + "; replace the value"},
      {WithFeatures(R"({"text":[1e39]})"), "utterances[0].features.text[0] is 1e39" + want},
      {WithFeatures(R"({"text":[-1e400]})"), "utterances[0].features.text[0] is -1e400" + want},
      {WithFeatures(R"({"text":[null]})"), "utterances[0].features.text[0] is null" + want},
      {WithFeatures(R"({"text":["1"]})"), "utterances[0].features.text[0] is a string" + want},
      {WithFeatures(R"({"text":[1,[2]]})"), "utterances[0].features.text[1] is a list" + want},
      {WithFeatures(R"({"text":[[1],2]})"),
       "utterances[0].features.text[1] is 2, want a list of numbers"},
      {WithFeatures(R"({"text":0.5})"),
       "utterances[0].features.text is 0.5, want a list of numbers"},
      {WithFeatures(R"({"text":[[]]})"),
       "utterances[0].features.text[0] is empty, want >= 1 numbers"},
      {WithFeatures(R"({"text":nul})"),
       "utterances[0].features.text is null, want a list of numbers"},
      {WithFeatures(R"({"text":[[1,2],[3]]})"),
       "utterances[0].features.text[1] has 1 values, want 2 as in stream 0"},
      {WithFeatures(R"({"text":[1],"text":[2]})"), "utterances[0].features.text occurs twice"},
      {WithFeatures(R"({"":[1]})"), "utterances[0].features. has a modality without a name"},
      {WithFeatures("{}"),
       "utterances[0].features is missing or empty, want a modality, such as \"text\""},
      {WithFeatures("[1]"), "utterances[0].features is a list, want an object {...}"},
      {WithSecondFeatures(R"({"text":[1],"gaze":[[3],[4]]})"),
       "utterances[1].features.text has 1 values, want 2 as in utterances[0]"},
      {WithSecondFeatures(R"({"text":[1,2],"gaze":[[3],[4,5]]})"),
       "utterances[1].features.gaze[1] has 2 values, want 1 as in utterances[0]"},
      {WithSecondFeatures(R"({"text":[1,2],"gaze":[3]})"),
       "utterances[1].features.gaze has 1 streams, want 2 as in utterances[0]"},
      {WithSecondFeatures(R"({"text":[1,2],"gaze":[[3],[4],[5]]})"),
       "utterances[1].features.gaze[2] is one stream too many, want 2 as in utterances[0]"},
  };
  for (const BadLine& line : lines) EXPECT_EQ(ErrorOf(line.json), line.error) << line.json;
}

TEST(ConversationFromJsonTest, NamesWhatIsWrongWithTheFields) {
  const std::string rest = R"("utterances":[{"speaker":"A","features":{"t":[1]}}]})";
  const std::vector<BadLine> lines = {
      {"{}", "id is missing, want a name or a number"},
      {R"({"id":"d"})", "utterances is missing or empty, want >= 1"},
      {R"({"id":"d","utterances":[]})", "utterances is missing or empty, want >= 1"},
      {R"({"id":"","utterances":[]})", "id is empty, want a name"},
      {R"({"id":1.5,)" + rest, "id is 1.5, want a string or an integer"},
      {R"({"id":null,)" + rest, "id is null, want a string or an integer"},
      {R"({"id":"d","id":"e",)" + rest, "id occurs twice"},
      {R"({"id":"d","split":"dev",)" + rest, "split is \"dev\", want train, valid or test"},
      {R"({"id":"d","split":null,)" + rest, "split is null, want a string"},
      {R"({"id":"d","position":"1",)" + rest, "position is 1, want an integer of 32 bits"},
      {R"({"id":"d","position":3000000000,)" + rest,
       "position is 3000000000, want an integer of 32 bits"},
      {R"({"id":"d","utterances":{}})", "utterances is an object, want a list [...]"},
      {R"({"id":"d","utterances":[3]})", "utterances[0] is 3, want an object {...}"},
      {R"({"id":"d","utterances":[{"features":{"t":[1]}}]})",
       "utterances[0] has no \"speaker\", want a name"},
      {R"({"id":"d","utterances":[{"speaker":"A"}]})", "utterances[0] has no \"features\""},
      {R"({"id":"d","utterances":[{"speaker":true}]})",
       "utterances[0].speaker is true, want a string or an integer"},
      {R"({"id":"d","utterances":[{"speaker":"A","lable":"joy"}]})",
       "utterances[0].lable is no field of this format; did you mean \"label\"? (fields: id, "
       "speaker, "
       "label, text, features, metadata)"},
      {R"({"id":"d","turns":[]})",
       "turns is no field of this format; leave it out (fields: id, split, position, extractors, "
       "utterances, metadata)"},
      {"[1]", "is a list, want an object {...}"},
      {"NaN", "is NaN, want an object {...}; replace the value"},
  };
  for (const BadLine& line : lines) EXPECT_EQ(ErrorOf(line.json), line.error) << line.json;
}

TEST(ConversationFromJsonTest, RefusesWhatIsNotJson) {
  const std::string good = kGood;
  // Every line that was cut off.
  for (size_t size = 1; size < good.size(); ++size) {
    EXPECT_NE(ErrorOf(good.substr(0, size)), "no error") << size;
  }
  const std::vector<BadLine> lines = {
      {R"({"id":"d")",
       "ends before its JSON does: want ',' or '}'; every line must hold a whole conversation"},
      {R"({"id":"d",})", "column 11: want a key in double quotes, got \"}\""},
      {R"({id:"d"})", "column 2: want a key in double quotes, got \"id:\\\"d\\\"}\""},
      {R"({'id':'d'})", "column 2: want a key in double quotes, got \"\\'id\\':\\'d\\'}\""},
      {R"({"id" "d"})", "column 7 (in id): want ':', got \"\\\"d\\\"}\""},
      {WithFeatures(R"({"t":[1 2]})"),
       "column 59 (in utterances[0].features.t): want ',' or ']', got \"2]}}]}\""},
      {good + " {}",
       absl::StrCat("column ", good.size() + 2,
                    ": want the end of the line; every line must hold one conversation, got "
                    "\"{}\"")},
      {"{\"id\":\"\\x\"}", "column 9 (in id): want an escape of JSON, got \"x\\\"}\""},
      {R"({"id":"\ud800"})",
       "column 14 (in id): want the second half of a surrogate pair, got \"\\\"}\""},
      {R"({"id":"\udc00"})", "id has half a surrogate pair"},
      {R"({"id":"\ud83dA"})",
       "column 14 (in id): want the second half of a surrogate pair, got \"A\\\"}\""},
      {R"({"id":"\u00g0"})", "column 12 (in id): want four hexadecimal digits, got \"g0\\\"}\""},
      {"{\"id\":\"a\tb\"}",
       "column 9 (in id): want control characters as \\u00XX, got \"\\tb\\\"}\""},
  };
  for (const BadLine& line : lines) EXPECT_EQ(ErrorOf(line.json), line.error) << line.json;
  for (const char* number : {"01", "+1", ".5", "1.", "1e", "0x1", "--1", "1_000", "-", "inf"}) {
    EXPECT_NE(ErrorOf(WithFeatures(absl::StrCat("{\"t\":[", number, "]}"))), "no error") << number;
  }
  // Not UTF-8: a lone continuation, an overlong '/', a surrogate, beyond U+10FFFF, cut short.
  for (const char* text : {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("{\"id\":\"", text, "\"}")), HasSubstr("want UTF-8")) << text;
  }
}

TEST(ConversationFromJsonTest, TextOfWindowsIsNamed) {
  EXPECT_EQ(
      ErrorOf("{\"id\":\"It\x92s caf\xE9\"}"),
      "column 10 (in id): want UTF-8; it reads as Windows-1252 (\"It\u2019s caf\u00e9\"): "
      "save the file as UTF-8, with iconv -f WINDOWS-1252 -t UTF-8, got \"\\x92s caf\\xe9\\\"}\"");
  // Nothing in that encoding, and a line with characters of UTF-8 in it.
  for (const char* text : {"It\x81s", "caf\xC3\xA9, it\x92s"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("{\"id\":\"", text, "\"}")),
                HasSubstr("want UTF-8; save the file in that encoding"))
        << text;
  }
}

TEST(ConversationFromJsonTest, DepthIsBounded) {
  const std::string deep(1000000, '[');
  EXPECT_THAT(ErrorOf(deep), HasSubstr("want an object"));
  EXPECT_THAT(ErrorOf(WithFeatures("{\"t\":" + deep)), HasSubstr("is a list"));
  EXPECT_THAT(ErrorOf("{\"x\":" + deep), HasSubstr("is no field"));
}

TEST(ConversationFromJsonTest, TooManyStreamsAndModalities) {
  std::string streams = "[[1]";
  std::string modalities = "{\"m\":[1]";
  for (int i = 1; i < 65; ++i) {
    streams += ",[1]";
    absl::StrAppend(&modalities, ",\"m", i, "\":[1]");
  }
  EXPECT_EQ(ErrorOf(WithFeatures("{\"t\":" + streams + "]}")),
            "utterances[0].features.t[64] is one too many, want at most 64 streams");
  EXPECT_EQ(ErrorOf(WithFeatures(modalities + "}")),
            "utterances[0].features.m64 is one too many, want at most 64 modalities");
}

TEST(ConversationToJsonTest, IsReadBackBitForBit) {
  std::mt19937 random(1);
  ConversationRecord record;
  record.set_id("a \"quoted\"\\\n\x01 \xC3\xA9");
  record.set_split(ConversationRecord::TEST);
  auto* modality = record.add_modalities();
  modality->set_name("text");
  modality->set_width(500);
  for (int i = 0; i < 4; ++i) {
    auto* utterance = record.add_utterances();
    utterance->set_speaker("A");
    if (i > 0) utterance->set_label("joy");
    if (i > 1) utterance->set_text("");
  }
  auto* values = modality->add_streams()->mutable_values();
  while (values->size() < 2000) {
    const uint32_t bits = random();
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    if (std::isfinite(value)) values->Add(value);
  }
  values->Set(0, -0.0f);
  values->Set(1, std::numeric_limits<float>::denorm_min());
  values->Set(2, std::numeric_limits<float>::max());
  const std::string json = ConversationToJson(record);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  const auto again = ConversationFromJson(json);
  ASSERT_TRUE(again.ok()) << again.status();
  // Equals on floats would take -0 for 0.
  EXPECT_EQ(again->SerializeAsString(), record.SerializeAsString());

  record.set_id("275");
  record.set_numeric_id(true);
  record.set_position(-3);
  *modality->add_streams() = modality->streams(0);
  ShareEqualStreams(&record);
  const auto numeric = ConversationFromJson(ConversationToJson(record));
  ASSERT_TRUE(numeric.ok()) << numeric.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*numeric, record));
}

// What rounds to 0 is 0; what rounds to a subnormal float is that.
TEST(ConversationFromJsonTest, SmallNumbers) {
  const auto record =
      ConversationFromJson(WithFeatures(R"({"t":[1e-400,-1e-60,1e-45,0.00000,-0,16777217]})"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_THAT(record->modalities(0).streams(0).values(),
              ElementsAre(0, 0, std::numeric_limits<float>::denorm_min(), 0, 0, 16777216));
  EXPECT_TRUE(std::signbit(record->modalities(0).streams(0).values(4)));
}

// The reader has a fast way for short numbers. Rounding to double and then to float would give
// another float for 1.00000005960464477, which is just above the middle of two.
TEST(ConversationFromJsonTest, NumbersOfAnyLengthAreRoundedOnce) {
  std::vector<std::string> numbers = {"1.00000005960464477",
                                      "1.00000005960464478",
                                      "16777217",
                                      "16777217.0",
                                      "16777219",
                                      "-16777217.000000",
                                      "0.5",
                                      "123456789012345",
                                      "1234567890123456",
                                      "0.100000001490116",
                                      "0.000000000000001",
                                      "9007199254740993",
                                      "-0.0",
                                      "-0"};
  std::mt19937_64 random(1);
  for (int i = 0; i < 50000; ++i) {
    std::string digits = absl::StrCat(random() % 10);
    if (i % 5 > 0) absl::StrAppend(&digits, ".", random());
    digits.resize(std::min<size_t>(digits.size(), 3 + i % 19));
    numbers.push_back(absl::StrCat(i % 2 == 0 ? "-" : "", digits));
  }
  const auto record = ConversationFromJson(
      WithFeatures(absl::StrCat("{\"t\":[", absl::StrJoin(numbers, ","), "]}")));
  ASSERT_TRUE(record.ok()) << record.status();
  const auto& values = record->modalities(0).streams(0).values();
  ASSERT_EQ(values.size(), static_cast<int>(numbers.size()));
  for (int i = 0; i < values.size(); ++i) {
    const float want = std::strtof(numbers[i].c_str(), nullptr);
    EXPECT_EQ(values[i], want) << numbers[i];
    EXPECT_EQ(std::signbit(values[i]), std::signbit(want)) << numbers[i];
  }
}

TEST(JsonLinesReaderTest, GoesOnBehindBadLines) {
  std::istringstream in(absl::StrCat("\xEF\xBB\xBF", kGood, "\n\n  \r\n{\"id\":\n", kGood, "\r\n",
                                     WithFeatures(R"({"text":[NaN]})"), "\n", kGood));
  JsonLinesReader reader(in, "dialogues.jsonl");
  for (const int64_t line : {1, 5}) {
    const auto record = reader.Next();
    ASSERT_TRUE(record.ok()) << record.status();
    ASSERT_TRUE(record->has_value());
    EXPECT_EQ((*record)->id(), "d1");
    EXPECT_EQ(reader.line(), line);
    const auto bad = reader.Next();
    EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
    if (line == 1) {
      EXPECT_THAT(bad.status().message(),
                  HasSubstr("dialogues.jsonl, line 4: ends before its JSON does (in id)"));
    } else {
      EXPECT_THAT(bad.status().message(),
                  HasSubstr("dialogues.jsonl, line 6: utterances[0].features.text[0] is NaN"));
    }
  }
  const auto last = reader.Next();
  ASSERT_TRUE(last.ok() && last->has_value());
  for (int i = 0; i < 2; ++i) {
    const auto end = reader.Next();
    ASSERT_TRUE(end.ok());
    EXPECT_FALSE(end->has_value());
  }
}

// Lines are read in pieces of 64 KiB.
TEST(JsonLinesReaderTest, LinesOfAnyLength) {
  for (const size_t size : {65534, 65535, 65536, 131069, 131070, 131071, 300000}) {
    for (const char* end : {"", "\n", "\n\n"}) {
      std::string line = kGood;
      line.insert(1, std::string(size - line.size(), ' '));
      std::istringstream in(absl::StrCat(line, "\n", line, end));
      JsonLinesReader reader(in, "x");
      for (const int64_t number : {1, 2}) {
        const auto record = reader.Next();
        ASSERT_TRUE(record.ok() && record->has_value()) << size << " " << record.status();
        EXPECT_EQ(reader.line(), number) << size;
      }
      const auto last = reader.Next();
      ASSERT_TRUE(last.ok()) << size << " " << last.status();
      EXPECT_FALSE(last->has_value());
    }
  }
}

// A line that never ends, such as /dev/zero.
class Endless final : public std::streambuf {
 public:
  Endless() : block_(1 << 16, 'x') {}

 protected:
  int_type underflow() override {
    setg(block_.data(), block_.data(), block_.data() + block_.size());
    return traits_type::to_int_type(block_[0]);
  }

 private:
  std::string block_;
};

TEST(JsonLinesReaderTest, ALineWithoutEndEndsTheReading) {
  Endless endless;
  std::istream in(&endless);
  JsonLinesReader reader(in, "x");
  EXPECT_EQ(reader.Next().status().message(),
            "x, line 1: is longer than 256 MiB; a line holds one conversation");
  const auto next = reader.Next();
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(next->has_value());
}

TEST(JsonLinesReaderTest, AStreamThatFails) {
  std::ifstream in(testing::TempDir());  // a folder: opens, but cannot be read
  JsonLinesReader reader(in, "folder");
  EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kUnavailable);
}

TEST(JsonLinesReaderTest, AnEmptyFileHasNoConversations) {
  for (const char* text : {"", "\n", "\n \n"}) {
    std::istringstream in(text);
    const auto end = JsonLinesReader(in, "x").Next();
    ASSERT_TRUE(end.ok());
    EXPECT_FALSE(end->has_value());
  }
}

}  // namespace
}  // namespace cmerc
