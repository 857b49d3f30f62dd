// The layouts of config/layouts/: each reads a small file of that layout as it should, and nothing
// is taken for something else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/loader.h"
#include "core/dataset.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/official/official_pickles.pb.h"
#include "tests/datasets/official/python_values.h"
#include "tests/datasets/official/toy_corpus.h"

namespace cmerc {
namespace {

using python::Dict;
using python::List;
using python::None;
using python::Number;
using python::Pickle;
using python::Text;
using python::Tuple;
using python::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Options = OfficialPicklesOptions;

constexpr char kFolder[] = "config/layouts/";

// The options of a layout, with `bytes` as its file.
Options Load(const std::string& name, const std::string& bytes) {
  const absl::StatusOr<RunConfig> config =
      LoadConfig(absl::StrCat(kFolder, name, ".textproto"), {});
  EXPECT_TRUE(config.ok()) << config.status().message();
  Options options;
  if (!config.ok()) return options;
  EXPECT_TRUE(config->data().dataset().UnpackTo(&options));
  const std::string path = WriteTestFile(name + ".pkl", bytes);
  (options.has_features_file() ? options.mutable_features_file() : options.mutable_roberta_file())
      ->assign(path);
  return options;
}

std::string ReadConfig(const std::string& name) {
  std::ifstream in(absl::StrCat(kFolder, name, ".textproto"));
  return {std::istreambuf_iterator<char>(in), {}};
}

Value Ids(const std::vector<int64_t>& conversations) { return kToy.Ids(conversations); }

TEST(LayoutsTest, ThereIsATestOfEach) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  EXPECT_THAT(names, ElementsAre("cogmen_corect", "dailydialog_7", "dailydialog_8",
                                 "dialoguernn_meld", "dualgats", "gcnet", "graphsmile_meld",
                                 "meld_roberta_sentiment", "mertools", "multiemo"));
}

TEST(LayoutsTest, GraphSmileMeld) {
  const ToyCorpus toy(true);
  const auto dataset = MustCreate(
      Load("graphsmile_meld",
           Pickle(Tuple({toy.UtteranceIds(), toy.OneHots(9), toy.Labels(7), toy.Labels(3),
                         toy.Features(1, 5), toy.Features(2, 5), toy.Features(3, 5),
                         toy.Features(4, 5), toy.Features(5, 3), toy.Features(6, 2),
                         toy.Sentences(), toy.Ids(kTrain), toy.Ids(kTest), None()}))));
  ASSERT_NE(dataset, nullptr);
  ExpectToy(
      *dataset, toy, 7, false,
      {{"text", {{1, 5}, {2, 5}, {3, 5}, {4, 5}}}, {"audio", {{5, 3}}}, {"visual", {{6, 2}}}});
  EXPECT_EQ(dataset->info().class_names[2], "fear");
  EXPECT_EQ(dataset->info().num_speakers, 9);
  EXPECT_THAT(WarningsOf(*dataset), ElementsAre(HasSubstr("2 of its 10 conversations are in no "
                                                          "split and are not used: 47, 96")));
}

TEST(LayoutsTest, DialogueRnnMeld) {
  const ToyCorpus toy(true);
  const auto dataset = MustCreate(Load(
      "dialoguernn_meld", Pickle(Tuple({toy.UtteranceIds(), toy.OneHots(9), toy.Labels(7),
                                        toy.Features(1, 4), toy.Features(2, 3), toy.Sentences(),
                                        toy.SetOfIds(kTrain), toy.Ids(kTest), toy.Labels(3)}))));
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(*dataset, Split::kTrainAndValid), ElementsAre("40", "54", "68", "89", "103"));
  EXPECT_THAT(IdsOf(*dataset, Split::kTest), ElementsAre("82", "61", "75"));
  const Conversation conversation = ConversationOf(*dataset, "61");
  ASSERT_EQ(conversation.features.size(), 2u);
  EXPECT_TRUE(torch::equal(conversation.features[0][0], ToyCorpus::Expected(1, 3, 4)));
  EXPECT_TRUE(torch::equal(conversation.features[1][0], ToyCorpus::Expected(2, 3, 3)));
  EXPECT_EQ(conversation.utterances[1], "line 1 of conversation 3");
  EXPECT_EQ(dataset->info().num_classes(), 7);
}

TEST(LayoutsTest, DialogueRnnMeldSentiment) {
  const ToyCorpus toy(true);
  Options options = Load("dialoguernn_meld",
                         Pickle(Tuple({toy.UtteranceIds(), toy.OneHots(9), toy.Labels(7),
                                       toy.Features(1, 4), toy.Features(2, 3), toy.Sentences(),
                                       toy.Ids(kTrain), toy.Ids(kTest), toy.Labels(3)})));
  options.mutable_fields()->set_labels("8");
  options.clear_class_names();
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, toy, 3, false, {{"text", {{1, 4}}}, {"audio", {{2, 3}}}});
  EXPECT_THAT(dataset->info().class_names, ElementsAre("class_0", "class_1", "class_2"));
}

TEST(LayoutsTest, MeldRobertaSentiment) {
  const ToyCorpus toy(true);
  const auto dataset = MustCreate(
      Load("meld_roberta_sentiment",
           Pickle(List({toy.OneHots(9), toy.Labels(7), toy.Labels(3), toy.Features(1, 5),
                        toy.Features(2, 5), toy.Features(3, 5), toy.Features(4, 5), toy.Sentences(),
                        toy.Ids(kTrain), toy.Ids(kTest), toy.Ids(kValid)}))));
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, toy, 3, true, {{"text", {{1, 5}, {2, 5}, {3, 5}, {4, 5}}}});
  EXPECT_THAT(dataset->info().class_names, ElementsAre("neutral", "positive", "negative"));
}

TEST(LayoutsTest, DailyDialog7) {
  const Value speakers =
      kToy.Table([](int64_t c, int64_t u) { return Text(absl::StrCat((c + u) % 2)); });
  const auto dataset = MustCreate(
      Load("dailydialog_7", Pickle(List({speakers, kToy.Features(1, 6), kToy.Labels(4),
                                         kToy.Labels(7), Ids(kTrain), Ids(kTest), Ids(kValid)}))));
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 7, true, {{"text", {{1, 6}}}});
  EXPECT_EQ(dataset->info().class_names[6], "class_6");
  EXPECT_THAT(WarningsOf(*dataset), IsEmpty());
}

TEST(LayoutsTest, DailyDialog8) {
  const Value speakers =
      kToy.Table([](int64_t c, int64_t u) { return Text(absl::StrCat((c + u) % 2)); });
  std::vector<std::pair<Value, Value>> longest;
  for (int64_t c = 0; c < ToyCorpus::kSize; ++c) longest.emplace_back(kToy.Id(c), Number(6));
  const auto dataset = MustCreate(Load(
      "dailydialog_8", Pickle(List({speakers, kToy.Features(1, 6), Dict(longest), kToy.Labels(4),
                                    kToy.Labels(7), Ids(kTrain), Ids(kTest), Ids(kValid)}))));
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 7, true, {{"text", {{1, 6}}}});
}

TEST(LayoutsTest, DualGats) {
  std::vector<std::pair<Value, Value>> links;
  std::vector<std::pair<Value, Value>> relations;
  for (int64_t c = 0; c < ToyCorpus::kSize; ++c) {
    std::vector<Value> pairs;
    std::vector<Value> kinds;
    for (int64_t u = 1; u < ToyCorpus::Length(c); ++u) {
      pairs.push_back(Tuple({Number(u - 1), Number(u)}));
      kinds.push_back(Number(u % 3));
    }
    links.emplace_back(kToy.Id(c), List(pairs));
    relations.emplace_back(kToy.Id(c), List(kinds));
  }
  const auto dataset = MustCreate(Load(
      "dualgats",
      Pickle(Tuple({kToy.Letters(), kToy.Labels(6), kToy.Features(1, 6), Dict(links),
                    Dict(relations), kToy.Sentences(), Ids(kTrain), Ids(kTest), Ids(kValid)}))));
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 6, true, {{"text", {{1, 6}}}});
  EXPECT_EQ(ConversationOf(*dataset, "dlg4").utterances[2], "line 2 of conversation 4");
}

// The conversations of a split as COGMEN and CORECT write them.
Value Conversations(const std::vector<int64_t>& conversations, bool same_ids) {
  std::vector<Value> list;
  for (const int64_t c : conversations) {
    const auto labels = [](int64_t d, int64_t u) { return Number(ToyCorpus::Label(d, u, 6)); };
    const auto text = [](int64_t d, int64_t u) { return ToyCorpus::Row(1, d, u, 6); };
    const auto audio = [](int64_t d, int64_t u) { return ToyCorpus::Row(2, d, u, 4); };
    const auto visual = [](int64_t d, int64_t u) { return ToyCorpus::Row(3, d, u, 3); };
    list.push_back(
        Dict({{Text("vid"), same_ids ? Number(static_cast<int64_t>(list.size())) : kToy.Id(c)},
              {Text("speakers"), ToyCorpus::ListOf(c, ToyCorpus::Letter)},
              {Text("labels"), ToyCorpus::ListOf(c, labels)},
              {Text("audio"), ToyCorpus::ListOf(c, audio)},
              {Text("visual"), ToyCorpus::ListOf(c, visual)},
              {Text("text"), ToyCorpus::ListOf(c, text)},
              {Text("sentence"), ToyCorpus::ListOf(c, ToyCorpus::Sentence)}}));
  }
  return List(list);
}

TEST(LayoutsTest, CogmenAndCorect) {
  const auto dataset = MustCreate(
      Load("cogmen_corect", Pickle(Dict({{Text("train"), Conversations(kTrain, false)},
                                         {Text("dev"), Conversations(kValid, false)},
                                         {Text("test"), Conversations(kTest, false)}}))));
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 6, true,
            {{"text", {{1, 6}}}, {"audio", {{2, 4}}}, {"visual", {{3, 3}}}});
}

TEST(LayoutsTest, IdsThatBeginAgainInEverySplitAreThoseOfDifferentConversations) {
  const auto dataset =
      MustCreate(Load("cogmen_corect", Pickle(Dict({{Text("train"), Conversations(kTrain, true)},
                                                    {Text("dev"), Conversations(kValid, true)},
                                                    {Text("test"), Conversations(kTest, true)}}))));
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(*dataset, Split::kTrain),
              ElementsAre("train/0", "train/1", "train/2", "train/3", "train/4"));
  EXPECT_THAT(IdsOf(*dataset, Split::kTest), ElementsAre("test/0", "test/1", "test/2"));
  EXPECT_TRUE(torch::equal(ConversationOf(*dataset, "test/0").features[0][0],
                           ToyCorpus::Expected(1, kTest[0], 6)));
  EXPECT_TRUE(torch::equal(ConversationOf(*dataset, "dev/1").features[1][0],
                           ToyCorpus::Expected(2, kValid[1], 4)));
}

TEST(LayoutsTest, AConfigGivesFieldsAsNumbersOrTexts) {
  const auto parse = [](const std::string& fields) {
    return ParseConfig(ReadConfig("multiemo"), "f",
                       {absl::StrCat("data { dataset { [type.googleapis.com/"
                                     "cmerc.OfficialPicklesOptions] { fields { ",
                                     fields, " } } } }")});
  };
  const auto config = parse("labels: 2 speakers: 'who' text: [3, '4']");
  ASSERT_TRUE(config.ok()) << config.status();
  Options options;
  ASSERT_TRUE(config->data().dataset().UnpackTo(&options));
  EXPECT_EQ(options.fields().labels(), "2");
  EXPECT_EQ(options.fields().speakers(), "who");
  EXPECT_THAT(options.fields().text(), ElementsAre("3", "4"));
  for (const std::string bad : {"2.5", "-1", "two", "true", "{}"}) {
    EXPECT_THAT(std::string(parse("labels: " + bad).status().message()),
                HasSubstr("must be an integer or a string in quotes"))
        << bad;
  }
}

}  // namespace
}  // namespace cmerc
