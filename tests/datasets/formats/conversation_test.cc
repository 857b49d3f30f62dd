#include "datasets/formats/conversation.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "datasets/formats/json_lines.h"

namespace cmerc {
namespace {

ConversationRecord Good() {
  return ConversationFromJson(R"({"id":"d","utterances":[{"speaker":"A","label":"joy","features":)"
                              R"({"text":[[1,2],[3,4]],"audio":[5]}},{"speaker":"B","features":)"
                              R"({"text":[[6,7],[8,9]],"audio":[0]}}]})")
      .value();
}

DatasetSchema Schema() {
  DatasetSchema schema;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "modalities { name: 'audio' width: 1 num_streams: 1 } "
      "modalities { name: 'text' width: 2 num_streams: 2 } "
      "class_names: 'joy' class_names: 'anger' speakers: 'A' speakers: 'B' speakers: 'C'",
      &schema));
  return schema;
}

TEST(CheckRecordTest, NamesWhatIsWrong) {
  EXPECT_TRUE(CheckRecord(Good()).ok());
  const auto error = [](void (*spoil)(ConversationRecord&)) {
    ConversationRecord record = Good();
    spoil(record);
    const absl::Status status = CheckRecord(record);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  using Record = ConversationRecord;
  EXPECT_EQ(error([](Record& r) { r.clear_id(); }), "id is missing, want a name or a number");
  EXPECT_EQ(error([](Record& r) { r.set_numeric_id(true); }),
            "id is \"d\", want an integer, as it is a number");
  for (const char* id : {"-", "01", "-01", "1.5", "1e3", "+1", " 1", "1\n"}) {
    Record record = Good();
    record.set_id(id);
    EXPECT_TRUE(CheckRecord(record).ok()) << id;
    record.set_numeric_id(true);
    EXPECT_FALSE(CheckRecord(record).ok()) << id;
  }
  for (const char* id : {"0", "7", "-12", "123456789012345678901234567890"}) {
    Record record = Good();
    record.set_id(id);
    record.set_numeric_id(true);
    EXPECT_TRUE(CheckRecord(record).ok()) << id;
  }
  EXPECT_EQ(error([](Record& r) { r.clear_utterances(); }),
            "utterances is missing or empty, want >= 1");
  EXPECT_EQ(error([](Record& r) { r.mutable_utterances(1)->clear_speaker(); }),
            "utterances[1].speaker is missing, want a name");
  EXPECT_EQ(error([](Record& r) { r.clear_modalities(); }),
            "utterances[0].features is missing or empty, want a modality, such as \"text\"");
  EXPECT_EQ(error([](Record& r) { r.mutable_modalities(0)->clear_name(); }),
            "a modality has no name");
  EXPECT_EQ(error([](Record& r) { r.mutable_modalities(1)->set_name("text"); }),
            "features.text occurs twice");
  EXPECT_EQ(error([](Record& r) { r.mutable_modalities(0)->set_width(-2); }),
            "features.text has width -2, want >= 1");
  EXPECT_EQ(error([](Record& r) { r.mutable_modalities(0)->set_width(0x7fffffff); }),
            "features.text: stream 0 has 4 values, want 4294967294 for 2 utterances of width "
            "2147483647");
  EXPECT_EQ(error([](Record& r) {
              for (int s = 2; s < 65; ++s) {
                r.mutable_modalities(0)->add_streams()->set_same_as_previous(true);
              }
            }),
            "features.text has 65 streams, want at most 64");
  EXPECT_EQ(error([](Record& r) {
              while (r.modalities_size() < 65) *r.add_modalities() = r.modalities(0);
            }),
            "there are 65 modalities, want at most 64");
  EXPECT_EQ(error([](Record& r) { r.mutable_modalities(0)->clear_streams(); }),
            "features.text has no streams, want >= 1");
  EXPECT_EQ(error([](Record& r) {
              r.mutable_modalities(0)->mutable_streams(1)->set_same_as_previous(true);
            }),
            "features.text: stream 1 repeats the one before, but has values");
  EXPECT_EQ(error([](Record& r) {
              auto* stream = r.mutable_modalities(0)->mutable_streams(0);
              stream->clear_values();
              stream->set_same_as_previous(true);
            }),
            "features.text: stream 0 repeats the one before, but is the first");
  EXPECT_EQ(error([](Record& r) {
              r.mutable_modalities(0)->mutable_streams(1)->set_values(
                  3, std::numeric_limits<float>::quiet_NaN());
            }),
            "utterances[1].features.text[1][1] is nan, want a finite number");
  EXPECT_EQ(error([](Record& r) {
              r.mutable_modalities(1)->mutable_streams(0)->set_values(
                  0, -std::numeric_limits<float>::infinity());
            }),
            "utterances[0].features.audio[0] is -inf, want a finite number");
}

TEST(CheckRecordTest, UtterancesMayLackAModality) {
  ConversationRecord record = Good();
  auto* audio = record.mutable_modalities(1);
  audio->mutable_streams(0)->mutable_values()->RemoveLast();
  EXPECT_EQ(CheckRecord(record).message(),
            "features.audio: stream 0 has 1 values, want 2 for 2 utterances of width 1");
  audio->add_absent(0);
  EXPECT_TRUE(CheckRecord(record).ok()) << CheckRecord(record);
  EXPECT_EQ(RowsOf(*audio, 2), (std::vector<int>{-1, 0}));
  EXPECT_EQ(RowsOf(record.modalities(0), 2), (std::vector<int>{0, 1}));
  audio->mutable_streams(0)->set_values(0, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(CheckRecord(record).message(),
            "utterances[1].features.audio[0] is nan, want a finite number");
  audio->mutable_streams(0)->clear_values();
  audio->add_absent(1);
  EXPECT_EQ(CheckRecord(record).message(),
            "features.audio is absent of all utterances, want it left out");
  for (const int absent : {-1, 0, 2}) {
    audio->set_absent(1, absent);
    EXPECT_FALSE(CheckRecord(record).ok()) << absent;
  }
  audio->set_absent(1, 2);
  EXPECT_EQ(CheckRecord(record).message(),
            "features.audio: absent has 2 behind 0, want ascending positions of the 2 utterances");
}

TEST(CheckRecordTest, NamesWhatIsWrongWithWhatIsCarriedAlong) {
  const auto error = [](const std::string& key, const std::string& json) {
    ConversationRecord record = Good();
    ConversationRecord::Extra* extra = record.mutable_utterances(1)->add_extras();
    extra->set_key(key);
    extra->set_json(json);
    return std::string(CheckRecord(record).message());
  };
  EXPECT_EQ(error("metadata", "{\"a\":[1]}"), "");
  EXPECT_EQ(
      error("metadata", ""),
      "utterances[1].metadata is carried along, want a value of JSON on one line: ends before "
      "its JSON does: want a value of JSON; every line must hold a whole conversation");
  EXPECT_EQ(error("x", "[1,\n2]"),
            "utterances[1].x is carried along, want a value of JSON on one line");
  EXPECT_EQ(
      error("x", "1} {"),
      "utterances[1].x is carried along, want a value of JSON on one line: column 2: want the "
      "end of the line; every line must hold one conversation, got \"} {\"");
  EXPECT_EQ(error("label", "1"), "utterances[1].label occurs twice");

  ConversationRecord record = Good();
  record.add_extras()->set_key("label");  // no field of a conversation
  record.mutable_extras(0)->set_json("1");
  EXPECT_TRUE(CheckRecord(record).ok());
  record.mutable_extras(0)->set_key("split");
  EXPECT_EQ(CheckRecord(record).message(), "split occurs twice");
  record.clear_extras();
  for (int i = 0; i < 2; ++i) {
    record.add_extras()->set_key("x");
    record.mutable_extras(i)->set_json("1");
  }
  EXPECT_EQ(CheckRecord(record).message(), "x occurs twice");
  record = Good();
  record.mutable_utterances(0)->set_id("u1");
  EXPECT_TRUE(CheckRecord(record).ok());
  record.mutable_utterances(0)->set_numeric_id(true);
  EXPECT_EQ(CheckRecord(record).message(),
            "utterances[0].id is \"u1\", want an integer, as it is a number");
}

TEST(CheckFitsSchemaTest, NamesWhatIsWrong) {
  EXPECT_TRUE(CheckFitsSchema(Good(), Schema()).ok()) << CheckFitsSchema(Good(), Schema());
  const auto error = [](void (*spoil)(ConversationRecord&, DatasetSchema&)) {
    ConversationRecord record = Good();
    DatasetSchema schema = Schema();
    spoil(record, schema);
    const absl::Status status = CheckFitsSchema(record, schema);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  using R = ConversationRecord;
  using S = DatasetSchema;
  EXPECT_EQ(error([](R&, S& s) { s.mutable_modalities(1)->set_width(3); }),
            "utterances[0].features.text[0] has 2 values, want 3");
  EXPECT_EQ(error([](R&, S& s) { s.mutable_modalities(0)->set_width(12); }),
            "utterances[0].features.audio has 1 values, want 12");
  EXPECT_EQ(error([](R&, S& s) { s.mutable_modalities(1)->set_num_streams(4); }),
            "utterances[0].features.text has 2 streams, want 4");
  EXPECT_EQ(error([](R&, S& s) { s.mutable_modalities(0)->set_name("visual"); }),
            "a name in utterances[0].features is \"audio\", want one of visual, text");
  EXPECT_EQ(error([](R& r, S& s) {
              r.mutable_modalities(1)->add_absent(0);
              s.mutable_modalities(0)->set_width(12);
            }),
            "utterances[1].features.audio has 1 values, want 12");
  EXPECT_EQ(error([](R&, S& s) { s.mutable_modalities()->DeleteSubrange(0, 1); }),
            "a name in utterances[0].features is \"audio\", want one of text");
  EXPECT_EQ(error([](R& r, S&) { r.mutable_utterances(0)->set_label("Joy"); }),
            "utterances[0].label is \"Joy\", want one of joy, anger; did you mean \"joy\"?");
  EXPECT_EQ(error([](R& r, S&) { r.mutable_utterances(1)->set_speaker("Anna"); }),
            "utterances[1].speaker is \"Anna\", want one of A, B, C");
}

TEST(CheckFitsSchemaTest, ModalitiesAndLabelsMayBeMissing) {
  ConversationRecord record = Good();
  record.mutable_modalities()->DeleteSubrange(1, 1);
  record.mutable_utterances(0)->clear_label();
  record.mutable_utterances(1)->set_label(kNoLabel);
  EXPECT_TRUE(CheckFitsSchema(record, Schema()).ok()) << CheckFitsSchema(record, Schema());
}

TEST(CheckFitsSchemaTest, EmptyListsAllowAnything) {
  DatasetSchema schema = Schema();
  schema.clear_class_names();
  schema.clear_speakers();
  ConversationRecord record = Good();
  record.mutable_utterances(0)->set_label("new");
  record.mutable_utterances(0)->set_speaker("new");
  EXPECT_TRUE(CheckFitsSchema(record, schema).ok());
}

TEST(ShareEqualStreamsTest, ComparesBits) {
  ConversationRecord record = Good();
  auto* text = record.mutable_modalities(0);
  text->mutable_streams(0)->set_values(0, 0.0f);
  *text->mutable_streams(1) = text->streams(0);
  text->mutable_streams(1)->set_values(0, -0.0f);
  ShareEqualStreams(&record);
  EXPECT_FALSE(text->streams(1).same_as_previous());
  text->mutable_streams(1)->set_values(0, 0.0f);
  ShareEqualStreams(&record);
  EXPECT_TRUE(text->streams(1).same_as_previous());
  ShareEqualStreams(&record);
  EXPECT_TRUE(text->streams(1).same_as_previous());
  EXPECT_EQ(StreamValues(*text, 1).data(), StreamValues(*text, 0).data());
  EXPECT_TRUE(CheckRecord(record).ok());
}

}  // namespace
}  // namespace cmerc
