#include "datasets/formats/conversation_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "datasets/formats/conversations_at.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/npz.h"
#include "tests/bin/files.h"
#include "tests/bytes/packed.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Path(const std::string& contents) {
  const std::string path = NewFolder() + "/f";
  WriteFile(path, contents);
  return path;
}

// Every conversation as a line of JSON; the message of the first error ends them.
std::vector<std::string> Read(const std::string& contents) {
  std::vector<std::string> lines;
  const auto file = ConversationFile::Open(Path(contents));
  if (!file.ok()) return {std::string(file.status().message())};
  while (true) {
    const auto record = (*file)->Next();
    if (!record.ok()) {
      lines.emplace_back(record.status().message());
      const auto more = (*file)->Next();
      EXPECT_TRUE(more.ok() && !more->has_value()) << "an error ends the reading";
      return lines;
    }
    if (!record->has_value()) return lines;
    lines.push_back(ConversationToJson(**record));
  }
}

std::string Line(const std::string& id) {
  return absl::StrCat("{\"id\":\"", id,
                      "\",\"split\":\"train\",\"utterances\":[{\"speaker\":\"A\",\"label\":"
                      "\"joy\",\"features\":{\"text\":[0.5,-2]}}]}");
}

TEST(ConversationFileTest, OpensWhatIsCompressed) {
  const std::string lines = absl::StrCat(Line("a"), "\n", Line("b"), "\n");
  const std::string records = ReadFile("tests/datasets/data/conversations.records");
  for (const auto pack : {&Gzip, &Zlib}) {
    EXPECT_THAT(Read(pack(lines)), ElementsAre(Line("a"), Line("b")));
    EXPECT_EQ(Read(pack(records)), Read(records));
  }
  const auto file = ConversationFile::Open(Path(Gzip(lines)));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Next().ok() && (*file)->Next().ok());
  EXPECT_EQ((*file)->Place(), "line 2");
}

// Neither a part of the last line nor of a record is taken for all of it.
TEST(ConversationFileTest, RefusesWhatIsCompressedAndCutShort) {
  std::string lines;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&lines, Line(absl::StrCat(i * i)), "\n");
  const std::string file = Gzip(lines);
  const std::vector<std::string> read = Read(file.substr(0, file.size() - 20));
  EXPECT_LT(read.size(), 3001u);
  EXPECT_THAT(read.back(), HasSubstr("f: is compressed and cut short; copy or download it again"));
  EXPECT_EQ(Read(file).size(), 3000u);
}

TEST(ConversationFileTest, RefusesBombs) {
  const std::vector<std::string> read = Read(Gzip(Line("a") + "\n" + std::string(20 << 20, '\n')));
  EXPECT_THAT(read.back(), HasSubstr("f: opens to more than "));
}

// Two conversations of three utterances; a test leaves out or replaces an array.
class NpzTest : public testing::Test {
 protected:
  NpzTest() {
    const auto text = [](const std::vector<const char*>& values) {
      std::string elements;
      for (const char* value : values) {
        std::string padded = value;
        padded.resize(5, '\0');
        for (const char c : padded) elements += std::string({c, '\0', '\0', '\0'});
      }
      return Npy("<U5", absl::StrCat("(", values.size(), ",)"), elements);
    };
    const auto integers = [](const std::vector<int32_t>& values) {
      return Npy("<i4", absl::StrCat("(", values.size(), ",)"), BytesOf(values));
    };
    text_ = text, integers_ = integers;
    arrays_ = {{"text", Npy("<f4", "(3, 2)", BytesOf<float>({1, 2, 3, 4, 5, 6}))},
               {"ids", text({"d2", "7"})},
               {"lengths", integers({2, 1})},
               {"speakers", integers({1, 0, 1})},
               {"labels", integers({1, -1, 0})},
               {"class_names", text({"joy", "anger"})},
               {"speaker_names", text({"Ann", "Bob"})},
               {"split", text({"test", "train"})},
               {"positions", integers({3, -1})},
               {"numeric_ids", integers({0, 1})},
               {"audio", Npy("<f8", "(3, 2, 1)", BytesOf<double>({1, 1, 2, 2, 3, 4}))}};
  }

  void Set(const std::string& name, const std::string& npy) {
    for (auto& [key, value] : arrays_) {
      if (key == name) value = npy;
    }
  }
  std::vector<std::string> ReadArrays() const {
    std::vector<ZipRecord> records;
    for (const auto& [name, npy] : arrays_) {
      if (!npy.empty()) records.emplace_back(name + ".npy", npy);
    }
    return Read(Zip(records));
  }
  std::string ProblemWith(const std::string& name, const std::string& npy) {
    const auto kept = arrays_;
    Set(name, npy);
    const std::string problem = ReadArrays().back();
    arrays_ = kept;
    return problem;
  }

  std::string (*text_)(const std::vector<const char*>&);
  std::string (*integers_)(const std::vector<int32_t>&);
  std::vector<std::pair<std::string, std::string>> arrays_;
};

TEST_F(NpzTest, IsReadAsConversations) {
  EXPECT_THAT(
      ReadArrays(),
      ElementsAre("{\"id\":\"d2\",\"split\":\"test\",\"position\":3,\"utterances\":["
                  "{\"speaker\":\"Bob\",\"label\":\"anger\",\"features\":{\"text\":[1,2],"
                  "\"audio\":[[1],[1]]}},"
                  "{\"speaker\":\"Ann\",\"features\":{\"text\":[3,4],\"audio\":[[2],[2]]}}]}",
                  "{\"id\":7,\"split\":\"train\",\"position\":-1,\"utterances\":["
                  "{\"speaker\":\"Bob\",\"label\":\"joy\",\"features\":{\"text\":[5,6],"
                  "\"audio\":[[3],[4]]}}]}"));
  for (const char* name :
       {"labels", "class_names", "speaker_names", "split", "positions", "numeric_ids", "audio"}) {
    Set(name, "");
    EXPECT_EQ(ReadArrays().size(), 2u) << name;
  }
  EXPECT_THAT(ReadArrays()[1], HasSubstr("{\"id\":\"7\",\"utterances\":[{\"speaker\":\"1\","
                                         "\"features\":{\"text\":[5,6]}}]}"));
}

TEST_F(NpzTest, NamesWhatIsWrong) {
  for (const char* name : {"lengths", "ids", "speakers"}) {
    EXPECT_THAT(ProblemWith(name, ""), HasSubstr(absl::StrCat("f: has no array \"", name, "\"")));
  }
  EXPECT_THAT(ProblemWith("class_names", ""), HasSubstr("has no array \"class_names\""));
  EXPECT_THAT(ProblemWith("lengths", integers_({2, 0})), HasSubstr("lengths[1] is 0, want >= 1"));
  EXPECT_THAT(ProblemWith("lengths", integers_({3})),
              HasSubstr("array \"ids\" has 2 elements, want 1, the number of lengths"));
  EXPECT_THAT(ProblemWith("lengths", integers_({2, 2})),
              HasSubstr("array \"speakers\" has 3 elements, want 4, the number of utterances"));
  EXPECT_THAT(ProblemWith("labels", integers_({1, 2, 0})),
              HasSubstr("f: labels[1] is 2, want -1 to 1, a position in class_names"));
  EXPECT_THAT(ProblemWith("speakers", integers_({1, -1, 0})),
              HasSubstr("f: speakers[1] is -1, want 0 to 1, a position in speaker_names"));
  EXPECT_THAT(ProblemWith("split", text_({"test", "dev"})),
              HasSubstr("f, conversation 2: split is \"dev\", want train, valid or test"));
  EXPECT_THAT(ProblemWith("ids", integers_({1, 2})), HasSubstr("array \"ids\" is int32 array"));
  EXPECT_THAT(ProblemWith("audio", Npy("<f4", "(2, 1)", BytesOf<float>({1, 2}))),
              HasSubstr("array \"audio\" is float32 array of shape [2, 1], want a modality"));
  EXPECT_THAT(ProblemWith("audio", text_({"a", "b", "c"})), HasSubstr("want a modality"));
  EXPECT_THAT(ProblemWith("text", Npy("<f4", "(3, 1)", BytesOf<float>({1, 2, 1.f / 0.f}))),
              HasSubstr("f, conversation 2: utterances[0].features.text[0] is inf"));
}

// What `cmerc data convert` writes is read by tests/datasets/export_test.cc.

// Going over conversations leads to those behind them, in every format.
TEST(ConversationFileTest, GoesOverConversations) {
  const std::string lines =
      absl::StrCat("\xEF\xBB\xBF", Line("a"), "\n\n", Line("b"), "\n{wrong\n", Line("c"), "\n");
  const std::string records = ReadFile("tests/datasets/data/conversations.records");
  const std::vector<std::string> all = Read(records);
  ASSERT_GE(all.size(), 3u);
  const auto file = ConversationFile::Open(Path(lines));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->ShareRead(), 0);
  EXPECT_TRUE((*file)->Skip().value());
  EXPECT_EQ((*file)->Next()->value().id(), "b");
  EXPECT_TRUE((*file)->Skip().value()) << "it is not looked into";
  EXPECT_EQ((*file)->Next()->value().id(), "c");
  EXPECT_EQ((*file)->Place(), "line 5");
  EXPECT_FALSE((*file)->Skip().value());
  EXPECT_FALSE((*file)->Next()->has_value());
  EXPECT_EQ((*file)->ShareRead(), 1);
  for (const std::string& bytes : {records, Gzip(records)}) {
    const auto file = ConversationFile::Open(Path(bytes));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->Skip().value());
    EXPECT_EQ(ConversationToJson((*file)->Next()->value()), all[1]);
    EXPECT_EQ((*file)->Place(), "record 2");
    for (size_t i = 2; i < all.size(); ++i) EXPECT_TRUE((*file)->Skip().value());
    EXPECT_FALSE((*file)->Skip().value());
    EXPECT_FALSE((*file)->Skip().value()) << "the end stays the end";
  }
}

TEST(ConversationFileTest, GoingOverARecordFileThatIsCutShortIsNoEnd) {
  const std::string records = ReadFile("tests/datasets/data/conversations.records");
  for (const size_t size : {records.size() - 20, records.size() - 17, records.size() - 1}) {
    const auto file = ConversationFile::Open(Path(records.substr(0, size)));
    ASSERT_TRUE(file.ok()) << file.status();
    absl::StatusOr<bool> found = true;
    while (found.ok() && *found) found = (*file)->Skip();
    EXPECT_EQ(found.status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(found.status().message()), HasSubstr("the file is truncated"));
  }
}

TEST(ConversationFileTest, ConversationsCanBeReadFromTheirPlacesInAnyOrder) {
  const std::string lines =
      absl::StrCat("\xEF\xBB\xBF", Line("a"), "\r\n \n", Line("b"), "\n", Line("c"));
  for (const std::string& contents :
       {lines, ReadFile("tests/datasets/data/conversations.records")}) {
    const std::string path = Path(contents);
    const auto file = ConversationFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->HasBytes());
    std::vector<std::pair<BytesOfConversation, std::string>> places;
    while (true) {
      const auto record = (*file)->Next();
      ASSERT_TRUE(record.ok()) << record.status();
      if (!record->has_value()) break;
      places.emplace_back((*file)->Bytes(), ConversationToJson(**record));
    }
    ASSERT_GE(places.size(), 3u);
    const auto at = ConversationsAt::Open(path, **file);
    ASSERT_TRUE(at.ok()) << at.status();
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
      const auto record = (*at)->Read(place->first);
      ASSERT_TRUE(record.ok()) << record.status();
      EXPECT_EQ(ConversationToJson(*record), place->second);
    }
  }
  EXPECT_FALSE((*ConversationFile::Open(Path(Gzip(lines))))->HasBytes());
}

}  // namespace
}  // namespace cmerc
