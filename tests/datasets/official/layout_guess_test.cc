// What is seen in files of layouts that are not known, what is guessed, and that no list of
// conversations is left alone.
#include "datasets/official/layout_guess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/official/official_pickles.pb.h"
#include "storage/pickle/pickle.h"
#include "tests/datasets/official/python_values.h"
#include "tests/datasets/official/toy_corpus.h"

namespace cmerc {
namespace {

using datasets::FieldsBlock;
using datasets::GuessLayout;
using datasets::LayoutGuess;
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

LayoutGuess Guess(const Value& value) {
  const auto document = pickle::Document::Parse(Pickle(value), "f.pkl");
  EXPECT_TRUE(document.ok()) << document.status();
  return GuessLayout(**document);
}

// The error of a features file without other options.
std::string ErrorOf(const Value& value, Options options = {}) {
  options.set_features_file(WriteTestFile("guess.pkl", Pickle(value)));
  return cmerc::ErrorOf(options);
}

// A file as IEMOCAP_features.pkl that ends in other lists.
Value Features(const std::vector<Value>& end) {
  std::vector<Value> fields = {kToy.UtteranceIds(), kToy.Letters(),      kToy.Labels(6),
                               kToy.Features(1, 5), kToy.Features(2, 4), kToy.Features(3, 3),
                               kToy.Sentences()};
  fields.insert(fields.end(), end.begin(), end.end());
  return Tuple(fields);
}

TEST(LayoutGuessTest, ATupleOfSevenTables) {
  const LayoutGuess guess =
      Guess(List({kToy.UtteranceIds(), kToy.Labels(6), kToy.Letters(), kToy.Sentences(),
                  kToy.Ids(kTrain), kToy.Ids(kValid), kToy.Ids(kTest)}));
  EXPECT_EQ(FieldsBlock(guess, ""),
            "fields {\n"
            "  ids: 0\n"
            "  speakers: 2\n"
            "  labels: 1\n"
            "  sentences: 3\n"
            "  train_ids: 4\n"
            "  valid_ids: 5  # or is it 6? The file does not say which list is which\n"
            "  test_ids: 6  # or is it 5?\n"
            "  # not found: features\n"
            "}\n");
  EXPECT_EQ(
      FieldLines(guess),
      "  data[0]  dict of 10 ('dlg0', 'dlg1', 'dlg2', ...), per utterance a text "
      "('dlg0_utt0', 'dlg0_utt1', 'dlg1_utt0', ...)\n"
      "  data[1]  dict of 10 ('dlg0', 'dlg1', 'dlg2', ...), per utterance an integer (0, 1, 3, "
      "...)\n"
      "  data[2]  dict of 10 ('dlg0', 'dlg1', 'dlg2', ...), per utterance a text ('F', 'M', "
      "'M', ...)\n"
      "  data[3]  dict of 10 ('dlg0', 'dlg1', 'dlg2', ...), per utterance a text ('line 0 of "
      "conversation 0', 'line 1 of conversation 0', 'line 0 of conversation 1', ...)\n"
      "  data[4]  list of 5 ('dlg7', 'dlg0', 'dlg4', ...): ids of conversations\n"
      "  data[5]  list of 2 ('dlg8', 'dlg1'): ids of conversations\n"
      "  data[6]  list of 3 ('dlg6', 'dlg3', 'dlg5'): ids of conversations\n");
}

// As COSMIC's commonsense features: nine tables of vectors.
TEST(LayoutGuessTest, FeaturesAloneGoBesideAFileWithLabels) {
  std::vector<Value> tables;
  for (int64_t m = 1; m <= 9; ++m) tables.push_back(kToy.Features(m, 6));
  const Value file = List(tables);
  const std::string hint =
      "# features alone? beside a file with labels: modality_files { modality: \"...\" file: "
      "\"...\" field: 0 }\n";
  EXPECT_THAT(FieldsBlock(Guess(file), ""),
              HasSubstr("  # not found: labels, train_ids, test_ids\n  " + hint));
  const std::string error = ErrorOf(file);
  EXPECT_THAT(error, HasSubstr("none of the layouts that are known: of 9 fields there is IEMOCAP "
                               "features, which has the speakers in field 1, and here that is "
                               "dict of 10 ("));
  EXPECT_THAT(error, HasSubstr(hint));
}

TEST(LayoutGuessTest, LabelsAreTheNumbersWithTheMostValues) {
  std::vector<std::pair<Value, Value>> longest;
  for (int64_t c = 0; c < ToyCorpus::kSize; ++c) longest.emplace_back(kToy.Id(c), Number(c));
  const LayoutGuess guess =
      Guess(List({kToy.OneHots(4), kToy.Features(1, 6), Dict(longest), kToy.Labels(4),
                  kToy.Labels(7), kToy.Ids(kTrain), kToy.SetOfIds(kTest), None()}));
  EXPECT_EQ(FieldsBlock(guess, ""),
            "fields {\n"
            "  speakers: 0\n"
            "  labels: 4  # or is it 3?\n"
            "  text: 1\n"
            "  train_ids: 5\n"
            "  test_ids: 6\n"
            "}\n");
  EXPECT_EQ(guess.sights[0].what,
            "dict of 10 ('dlg0', 'dlg1', 'dlg2', ...), per utterance a one-hot row of 4 (1, 0, 0, "
            "...)");
  EXPECT_THAT(guess.sights[2].what, HasSubstr("per conversation one value (0, 1, 2, ...)"));
  EXPECT_EQ(guess.sights[7].what, "None");
}

TEST(LayoutGuessTest, StreamsOfTextHaveOneWidth) {
  const LayoutGuess guess =
      Guess(Tuple({kToy.UtteranceIds(), kToy.Letters(), kToy.Labels(6), kToy.Features(1, 5),
                   kToy.Features(2, 5), kToy.Features(3, 3), kToy.Features(4, 4), kToy.Sentences(),
                   kToy.Ids(kTrain), kToy.Ids(kTest)}));
  EXPECT_THAT(guess.fields.text(), ElementsAre("3", "4"));
  EXPECT_EQ(guess.fields.audio(), "5");
  EXPECT_EQ(guess.fields.visual(), "6");
  EXPECT_TRUE(guess.is_whole());
}

TEST(LayoutGuessTest, NamesOfADictCountMoreThanTheirOrder) {
  const LayoutGuess guess = Guess(Dict({{Text("videoVisual"), kToy.Features(1, 5)},
                                        {Text("videoAudio"), kToy.Features(2, 5)},
                                        {Text("videoText"), kToy.Features(3, 5)},
                                        {Text("videoSentiments"), kToy.Labels(9)},
                                        {Text("videoLabels"), kToy.Labels(3)},
                                        {Text("videoSpeakers"), kToy.Letters()},
                                        {Text("testVid"), kToy.Ids(kTest)},
                                        {Text("devVid"), kToy.Ids(kValid)},
                                        {Text("trainVid"), kToy.Ids(kTrain)}}));
  EXPECT_EQ(FieldsBlock(guess, "  "),
            "  fields {\n"
            "    speakers: \"videoSpeakers\"\n"
            "    labels: \"videoLabels\"  # or is it videoSentiments?\n"
            "    text: \"videoText\"\n"
            "    audio: \"videoAudio\"\n"
            "    visual: \"videoVisual\"\n"
            "    train_ids: \"trainVid\"\n"
            "    valid_ids: \"devVid\"\n"
            "    test_ids: \"testVid\"\n"
            "  }\n");
}

TEST(LayoutGuessTest, AGuessThatIsWholeIsRead) {
  const Value dict = Dict({{Text("visual"), kToy.Features(1, 2)},
                           {Text("audio"), kToy.Features(2, 3)},
                           {Text("text"), kToy.Features(3, 4)},
                           {Text("emotion_labels"), kToy.Labels(3)},
                           {Text("speakers"), kToy.Letters()},
                           {Text("splits"), Dict({{Text("test"), kToy.SetOfIds(kTest)},
                                                  {Text("valid"), kToy.Ids(kValid)},
                                                  {Text("train"), kToy.Ids(kTrain)}})}});
  const LayoutGuess guess = Guess(dict);
  EXPECT_EQ(guess.fields.train_ids(), "splits/train");
  ASSERT_TRUE(guess.is_whole());
  Options options;
  options.set_features_file(WriteTestFile("whole.pkl", Pickle(dict)));
  *options.mutable_fields() = guess.fields;
  const auto dataset = Create(options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(IdsOf(**dataset, Split::kTrain), ElementsAre("dlg7", "dlg0", "dlg4", "dlg2", "dlg9"));
  EXPECT_THAT(IdsOf(**dataset, Split::kValid), ElementsAre("dlg8", "dlg1"));
  EXPECT_THAT(IdsOf(**dataset, Split::kTest), ElementsAre("dlg3", "dlg5", "dlg6"));
  EXPECT_TRUE(
      torch::equal(ConversationOf(**dataset, "dlg5").features[1][0], ToyCorpus::Expected(2, 5, 3)));
}

TEST(LayoutGuessTest, TablesOfEachSplit) {
  const auto tables = [](const std::vector<int64_t>& conversations) {
    std::vector<std::pair<Value, Value>> labels;
    std::vector<std::pair<Value, Value>> text;
    for (const int64_t c : conversations) {
      labels.emplace_back(kToy.Id(c), ToyCorpus::ListOf(c, [](int64_t d, int64_t u) {
                            return Number(ToyCorpus::Label(d, u, 3));
                          }));
      text.emplace_back(kToy.Id(c), ToyCorpus::ListOf(c, [](int64_t d, int64_t u) {
                          return ToyCorpus::Row(1, d, u, 4);
                        }));
    }
    return Dict({{Text("text"), Dict(text)}, {Text("labels"), Dict(labels)}});
  };
  const Value dict = Dict({{Text("test"), tables(kTest)},
                           {Text("valid"), tables(kValid)},
                           {Text("train"), tables(kTrain)}});
  const LayoutGuess guess = Guess(dict);
  EXPECT_EQ(guess.root, LayoutGuess::Root::kSplits);
  Options options;
  options.set_features_file(WriteTestFile("splits.pkl", Pickle(dict)));
  *options.mutable_fields() = guess.fields;
  const auto dataset = Create(options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ExpectToy(**dataset, kToy, 3, true, {{"text", {{1, 4}}}});
}

TEST(LayoutGuessTest, AModalityAlone) {
  const LayoutGuess guess = Guess(kToy.Features(1, 5));
  EXPECT_EQ(guess.root, LayoutGuess::Root::kModality);
  EXPECT_THAT(ErrorOf(kToy.Features(1, 5)), HasSubstr("name it in modality_files"));
}

TEST(LayoutGuessTest, WhatIsNotAsLongAsTheLabelsIsNothingOfUtterances) {
  std::vector<std::pair<Value, Value>> links;
  for (int64_t c = 0; c < ToyCorpus::kSize; ++c) {
    std::vector<Value> pairs;
    for (int64_t u = 1; u < ToyCorpus::Length(c); ++u) {
      pairs.push_back(Tuple({Number(u - 1), Number(u)}));
    }
    links.emplace_back(kToy.Id(c), List(pairs));
  }
  const LayoutGuess guess = Guess(Tuple({kToy.Letters(), kToy.Labels(6), Dict(links),
                                         kToy.Features(1, 6), kToy.Ids(kTrain), kToy.Ids(kTest)}));
  EXPECT_THAT(guess.fields.text(), ElementsAre("3"));
  EXPECT_THAT(guess.sights[2].what, HasSubstr("; not as many as labels"));
}

TEST(UnreadListsTest, AThirdListIsRefusedWithWhatIsInEachField) {
  const std::string error =
      ErrorOf(Features({kToy.Ids(kTrain), kToy.Ids(kValid), kToy.Ids(kTest)}));
  EXPECT_THAT(error, HasSubstr("guess.pkl: data[9], list of 3 ('dlg6', 'dlg3', 'dlg5'), names "
                               "conversations of this file, but the layout MELD features does not "
                               "say what it is"));
  EXPECT_THAT(error, HasSubstr("data[8]  list of 2 ('dlg8', 'dlg1'): ids of conversations"));
  EXPECT_THAT(error, HasSubstr("valid_ids: 8  # or is it 9?"));
  EXPECT_THAT(error, HasSubstr("test_ids: 9  # or is it 8?"));
}

TEST(UnreadListsTest, WhateverTheyAre) {
  for (const Value& more :
       {kToy.SetOfIds(kTest), Tuple({kToy.Id(1), kToy.Id(8)}),
        Dict({{Text("valid"), kToy.Ids(kValid)}}), List({kToy.Ids(kValid), kToy.Ids(kTest)}),
        List({kToy.Id(8), kToy.Id(1), Text("one that is nowhere")})}) {
    EXPECT_THAT(ErrorOf(Features({kToy.Ids(kTrain), kToy.Ids(kTest), more})),
                HasSubstr("names conversations of this file"));
    Options options;
    options.set_layout(Options::MELD);
    EXPECT_THAT(ErrorOf(Features({kToy.Ids(kTrain), kToy.Ids(kTest), more}), options),
                HasSubstr("names conversations of this file"));
  }
}

TEST(UnreadListsTest, WhatIsNoListOfConversationsMayBeThere) {
  const std::vector<Value> others = {
      None(),        Dict({}), List({}), python::Numbers({0, 1, 2}), python::Texts({"hap", "sad"}),
      kToy.Labels(3)};
  for (const Value& more : others) {
    Options options;
    options.set_features_file(
        WriteTestFile("other.pkl", Pickle(Features({kToy.Ids(kTrain), kToy.Ids(kTest), more}))));
    const auto dataset = Create(options);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
  }
}

TEST(UnreadListsTest, FieldsSayWhatEachIs) {
  Options options;
  options.set_features_file(WriteTestFile(
      "fields.pkl", Pickle(Features({kToy.Ids(kTrain), kToy.Ids(kTest), kToy.Ids(kValid)}))));
  Options::Fields& fields = *options.mutable_fields();
  fields.set_labels("2");
  fields.add_text("3");
  fields.set_train_ids("7");
  fields.set_test_ids("8");
  EXPECT_THAT(std::string(Create(options).status().message()),
              HasSubstr("data[9], list of 2 ('dlg8', 'dlg1'), names conversations of this file, "
                        "but `fields` does not say what it is"));
  fields.add_unused("9");
  auto dataset = Create(options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(WarningsOf(**dataset),
              ElementsAre(HasSubstr("fields.pkl: 2 of its 10 conversations are in no split and are "
                                    "not used: 'dlg1', 'dlg8'")));
  fields.clear_unused();
  fields.set_valid_ids("9");
  dataset = Create(options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ExpectToy(**dataset, kToy, 6, true, {{"text", {{1, 5}}}});
  EXPECT_THAT(WarningsOf(**dataset), IsEmpty());
  EXPECT_EQ((*dataset)->info().num_speakers, 1);
}

TEST(FieldsTest, WhatIsWrongWithThem) {
  const Value file = Features({kToy.Ids(kTrain), kToy.Ids(kTest)});
  Options options;
  Options::Fields& fields = *options.mutable_fields();
  EXPECT_THAT(ErrorOf(file, options),
              HasSubstr("fields.labels is not set; fields.train_ids is not set; fields.test_ids is "
                        "not set"));
  fields.set_labels("2");
  fields.set_train_ids("7");
  fields.set_test_ids("8");
  EXPECT_THAT(ErrorOf(file, options), HasSubstr("no field holds features"));
  fields.add_text("12");
  EXPECT_THAT(ErrorOf(file, options), HasSubstr("data[12] is not there, want text; the file holds "
                                                "tuple of 9"));
  fields.set_text(0, "7");
  EXPECT_THAT(ErrorOf(file, options),
              HasSubstr("data[7] is list of 5, want a dict from conversation id to text"));
  fields.set_text(0, "6");
  EXPECT_THAT(ErrorOf(file, options), HasSubstr("text (data[6]) "));
  fields.set_text(0, "3");
  options.set_layout(Options::MELD);
  EXPECT_THAT(ErrorOf(file, options), HasSubstr("fields and layout are both set, keep one"));
}

}  // namespace
}  // namespace cmerc
