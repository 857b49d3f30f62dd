// The data set plugin for files of one's own: what it makes of good ones, and what it says of bad
// ones. tests/conformance holds the laws of every data set.
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/dataset.h"
#include "core/late_conversations.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/records.pb.h"
#include "tests/bin/files.h"
#include "tests/bytes/packed.h"
#include "torch/types.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kLines[] = "tests/datasets/data/conversations.jsonl";
constexpr char kRecords[] = "tests/datasets/data/conversations.records";

absl::StatusOr<std::unique_ptr<Dataset>> Create(const RecordsOptions& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

std::unique_ptr<Dataset> Open(const std::string& file) {
  RecordsOptions options;
  options.set_file(file);
  return Create(options).value();
}

std::vector<int64_t> ToVector(const torch::Tensor& tensor) {
  const int64_t* data = tensor.data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

TEST(RecordsTest, TakesEverythingFromTheFile) {
  for (const char* file : {kLines, kRecords}) {
    SCOPED_TRACE(file);
    const auto dataset = Open(file);
    const DatasetInfo& info = dataset->info();
    EXPECT_EQ(info.name, "conversations");
    ASSERT_EQ(info.modalities.size(), 2u);
    EXPECT_EQ(info.modalities[0].name, "text");
    EXPECT_EQ(info.modalities[0].width, 2);
    EXPECT_EQ(info.modalities[0].num_streams, 3);
    EXPECT_EQ(info.modalities[1].name, "audio");
    EXPECT_THAT(info.class_names, ElementsAre("anger", "joy", "neutral"));
    EXPECT_THAT(info.speaker_names, ElementsAre("Ann", "Bob", "Cy"));
    EXPECT_EQ(info.num_speakers, 3);
    EXPECT_THAT(info.class_counts, ElementsAre(1, 2, 2));
    EXPECT_THAT(dataset->split(Split::kTrain), ElementsAre(0, 3));
    EXPECT_THAT(dataset->split(Split::kValid), ElementsAre(2));
    EXPECT_THAT(dataset->split(Split::kTrainAndValid), ElementsAre(0, 2, 3));
    EXPECT_THAT(dataset->split(Split::kTest), ElementsAre(1));

    const Conversation first = dataset->Get(0).value();
    EXPECT_EQ(first.id, "d1");
    EXPECT_FALSE(first.numeric_id);
    EXPECT_THAT(ToVector(first.labels), ElementsAre(1, 0, 2));
    EXPECT_THAT(ToVector(first.speakers), ElementsAre(0, 1, 0));
    EXPECT_THAT(first.utterances, ElementsAre("At last!", "Too late.", "Oh."));
    const torch::Tensor text = torch::tensor({0.5f, -1.f, 1.f, 0.f, 2.f, 1.f}).view({3, 2});
    EXPECT_TRUE(torch::equal(first.features[0][0], text));
    EXPECT_TRUE(first.features[0][1].is_same(first.features[0][0])) << "equal streams are shared";
    EXPECT_FALSE(first.features[0][2].is_same(first.features[0][1]));
    EXPECT_EQ(first.features[1][0].sizes(), torch::IntArrayRef({3, 1}));

    const Conversation numeric = dataset->Get(1).value();
    EXPECT_EQ(numeric.id, "2");
    EXPECT_TRUE(numeric.numeric_id);
    EXPECT_THAT(ToVector(numeric.speakers), ElementsAre(2, 1));
    EXPECT_THAT(numeric.utterances, IsEmpty());
    // Its features are in another order in the file.
    EXPECT_EQ(numeric.features[1][0][1][0].item<float>(), -0.5f);
    EXPECT_EQ(numeric.features[0][2][1][1].item<float>(), 7);
  }
}

TEST(RecordsTest, GivenClassesAndSpeakersByAppearance) {
  for (const char* file : {kLines, kRecords}) {
    SCOPED_TRACE(file);
    RecordsOptions options;
    options.set_file(file);
    options.set_speakers(RecordsOptions::BY_APPEARANCE);
    for (const char* name : {"neutral", "joy", "fear", "anger"}) options.add_class_names(name);
    const auto dataset = Create(options).value();
    EXPECT_THAT(dataset->info().class_names, ElementsAre("neutral", "joy", "fear", "anger"));
    EXPECT_THAT(dataset->info().class_counts, ElementsAre(2, 2, 0, 1));
    EXPECT_THAT(dataset->info().speaker_names, IsEmpty());
    EXPECT_EQ(dataset->info().num_speakers, 2);
    EXPECT_THAT(ToVector(dataset->Get(0)->labels), ElementsAre(1, 3, 0));
    EXPECT_THAT(ToVector(dataset->Get(1)->speakers), ElementsAre(0, 1));
    EXPECT_THAT(ToVector(dataset->Get(2)->speakers), ElementsAre(0));
  }
}

// A conversation of one utterance.
std::string Line(const std::string& id, const std::string& split, const std::string& label) {
  return absl::StrCat("{\"id\":", id, ",\"split\":\"", split,
                      "\",\"utterances\":[{\"speaker\":1,\"label\":", label,
                      ",\"features\":{\"text\":[1,2]}}]}\n");
}

class RecordsOfTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Dataset>> Load(const std::string& lines) {
    const std::string path = testing::TempDir() + "/data.jsonl";
    std::ofstream(path) << lines;
    options_.set_file(path);
    return Create(options_);
  }
  // With PATH for the path of the file.
  std::string ErrorOf(const std::string& lines) {
    const absl::Status status = Load(lines).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return absl::StrReplaceAll(status.message(), {{options_.file(), "PATH"}});
  }

  RecordsOptions options_;
};

TEST_F(RecordsOfTest, NumbersAreSortedAsNumbers) {
  const auto dataset = Load(Line("1", "train", "10") + Line("2", "test", "9"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->info().class_names, ElementsAre("9", "10"));
  EXPECT_THAT((*dataset)->info().speaker_names, ElementsAre("1"));
  EXPECT_EQ((*dataset)->info().name, "data");
}

TEST_F(RecordsOfTest, NamesEveryProblemWithItsLine) {
  std::string lines = Line("1", "train", "\"joy\"") + Line("1", "test", "\"sad\"") + "{\n";
  absl::StrAppend(&lines, absl::StrReplaceAll(Line("2", "test", "0"), {{"[1,2]", "[1]"}}),
                  absl::StrReplaceAll(Line("3", "test", "0"), {{"\"split\":\"test\",", ""}}),
                  absl::StrReplaceAll(Line("4", "test", "0"), {{"\"label\":0,", ""}}),
                  absl::StrReplaceAll(Line("5", "test", "0"), {{"\"text\"", "\"txt\""}}));
  EXPECT_EQ(
      ErrorOf(lines),
      "cmerc.RecordsOptions: PATH, line 2: id \"1\" is that of line 1 too, want each once in all "
      "splits together; where every split counts from 0, as MELD does, put its name in front: "
      "\"test_1\"\n"
      "PATH, line 3: ends before its JSON does: want a key in double quotes; every line "
      "must hold a whole conversation\n"
      "PATH, line 4: utterances[0].features.text has 1 values, want 2\n"
      "PATH, line 5: split is missing, want train, valid or test");
}

TEST_F(RecordsOfTest, UtterancesMayHaveNoLabel) {
  const std::string absent = absl::StrReplaceAll(Line("3", "train", "0"), {{"\"label\":0,", ""}});
  const auto dataset = Load(Line("1", "train", "\"joy\"") + Line("2", "train", "null") + absent +
                            Line("4", "test", "\"sad\""));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->info().class_names, ElementsAre("joy", "sad"));
  EXPECT_THAT((*dataset)->info().class_counts, ElementsAre(1, 0));
  EXPECT_THAT(ToVector((*dataset)->Get(1)->labels), ElementsAre(kUnlabelled));
  EXPECT_THAT(ToVector((*dataset)->Get(2)->labels), ElementsAre(kUnlabelled));
  EXPECT_THAT(ToVector((*dataset)->Get(3)->labels), ElementsAre(1));
  EXPECT_THAT(WarningsOf(**dataset), IsEmpty());
  EXPECT_EQ(ErrorOf(absent),
            "cmerc.RecordsOptions: PATH: no utterance has a label, want \"label\": the name of a "
            "class, in some of them");
  options_.add_class_names("joy");
  options_.add_class_names("sad");
  EXPECT_TRUE(Load(absent).ok());
  EXPECT_THAT(ErrorOf(absl::StrReplaceAll(absent, {{"\"speaker\"", "\"lable\":0,\"speaker\""}})),
              HasSubstr("did you mean \"label\"?"));
}

// -1 is no label, unless the classes say otherwise; where that cannot be told, it is asked.
TEST_F(RecordsOfTest, TheLabelMinusOne) {
  const std::string lines = Line("1", "train", "\"joy\"") + Line("2", "train", "-1") +
                            Line("3", "test", "\"sad\"") + Line("4", "test", "\"-1\"");
  for (const bool given : {false, true}) {
    options_.clear_class_names();
    if (given) options_.add_class_names("joy");
    if (given) options_.add_class_names("sad");
    const auto dataset = Load(lines);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_THAT((*dataset)->info().class_names, ElementsAre("joy", "sad"));
    EXPECT_THAT(ToVector((*dataset)->Get(1)->labels), ElementsAre(kUnlabelled));
    EXPECT_THAT(ToVector((*dataset)->Get(3)->labels), ElementsAre(kUnlabelled));
    ASSERT_EQ(WarningsOf(**dataset).size(), 1u);
    EXPECT_THAT(WarningsOf(**dataset)[0],
                HasSubstr("2 utterances have the label -1, which is taken for none"));
  }
  options_.add_class_names("-1");
  const auto named = Load(lines);
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_THAT(ToVector((*named)->Get(1)->labels), ElementsAre(2));

  options_.clear_class_names();
  const auto sentiment = Load(Line("1", "train", "-1") + Line("2", "train", "-2"));
  ASSERT_TRUE(sentiment.ok()) << sentiment.status();
  EXPECT_THAT((*sentiment)->info().class_names, ElementsAre("-2", "-1"));
  EXPECT_EQ(ErrorOf(Line("1", "train", "0") + Line("2", "train", "-1") + Line("3", "test", "1")),
            "cmerc.RecordsOptions: PATH: the labels are -1, 0, 1, and -1 may be a class or no "
            "label; name the classes in class_names, with -1 or without");
}

// What utterances lack has zeros, whether single ones or whole conversations lack it.
TEST_F(RecordsOfTest, ModalitiesMayBeMissing) {
  const std::string begin = R"("split":"train","utterances":[{"speaker":1,"label":0,"features":)";
  const std::string next = R"(},{"speaker":1,"label":1,"features":)";
  const auto dataset = Load(absl::StrCat(
      R"({"id":"a",)", begin, R"({"text":[[1,2],[3,4]]})", next, R"({"text":null})", "}]}\n",
      R"({"id":"b",)", begin, R"({"audio":[5]})", next, R"({"audio":[6],"text":[[7,8],[9,10]]})",
      "}]}\n", R"({"id":"c",)", begin, R"({"audio":[11],"text":[[1,1],[1,1]]})", "}]}\n"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ((*dataset)->info().modalities.size(), 2u);
  EXPECT_EQ((*dataset)->info().modalities[1].name, "audio");
  const Conversation a = (*dataset)->Get(0).value();
  EXPECT_TRUE(a.features[0][0].equal(torch::tensor({{1.0F, 2.0F}, {0.0F, 0.0F}})));
  EXPECT_TRUE(a.features[0][1].equal(torch::tensor({{3.0F, 4.0F}, {0.0F, 0.0F}})));
  EXPECT_TRUE(a.features[1][0].equal(torch::zeros({2, 1})));
  EXPECT_TRUE(a.present.equal(torch::tensor({1, 0, 0, 0}, torch::kBool).view({2, 2})));
  const Conversation b = (*dataset)->Get(1).value();
  EXPECT_TRUE(b.features[0][0].equal(torch::tensor({{0.0F, 0.0F}, {7.0F, 8.0F}})));
  EXPECT_TRUE(b.present.equal(torch::tensor({0, 1, 1, 1}, torch::kBool).view({2, 2})));
  EXPECT_FALSE((*dataset)->Get(2)->present.defined());
}

TEST_F(RecordsOfTest, AMisspeltModalityIsNoOther) {
  const auto with = [](const std::string& id, const std::string& label, const std::string& name) {
    return absl::StrReplaceAll(Line(id, "train", label), {{"\"text\"", "\"" + name + "\""}});
  };
  const std::string good = with("1", "0", "audio") + with("2", "1", "audio");
  EXPECT_EQ(ErrorOf(good + with("3", "1", "adio")),
            "cmerc.RecordsOptions: PATH, line 3: features.adio is in 1 utterance, which has no "
            "audio; did you mean \"audio\"?");
  const auto dataset = Load(good + with("3", "1", "speech"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ(WarningsOf(**dataset).size(), 1u);
  EXPECT_THAT(WarningsOf(**dataset)[0],
              HasSubstr("no utterance has both audio and speech; are they one modality under two "
                        "names?"));
  // Beside each other they are two.
  EXPECT_TRUE(Load(good + absl::StrReplaceAll(with("3", "1", "adio"),
                                              {{"\"adio\"", "\"audio\":[1,2],\"adio\""}}))
                  .ok());
}

// A small file must not ask for any amount of memory.
TEST_F(RecordsOfTest, RoomForWhatIsMissingIsBounded) {
  std::string wide = "[0";
  for (int i = 1; i < 20000; ++i) wide += ",0";
  std::string line = R"({"id":"a","split":"train","utterances":[)";
  for (int i = 0; i < 1500; ++i) {
    absl::StrAppend(&line, i > 0 ? "," : "", R"({"speaker":1,"label":)", i % 2, R"(,"features":{)",
                    i == 0 ? absl::StrCat("\"text\":", wide, "]") : "", "}}");
  }
  EXPECT_THAT(ErrorOf(line + "]}\n"),
              HasSubstr("utterances lack so many features, 3e+07 beside 2e+04 that are there"));
}

TEST_F(RecordsOfTest, NamesWhatIsWrongWithTheWhole) {
  EXPECT_EQ(ErrorOf(Line("1", "test", "0") + Line("2", "test", "1")),
            "cmerc.RecordsOptions: PATH: there is no conversation to train on, want >= 1 with "
            "\"split\": \"train\"");
  EXPECT_EQ(ErrorOf(Line("1", "train", "0")),
            "cmerc.RecordsOptions: PATH: there is only the class 0, want >= 2");
  options_.add_class_names("joy");
  options_.add_class_names("sad");
  EXPECT_EQ(ErrorOf(Line("1", "train", "\"sat\"")),
            "cmerc.RecordsOptions: PATH, line 1: utterances[0].label is \"sat\", want one of joy, "
            "sad; did you mean \"sad\"?");
  options_.add_class_names("joy");
  EXPECT_EQ(ErrorOf(""),
            "cmerc.RecordsOptions: class_names = [joy, sad, joy], must be unique and not empty");
}

TEST(RecordsTest, NeedsAFile) {
  EXPECT_EQ(Create(RecordsOptions()).status().message(),
            "cmerc.RecordsOptions: file is not set, name a record file, JSON Lines or an .npz");
  RecordsOptions options;
  options.set_file("nowhere.records");
  EXPECT_EQ(Create(options).status().code(), absl::StatusCode::kNotFound);
}

// What a data set has no place for is read, and said.
TEST(RecordsTest, WarnsOfIdsOfUtterancesAndMetadata) {
  std::ifstream in(kLines);
  const std::string lines((std::istreambuf_iterator<char>(in)), {});
  const std::string path = testing::TempDir() + "/carried.jsonl";
  for (const char* more : {"\"id\":\"u1\",\"speaker\"", "\"metadata\":[],\"speaker\""}) {
    std::ofstream(path) << absl::StrReplaceAll(lines, {{"\"speaker\"", more}});
    const auto dataset = Open(path);
    EXPECT_EQ(dataset->size(), 4);
    ASSERT_EQ(WarningsOf(*dataset).size(), 1u);
    EXPECT_THAT(WarningsOf(*dataset)[0],
                HasSubstr("carried.jsonl has ids of utterances or metadata; only the answers of"));
  }
  EXPECT_THAT(WarningsOf(*Open(kLines)), IsEmpty());
}

std::vector<torch::Tensor> Streams(const Conversation& conversation) {
  std::vector<torch::Tensor> all;
  for (const auto& streams : conversation.features) {
    all.insert(all.end(), streams.begin(), streams.end());
  }
  return all;
}

// With everything that a conversation has: several streams, gaps, sentences, labels.
TEST(RecordsTest, WhatStaysOnTheDiskIsWhatWouldBeInMemory) {
  for (const char* file : {kLines, kRecords, "tests/datasets/data/gaps.jsonl"}) {
    SCOPED_TRACE(file);
    const auto in_memory = Open(file);
    RecordsOptions options;
    options.set_file(file);
    options.set_in_memory(false);
    const auto on_disk = Create(options);
    ASSERT_TRUE(on_disk.ok()) << on_disk.status();
    EXPECT_EQ(WarningsOf(**on_disk), WarningsOf(*in_memory));
    EXPECT_EQ((*on_disk)->info().class_counts, in_memory->info().class_counts);
    ASSERT_EQ((*on_disk)->size(), in_memory->size());
    const auto* late = dynamic_cast<const HasLateConversations*>(on_disk->get());
    ASSERT_NE(late, nullptr);
    EXPECT_EQ(dynamic_cast<const HasLateConversations*>(in_memory.get()), nullptr);
    for (int64_t c = in_memory->size() - 1; c >= 0; --c) {  // in any order
      const Conversation want = in_memory->Get(c).value();
      const Conversation found = (*on_disk)->Get(c).value();
      const Conversation outline = late->Outline(c).value();
      EXPECT_EQ(found.id, want.id);
      EXPECT_EQ(found.utterances, want.utterances);
      EXPECT_EQ(ToVector(found.labels), ToVector(want.labels));
      EXPECT_EQ(ToVector(outline.speakers), ToVector(want.speakers));
      EXPECT_THAT(outline.features, IsEmpty());
      ASSERT_EQ(found.present.defined(), want.present.defined());
      ASSERT_EQ(outline.present.defined(), want.present.defined());
      if (want.present.defined()) {
        EXPECT_TRUE(found.present.equal(want.present));
        EXPECT_TRUE(outline.present.equal(want.present));
      }
      const auto streams = Streams(found);
      const auto want_streams = Streams(want);
      ASSERT_EQ(streams.size(), want_streams.size());
      for (size_t s = 0; s < streams.size(); ++s) {
        EXPECT_TRUE(streams[s].equal(want_streams[s])) << s;
        // Streams that are one tensor there are one here.
        const bool shared = s > 0 && want_streams[s].is_same(want_streams[s - 1]);
        EXPECT_EQ(s > 0 && streams[s].is_same(streams[s - 1]), shared) << s;
      }
    }
    EXPECT_EQ((*on_disk)->Get(in_memory->size()).status().code(), absl::StatusCode::kOutOfRange);
  }
}

// A file that is written over while it is in use is not taken for what it was.
TEST(RecordsTest, AFileThatChangesWhileItIsInUseIsNoticed) {
  const std::string good = ReadFile(kRecords);
  for (const bool is_shorter : {false, true}) {
    const std::string path = NewFolder() + "/changing.records";
    WriteFile(path, good);
    RecordsOptions options;
    options.set_file(path);
    options.set_in_memory(false);
    const auto dataset = Create(options);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    ASSERT_TRUE((*dataset)->Get(0).ok());
    const uint64_t digest = dynamic_cast<const HasLateConversations&>(**dataset).late()->Digest();
    std::string other = good;
    other[other.size() - 30] ^= 1;  // in the last record
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        << (is_shorter ? good.substr(0, good.size() - 30) : other);
    ASSERT_TRUE((*dataset)->Get(0).ok());
    const absl::Status status = (*dataset)->Get((*dataset)->size() - 1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(
        std::string(status.message()),
        testing::AllOf(HasSubstr("changing.records: has changed since it was opened, at byte"),
                       HasSubstr("start again")));
    EXPECT_NE(digest, 0u);
  }
}

TEST(RecordsTest, WhatHasNoPlacesIsReadIntoMemoryOrNotAtAll) {
  const std::string path = NewFolder() + "/packed.jsonl.gz";
  WriteFile(path, Gzip(ReadFile(kLines)));
  RecordsOptions options;
  options.set_file(path);
  EXPECT_TRUE(Create(options).ok());
  options.set_in_memory(false);
  EXPECT_THAT(std::string(Create(options).status().message()),
              testing::AllOf(HasSubstr("in_memory: false reads conversations from their places"),
                             HasSubstr("packed.jsonl.gz is compressed or an .npz"),
                             HasSubstr("cmerc data convert --input=")));
}

}  // namespace
}  // namespace cmerc
