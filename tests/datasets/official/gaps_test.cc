// Labels and features that are not there: None, NaN, -1, nothing, an empty list or array.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/official/official_pickles.pb.h"
#include "tests/datasets/official/python_values.h"
#include "tests/datasets/official/toy_corpus.h"

namespace cmerc {
namespace {

using python::List;
using python::None;
using python::Number;
using python::Pickle;
using python::Real;
using python::Tuple;
using python::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Options = OfficialPicklesOptions;

// A field that is the toy's but for what `gap` says: an empty opcode leaves the entry.
Value Spoiled(const ToyCorpus::Entry& good, const ToyCorpus::Entry& gap) {
  return kToy.Table([=](int64_t c, int64_t u) {
    const Value spoiled = gap(c, u);
    return spoiled.opcodes.empty() ? good(c, u) : spoiled;
  });
}

Value Features(int64_t modality, int64_t width, const ToyCorpus::Entry& gap) {
  return Spoiled([=](int64_t c, int64_t u) { return ToyCorpus::Row(modality, c, u, width); }, gap);
}

// The conversations that train or validate.
const std::vector<int64_t> kOthers = {7, 0, 4, 2, 9, 8, 1};

// The layout of IEMOCAP_features.pkl.
std::string File(const Value& labels, const Value& text, const Value& audio) {
  return Pickle(Tuple({kToy.UtteranceIds(), kToy.Letters(), labels, text, audio,
                       kToy.Features(3, 2), kToy.Sentences(), kToy.Ids(kOthers), kToy.Ids(kTest)}));
}

Options OptionsFor(const std::string& bytes) {
  Options options;
  options.set_features_file(WriteTestFile("gaps.pkl", bytes));
  return options;
}

std::vector<int64_t> LabelsOf(const Dataset& dataset, const std::string& id) {
  const torch::Tensor labels = ConversationOf(dataset, id).labels;
  return {labels.data_ptr<int64_t>(), labels.data_ptr<int64_t>() + labels.numel()};
}

TEST(GapsTest, LabelsThatAreNone) {
  const std::vector<Value> marks = {None(), Number(-1), {"F nan\n"}, Real(-1)};
  for (size_t i = 0; i < marks.size(); ++i) {
    SCOPED_TRACE(i);
    const Value labels =
        Spoiled([](int64_t c, int64_t u) { return Number(ToyCorpus::Label(c, u, 4)); },
                [&](int64_t c, int64_t u) { return u == 0 || c == 3 ? marks[i] : Value{""}; });
    const auto dataset =
        MustCreate(OptionsFor(File(labels, kToy.Features(1, 5), kToy.Features(2, 3))));
    ASSERT_NE(dataset, nullptr);
    EXPECT_EQ(dataset->info().num_classes(), 4);
    EXPECT_THAT(LabelsOf(*dataset, "dlg2"), ElementsAre(-1, 3, 0, 1));
    EXPECT_THAT(LabelsOf(*dataset, "dlg3"), ElementsAre(-1, -1));
    EXPECT_THAT(WarningsOf(*dataset), IsEmpty());
  }
}

// The layout is found although the first utterance has no label: MELD's and RoBERTa files have as
// many fields.
TEST(GapsTest, TheFirstLabelIsNone) {
  const Value labels =
      Spoiled([](int64_t c, int64_t u) { return Number(ToyCorpus::Label(c, u, 4)); },
              [](int64_t c, int64_t u) { return c == 0 && u == 0 ? None() : Value{""}; });
  const auto dataset = MustCreate(OptionsFor(Pickle(
      Tuple({kToy.UtteranceIds(), kToy.Letters(), labels, kToy.Features(1, 5), kToy.Features(2, 3),
             kToy.Features(3, 2), kToy.Sentences(), kToy.Ids(kTrain), kToy.Ids(kTest), None()}))));
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(LabelsOf(*dataset, "dlg0"), ElementsAre(-1, 1));
}

TEST(GapsTest, MinusOneBesideTwoClassesMayBeAThird) {
  const Value labels = kToy.Table([](int64_t c, int64_t u) { return Number((c + u) % 3 - 1); });
  const auto dataset =
      MustCreate(OptionsFor(File(labels, kToy.Features(1, 5), kToy.Features(2, 3))));
  ASSERT_NE(dataset, nullptr);
  ASSERT_EQ(WarningsOf(*dataset).size(), 1u);
  EXPECT_THAT(WarningsOf(*dataset)[0],
              HasSubstr("the labels are -1 to 1, and -1 is taken for none"));
}

TEST(GapsTest, FeaturesThatAreNone) {
  // dlg0 begins with a gap, dlg1 has no audio at all, dlg2 an empty list for its last utterance.
  const Value audio = Features(2, 3, [](int64_t c, int64_t u) {
    if (c == 1 || (c == 0 && u == 0)) return None();
    return c == 2 && u == 3 ? List({}) : Value{""};
  });
  const auto dataset = MustCreate(OptionsFor(File(kToy.Labels(6), kToy.Features(1, 5), audio)));
  ASSERT_NE(dataset, nullptr);
  ASSERT_EQ(dataset->info().modalities[1].name, "audio");
  EXPECT_EQ(dataset->info().modalities[1].width, 3);
  const Conversation first = ConversationOf(*dataset, "dlg0");
  EXPECT_TRUE(first.present.equal(torch::tensor({1, 0, 1, 1, 1, 1}, torch::kBool).view({2, 3})));
  EXPECT_EQ(first.features[1][0][0].count_nonzero().item<int64_t>(), 0);
  EXPECT_TRUE(first.features[1][0][1].equal(ToyCorpus::Expected(2, 0, 3)[1]));
  const Conversation second = ConversationOf(*dataset, "dlg1");
  EXPECT_FALSE(second.present.select(1, 1).any().item<bool>());
  EXPECT_TRUE(second.features[1][0].equal(torch::zeros({3, 3})));
  EXPECT_TRUE(ConversationOf(*dataset, "dlg2")
                  .present.select(1, 1)
                  .equal(torch::tensor({1, 1, 1, 0}, torch::kBool)));
  EXPECT_FALSE(ConversationOf(*dataset, "dlg3").present.defined());
  ASSERT_EQ(WarningsOf(*dataset).size(), 1u);
  EXPECT_THAT(WarningsOf(*dataset)[0],
              HasSubstr("gaps.pkl: audio (data[4]) has nothing for 1 of "));
}

TEST(GapsTest, WidthsAreThoseOfWhatIsThere) {
  const Value audio = Features(2, 3, [](int64_t c, int64_t u) {
    if (c == 2 && u < 2) return None();
    return c == 2 && u == 3 ? ToyCorpus::Row(2, c, u, 4) : Value{""};
  });
  EXPECT_THAT(ErrorOf(OptionsFor(File(kToy.Labels(6), kToy.Features(1, 5), audio))),
              HasSubstr("audio (data[4]) utterance 3 has width 4, want 3 as in utterance 2"));
}

// Streams of one modality are of the same utterances.
TEST(GapsTest, StreamsThatLackDifferentUtterances) {
  const auto text = [](int64_t modality, int64_t conversation) {
    return Features(modality, 5, [=](int64_t c, int64_t u) {
      return c == conversation && u == 1 ? None() : Value{""};
    });
  };
  Options options = OptionsFor(Pickle(Tuple({kToy.Letters(), kToy.Labels(6), text(1, 2), text(2, 2),
                                             kToy.Ids(kTrain), kToy.Ids(kTest)})));
  auto* fields = options.mutable_fields();
  fields->set_speakers("0");
  fields->set_labels("1");
  fields->add_text("2");
  fields->add_text("3");
  fields->set_train_ids("4");
  fields->set_test_ids("5");
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  EXPECT_TRUE(ConversationOf(*dataset, "dlg2")
                  .present.equal(torch::tensor({1, 0, 1, 1}, torch::kBool).view({4, 1})));
  options.set_features_file(
      WriteTestFile("odd.pkl", Pickle(Tuple({kToy.Letters(), kToy.Labels(6), text(1, 2), text(2, 5),
                                             kToy.Ids(kTrain), kToy.Ids(kTest)}))));
  EXPECT_THAT(ErrorOf(options), HasSubstr("lacks other utterances than the stream before it"));
}

}  // namespace
}  // namespace cmerc
