// What made the features of a conversation, in every form that says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/record_file.h"
#include "datasets/formats/stream_line.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// A conversation with text and audio; `extractors` is the value of that key as JSON.
std::string Line(const std::string& extractors) {
  return absl::StrCat(R"({"id":"d","extractors":)", extractors,
                      R"(,"utterances":[{"speaker":"A","features":{"text":[1,2],"audio":[3]}}]})");
}

std::string ErrorOf(const std::string& json, UnknownKeys unknown_keys = UnknownKeys::kRefuse) {
  return std::string(ConversationFromJson(json, unknown_keys).status().message());
}

TEST(ExtractorsTest, AreReadBeforeAndBehindTheUtterancesAndWritten) {
  const std::string line = Line(R"({"audio":"smile 2","text":"bert \"x\" 1"})");
  const ConversationRecord record = ConversationFromJson(line).value();
  EXPECT_THAT(ExtractorsOf(record),
              ElementsAre(Pair("audio", "smile 2"), Pair("text", "bert \"x\" 1")));
  EXPECT_EQ(ConversationToJson(record), line);
  const ConversationRecord behind =
      ConversationFromJson(R"({"id":"d","utterances":[{"speaker":"A","features":{"text":[1]}}],)"
                           R"("extractors":{"video":"of what is not there","text":"bert 1"}})")
          .value();
  EXPECT_THAT(ExtractorsOf(behind), ElementsAre(Pair("text", "bert 1")));
  EXPECT_THAT(ExtractorsOf(ConversationFromJson(Line("{}")).value()), IsEmpty());
}

TEST(ExtractorsTest, AreTextsThatAreNotEmpty) {
  for (const UnknownKeys keys : {UnknownKeys::kRefuse, UnknownKeys::kKeep}) {
    EXPECT_THAT(ErrorOf(Line(R"({"text":3})"), keys), HasSubstr("extractors.text is 3, want"));
    EXPECT_THAT(ErrorOf(Line(R"({"text":null})"), keys), HasSubstr("extractors.text is null"));
    EXPECT_EQ(ErrorOf(Line(R"({"text":""})"), keys),
              "extractors.text is empty, want a name and a version");
    EXPECT_THAT(ErrorOf(Line(R"("bert")"), keys), HasSubstr("extractors is"));
    EXPECT_THAT(ErrorOf(Line(R"({"text":"a","text":"b"})"), keys),
                HasSubstr("extractors.text occurs twice"));
  }
  ConversationRecord record = ConversationFromJson(Line("{}")).value();
  record.mutable_modalities(0)->set_extractor("\xFF");
  EXPECT_EQ(CheckRecord(record).message(), "extractors.text is not UTF-8");
  EXPECT_THAT(ErrorOf(R"({"id":"d","extractor":{},"utterances":[]})"),
              HasSubstr("did you mean \"extractors\"?"));
}

DatasetSchema Schema() {
  DatasetSchema schema;
  for (const auto& [name, width] : {std::pair("text", 2), {"audio", 1}}) {
    DatasetSchema::Modality* modality = schema.add_modalities();
    modality->set_name(name);
    modality->set_width(width);
    modality->set_num_streams(1);
  }
  schema.mutable_modalities(0)->set_extractor("bert 1");
  return schema;
}

TEST(ExtractorsTest, ARecordFileSaysThemInItsHeaderForEveryRecord) {
  std::string bytes;
  const auto writer = RecordFileWriter::Create(Schema(), [&](absl::string_view piece) {
                        absl::StrAppend(&bytes, piece);
                        return absl::OkStatus();
                      }).value();
  ASSERT_TRUE(writer->Write(ConversationFromJson(Line("{}")).value()).ok());
  ASSERT_TRUE(writer->Write(ConversationFromJson(Line(R"({"audio":"own 1"})")).value()).ok());
  EXPECT_THAT(
      writer->Write(ConversationFromJson(Line(R"({"text":"bert 2"})")).value()).message(),
      HasSubstr("conversation d: extractors.text is \"bert 2\", want \"bert 1\" as of the others"));
  ASSERT_TRUE(writer->Finish().ok());
  std::istringstream in(bytes);
  const auto reader = RecordFileReader::Open(in, "x.records").value();
  EXPECT_THAT(ExtractorsOf(reader->schema()), ElementsAre(Pair("text", "bert 1")));
  EXPECT_THAT(ExtractorsOf(**reader->Next()), ElementsAre(Pair("text", "bert 1")));
  EXPECT_THAT(ExtractorsOf(**reader->Next()),
              ElementsAre(Pair("audio", "own 1"), Pair("text", "bert 1")));
}

TEST(ExtractorsTest, AHeaderWithAnEmptyOneIsRefused) {
  DatasetSchema schema = Schema();
  schema.mutable_modalities(1)->set_extractor("");
  EXPECT_EQ(CheckSchema(schema).message(), "extractors.audio is empty, want a name and a version");
}

TEST(ExtractorsTest, ALineOfAStreamHasThem) {
  const StreamLine line =
      StreamLineFromJson(R"({"speaker":"A","extractors":{"text":"bert 1"},"conversation":"d1",)"
                         R"("features":{"text":[1]}})")
          .value();
  EXPECT_THAT(ExtractorsOf(line.record), ElementsAre(Pair("text", "bert 1")));
  EXPECT_TRUE(line.record.utterances(0).extras().empty());
  EXPECT_EQ(StreamLineFromJson(R"({"conversation":"d1","speaker":"A","extractors":{"text":""},)"
                               R"("features":{"text":[1]}})")
                .status()
                .message(),
            "extractors.text is empty, want a name and a version");
}

}  // namespace
}  // namespace cmerc
