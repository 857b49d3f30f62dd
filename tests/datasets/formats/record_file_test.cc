#include "datasets/formats/record_file.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AnyOf;
using testing::HasSubstr;

constexpr char kLines[] = "tests/datasets/data/conversations.jsonl";
constexpr char kRecords[] = "tests/datasets/data/conversations.records";

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string Uint32(uint32_t value) {
  return std::string{static_cast<char>(value), static_cast<char>(value >> 8),
                     static_cast<char>(value >> 16), static_cast<char>(value >> 24)};
}

std::string Frame(const std::string& message, uint32_t size) {
  const std::string checked = Uint32(size) + message;
  return Uint32(size) +
         Uint32(crc32(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size())) + message;
}
std::string Frame(const std::string& message) {
  return Frame(message, static_cast<uint32_t>(message.size()));
}

std::string Beginning(uint32_t version = 1) {
  return "\x89"
         "CMERC\r\n" +
         Uint32(version);
}

DatasetSchema Schema() {
  DatasetSchema schema;
  auto* modality = schema.add_modalities();
  modality->set_name("text");
  modality->set_width(2);
  modality->set_num_streams(1);
  schema.add_class_names("joy");
  schema.add_class_names("anger");
  schema.add_speakers("A");
  return schema;
}

ConversationRecord Good() {
  return ConversationFromJson(R"({"id":"d","utterances":[{"speaker":"A","label":"joy",)"
                              R"("features":{"text":[1,2]}}]})")
      .value();
}

// The error that reading it ends with; counts the records before.
std::string ErrorOf(const std::string& file, int* records = nullptr) {
  std::istringstream in(file);
  const auto reader = RecordFileReader::Open(in, "x.records");
  if (!reader.ok()) {
    EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(reader.status().message());
  }
  while (true) {
    const auto record = (*reader)->Next();
    if (!record.ok()) {
      EXPECT_EQ(record.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_FALSE((*reader)->Next()->has_value()) << "after an error there is nothing";
      return std::string(record.status().message());
    }
    if (!record->has_value()) return "no error";
    if (records != nullptr) ++*records;
  }
}

// What the Python script wrote is what the format says, and what is written here.
TEST(RecordFileTest, ReadsAndWritesWhatAnotherImplementationWrites) {
  const std::string golden = ReadFile(kRecords);
  auto file = ConversationFile::Open(kRecords);
  ASSERT_TRUE(file.ok()) << file.status();
  auto lines = ConversationFile::Open(kLines);
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_EQ((*lines)->schema(), nullptr);
  const DatasetSchema& schema = *(*file)->schema();
  EXPECT_EQ(schema.name(), "conversations");
  EXPECT_THAT(schema.class_names(), testing::ElementsAre("anger", "joy", "neutral"));
  EXPECT_THAT(schema.speakers(), testing::ElementsAre("Ann", "Bob", "Cy"));

  std::string written;
  const auto writer = RecordFileWriter::Create(schema, [&](absl::string_view bytes) {
    absl::StrAppend(&written, bytes);
    return absl::OkStatus();
  });
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int i = 1; i <= 4; ++i) {
    const auto record = (*file)->Next();
    ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
    EXPECT_EQ((*file)->Place(), absl::StrCat("record ", i));
    const auto line = (*lines)->Next();
    ASSERT_TRUE(line.ok() && line->has_value()) << line.status();
    EXPECT_EQ((*lines)->Place(), absl::StrCat("line ", i));
    EXPECT_TRUE(CheckFitsSchema(**line, schema).ok());
    if (i != 2) {  // its features are in another order
      EXPECT_TRUE(MessageDifferencer::Equals(**record, **line));
    }
    ASSERT_TRUE((*writer)->Write(**record).ok());
  }
  EXPECT_FALSE((*file)->Next()->has_value());
  EXPECT_FALSE((*lines)->Next()->has_value());
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ(written, golden);
}

TEST(RecordFileTest, EveryTruncationIsAnError) {
  const std::string golden = ReadFile(kRecords);
  for (size_t size = 0; size < golden.size(); ++size) {
    EXPECT_THAT(ErrorOf(golden.substr(0, size)), HasSubstr("the file is truncated")) << size;
  }
  EXPECT_EQ(ErrorOf(golden), "no error");
  EXPECT_THAT(ErrorOf(golden + "x"), HasSubstr("something follows the end of the records"));
  EXPECT_THAT(ErrorOf(golden.substr(0, 40)),
              HasSubstr("x.records, header: the file is truncated: it ends at byte 40, want "));
}

TEST(RecordFileTest, EveryFlippedBitIsAnError) {
  const std::string golden = ReadFile(kRecords);
  for (size_t i = 0; i < golden.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = golden;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_THAT(ErrorOf(damaged),
                  AnyOf(HasSubstr("CRC-32"), HasSubstr("truncated"), HasSubstr("no record file"),
                        HasSubstr("format version"), HasSubstr("want at most")))
          << "byte " << i;
    }
  }
}

TEST(RecordFileTest, WrongFilesWithRightChecksums) {
  const std::string header = Beginning() + Frame(Schema().SerializeAsString());
  const auto record = [&](void (*spoil)(ConversationRecord&)) {
    ConversationRecord bad = Good();
    spoil(bad);
    return header + Frame(Good().SerializeAsString()) + Frame(bad.SerializeAsString());
  };
  using Record = ConversationRecord;
  EXPECT_EQ(ErrorOf("not a record file"),
            "x.records, header: this is no record file: it does not begin with \\x89CMERC\\r\\n");
  EXPECT_EQ(ErrorOf(Beginning(2) + Frame(Schema().SerializeAsString())),
            "x.records, header: format version 2, want 1; convert the data again with this "
            "program");
  EXPECT_EQ(ErrorOf(Beginning() + Frame("\x08")), "x.records, header: holds no DatasetSchema");
  EXPECT_EQ(ErrorOf(Beginning() + Frame(DatasetSchema().SerializeAsString() + "\x0A\x01x")),
            "x.records, header: no modality is listed, want >= 1");
  EXPECT_EQ(ErrorOf(header + Frame("\xFF\xFF")),
            "x.records, record 1: holds no ConversationRecord");
  // A size that is not there takes no memory.
  EXPECT_THAT(ErrorOf(header + Frame("x", 500000000)), HasSubstr("the file is truncated"));
  EXPECT_EQ(ErrorOf(header + Frame("x", 0xFFFFFFFF)),
            "x.records, record 1: claims 4294967295 bytes, want at most 536870912; the file is "
            "damaged");
  EXPECT_EQ(ErrorOf(record([](Record& r) { r.clear_id(); })),
            "x.records, record 2: id is missing, want a name or a number");
  EXPECT_EQ(ErrorOf(record([](Record& r) { r.mutable_utterances(0)->set_label("fear"); })),
            "x.records, record 2: utterances[0].label is \"fear\", want one of joy, anger");
  EXPECT_EQ(ErrorOf(record([](Record& r) {
              r.mutable_modalities(0)->mutable_streams(0)->mutable_values()->RemoveLast();
            })),
            "x.records, record 2: features.text: stream 0 has 1 values, want 2 for 1 utterances "
            "of width 2");
  // An end that is not where it should be.
  const std::string one(8, '\0');
  int records = 0;
  EXPECT_EQ(ErrorOf(header + Frame(Good().SerializeAsString()) + Frame(one, 0), &records),
            "x.records, record 2: the file ends after 1 records, want 0");
  EXPECT_EQ(records, 1);
}

TEST(RecordFileWriterTest, RefusesWhatTheReaderWould) {
  const auto ignore = [](absl::string_view) { return absl::OkStatus(); };
  EXPECT_EQ(RecordFileWriter::Create(DatasetSchema(), ignore).status().message(),
            "no modality is listed, want >= 1");
  const auto writer = RecordFileWriter::Create(Schema(), ignore).value();
  ConversationRecord record = Good();
  EXPECT_TRUE(writer->Write(record).ok());
  record.mutable_utterances(0)->set_speaker("Bob");
  EXPECT_EQ(writer->Write(record).message(),
            "conversation d: utterances[0].speaker is \"Bob\", want one of A");
}

TEST(RecordFileWriterTest, GivesTheErrorsOfTheSink) {
  int calls_left = 2;
  const auto full = [&](absl::string_view) {
    return calls_left-- > 0 ? absl::OkStatus() : absl::ResourceExhaustedError("disk full");
  };
  EXPECT_EQ(RecordFileWriter::Create(Schema(), full).status().message(), "disk full");
  calls_left = 3;
  const auto writer = RecordFileWriter::Create(Schema(), full).value();
  EXPECT_EQ(writer->Write(Good()).message(), "disk full");
}

TEST(CheckSchemaTest, NamesWhatIsWrong) {
  EXPECT_TRUE(CheckSchema(Schema()).ok());
  const auto error = [](void (*spoil)(DatasetSchema&)) {
    DatasetSchema schema = Schema();
    spoil(schema);
    return std::string(CheckSchema(schema).message());
  };
  using S = DatasetSchema;
  EXPECT_EQ(error([](S& s) { s.mutable_modalities(0)->clear_name(); }), "a modality has no name");
  EXPECT_EQ(error([](S& s) { *s.add_modalities() = s.modalities(0); }),
            "modality text is listed twice");
  EXPECT_EQ(error([](S& s) { s.mutable_modalities(0)->set_width(0); }),
            "modality text has width 0 and 1 streams, want >= 1");
  EXPECT_EQ(error([](S& s) { s.mutable_modalities(0)->set_num_streams(65); }),
            "modality text has 65 streams, want at most 64");
  EXPECT_EQ(error([](S& s) {
              while (s.modalities_size() < 65) *s.add_modalities() = s.modalities(0);
            }),
            "there are 65 modalities, want at most 64");
  EXPECT_EQ(error([](S& s) { s.mutable_modalities(0)->set_name("\xFF"); }),
            "the name of a modality is not UTF-8");
  EXPECT_EQ(error([](S& s) { s.add_class_names("joy"); }), "class_names has \"joy\" twice");
  EXPECT_EQ(error([](S& s) { s.add_speakers(""); }), "speakers has an empty name");
  EXPECT_EQ(error([](S& s) { s.add_speakers("\xFF"); }), "speakers has a name that is not UTF-8");
}

TEST(ConversationFileTest, SaysWhatIsWrongWithTheFile) {
  const std::string folder = testing::TempDir();
  const auto error = [&](const std::string& contents) {
    std::ofstream(folder + "/x", std::ios::binary) << contents;
    return std::string(ConversationFile::Open(folder + "/x").status().message());
  };
  EXPECT_EQ(error(""), folder + "/x: is empty");
  EXPECT_THAT(error("[{}]"), HasSubstr("is one JSON list of something else than conversations"));
  EXPECT_THAT(error("\x80\x04"), HasSubstr("is a Python pickle, want JSON Lines, a record file"));
  EXPECT_THAT(error("abc"), HasSubstr("begins with \"a\", which is neither"));
  EXPECT_THAT(error("\x89PNG"), HasSubstr("/x, header: the file is truncated"));
  EXPECT_EQ(error(" {}"), "");
  const auto missing = ConversationFile::Open("nowhere.jsonl").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), "nowhere.jsonl: cannot be opened: No such file or directory");
  EXPECT_EQ(ConversationFile::Open(folder).status().message(),
            folder + ": is a folder, want a file");
}

}  // namespace
}  // namespace cmerc
