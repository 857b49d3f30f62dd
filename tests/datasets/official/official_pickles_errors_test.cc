// What is wrong with a corpus is said with its place, and nothing is loaded.
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"
#include "storage/pickle/writer.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

using Options = OfficialPicklesOptions;
using pickle::Writer;

using Rows = std::vector<std::vector<double>>;  // [utterance][column]
template <typename T>
using Table = std::map<int64_t, T>;  // by conversation id

// Three good conversations; each test spoils one thing.
struct Corpus {
  Table<std::vector<std::string>> speakers = {{7, {"A", "B"}}, {8, {"A"}}, {9, {"B"}}};
  Table<Rows> one_hot;  // written in place of `speakers` when not empty
  Table<std::vector<int64_t>> labels = {{7, {0, 1}}, {8, {1}}, {9, {0}}};
  Table<Rows> text = {{7, {{1, 2}, {3, 4}}}, {8, {{5, 6}}}, {9, {{7, 8}}}};
  Table<Rows> audio = {{7, {{1}, {2}}}, {8, {{3}}}, {9, {{4}}}};
  Table<Rows> visual = {{7, {{1}, {2}}}, {8, {{3}}}, {9, {{4}}}};
  Table<std::vector<std::string>> sentences = {{7, {"a", "b"}}, {8, {"c"}}, {9, {"d"}}};
  std::vector<int64_t> train = {7};
  std::vector<int64_t> valid = {8};
  std::vector<int64_t> test = {9};
  std::vector<int64_t> features_train = {7, 8};  // of the features file
};

void Put(Writer& w, int64_t value) { w.Int(value); }
void Put(Writer& w, double value) { w.Float(value); }
void Put(Writer& w, const std::string& value) { w.String(value); }

template <typename T>
void Put(Writer& w, const std::vector<T>& values) {
  w.EmptyList();
  w.Mark();
  for (const T& value : values) Put(w, value);
  w.Appends();
}

template <typename T>
void Put(Writer& w, const Table<T>& table) {
  w.EmptyDict();
  w.Mark();
  for (const auto& [id, value] : table) {
    w.Int(id);
    Put(w, value);
  }
  w.SetItems();
}

void PutSpeakers(Writer& w, const Corpus& corpus) {
  corpus.one_hot.empty() ? Put(w, corpus.speakers) : Put(w, corpus.one_hot);
}

std::string WriteFile(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// The layout of IEMOCAP_features.pkl.
std::string FeaturesBytes(const Corpus& corpus) {
  Writer w;
  w.Mark();
  Put(w, corpus.sentences);  // in place of the utterances' ids, which are not read
  PutSpeakers(w, corpus);
  Put(w, corpus.labels);
  Put(w, corpus.text);
  Put(w, corpus.audio);
  Put(w, corpus.visual);
  Put(w, corpus.sentences);
  Put(w, corpus.features_train);
  Put(w, corpus.test);
  w.TupleFromMark();
  return std::move(w).Finish();
}

// The layout of iemocap_features_roberta.pkl.
std::string RobertaBytes(const Corpus& corpus) {
  Writer w;
  w.Mark();
  PutSpeakers(w, corpus);
  Put(w, corpus.labels);
  for (int stream = 0; stream < 4; ++stream) Put(w, corpus.text);
  Put(w, corpus.sentences);
  Put(w, corpus.train);
  Put(w, corpus.test);
  Put(w, corpus.valid);
  w.TupleFromMark();
  return std::move(w).Finish();
}

absl::StatusOr<std::unique_ptr<Dataset>> Create(const Options& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

class OfficialPicklesErrorsTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Dataset>> Load() {
    options_.set_features_file(WriteFile("features.pkl", FeaturesBytes(corpus_)));
    options_.set_roberta_file(WriteFile("roberta.pkl", RobertaBytes(corpus_)));
    return Create(options_);
  }
  // The message for a corpus that is InvalidArgument.
  std::string Error() { return ErrorOf(Load().status()); }
  std::string FeaturesError() {
    options_.set_features_file(WriteFile("features.pkl", FeaturesBytes(corpus_)));
    options_.clear_roberta_file();
    return ErrorOf(Create(options_).status());
  }
  // Returns the error that a features file of these bytes gives.
  std::string FeaturesError(const std::string& bytes) {
    options_.set_features_file(WriteFile("features.pkl", bytes));
    options_.clear_roberta_file();
    return ErrorOf(Create(options_).status());
  }
  static std::string ErrorOf(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  Corpus corpus_;
  Options options_;
};

TEST_F(OfficialPicklesErrorsTest, TheCorpusIsGoodToStartWith) {
  const auto dataset = Load();
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(), 3);
  EXPECT_EQ((*dataset)->info().class_names, std::vector<std::string>({"class_0", "class_1"}));
  EXPECT_EQ((*dataset)->info().num_speakers, 2);
}

TEST_F(OfficialPicklesErrorsTest, NotFinite) {
  corpus_.audio[7][1][0] = std::nan("");
  corpus_.text[9][0][1] = std::numeric_limits<double>::infinity();
  corpus_.visual[8][0][0] = 1e300;  // beyond float32
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("features.pkl: conversation 7: audio (data[4]) utterance 1, column "
                               "0 is nan as float32, want a number"));
  EXPECT_THAT(error, HasSubstr("roberta.pkl: conversation 9: text (data[2]) utterance 0, column 1 "
                               "is inf"));
  EXPECT_THAT(error, HasSubstr("conversation 8: visual (data[5]) utterance 0, column 0 is inf"));
}

TEST_F(OfficialPicklesErrorsTest, NotFiniteAnywhereInAWideVector) {
  for (Table<Rows>::value_type& conversation : corpus_.audio) {
    for (std::vector<double>& row : conversation.second) row.assign(150, 0.5);
  }
  for (const int64_t column : {0, 63, 64, 100, 127, 128, 149}) {
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()}) {
      corpus_.audio[9][0][column] = bad;
      EXPECT_THAT(Error(), HasSubstr(absl::StrCat("conversation 9: audio (data[4]) utterance 0, "
                                                  "column ",
                                                  column, " is ")));
      corpus_.audio[9][0][column] = std::numeric_limits<float>::max();
      EXPECT_TRUE(Load().ok());
    }
  }
}

TEST_F(OfficialPicklesErrorsTest, UnequalLengths) {
  corpus_.audio[7].pop_back();
  corpus_.speakers[8].push_back("A");
  corpus_.sentences[9].push_back("more");
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("features.pkl: conversation 7: audio (data[4]) has 1 utterances, "
                               "want 2, the number of its labels"));
  EXPECT_THAT(error, HasSubstr("conversation 8: speakers (data[1]) has 2 utterances, want 1"));
  EXPECT_THAT(error, HasSubstr("conversation 9: sentences (data[6]) has 2 utterances, want 1"));
}

TEST_F(OfficialPicklesErrorsTest, UnequalWidths) {
  corpus_.audio[8] = {{3, 4}};
  corpus_.visual[7][1] = {1, 2, 3};
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("conversation 8: audio (data[4]) has width 2, want 1 as in "
                               "conversation 7"));
  EXPECT_THAT(error, HasSubstr("conversation 7: visual (data[5]) utterance 1 has width 3, want 1 "
                               "as in utterance 0"));
}

TEST_F(OfficialPicklesErrorsTest, Labels) {
  corpus_.labels[7][1] = -2;
  EXPECT_THAT(Error(), HasSubstr("features.pkl: conversation 7: labels (data[2]) utterance 1 has "
                                 "label -2, want 0 to 9999, or -1 for none"));
  corpus_.labels[7][1] = 10000;
  EXPECT_THAT(Error(), HasSubstr("utterance 1 has label 10000, want 0 to 9999"));
  corpus_.labels[7][1] = 2;
  options_.add_class_names("a");
  options_.add_class_names("b");
  EXPECT_THAT(Error(),
              HasSubstr("utterance 1 has label 2, want 0 to 1 as there are 2 class_names"));
}

TEST_F(OfficialPicklesErrorsTest, EmptyConversation) {
  corpus_.labels[8].clear();
  corpus_.speakers[8].clear();
  corpus_.text[8].clear();
  corpus_.audio[8].clear();
  corpus_.visual[8].clear();
  corpus_.sentences[8].clear();
  EXPECT_THAT(Error(), HasSubstr("conversation 8: labels (data[2]) has no utterances, want >= 1"));
}

TEST_F(OfficialPicklesErrorsTest, MissingConversations) {
  corpus_.speakers.erase(8);
  corpus_.labels.erase(9);
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("conversation 8: speakers (data[1]) has no such conversation"));
  EXPECT_THAT(error, HasSubstr("conversation 9: labels (data[2]) has no such conversation"));
}

TEST_F(OfficialPicklesErrorsTest, SplitsThatOverlapOrRepeat) {
  corpus_.valid = {8, 7};
  corpus_.test = {9, 9};
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("roberta.pkl: conversation 7 is in the train list and in the valid "
                               "list, want it in one of them"));
  EXPECT_THAT(error, HasSubstr("roberta.pkl: the test list (data[8]) names conversation 9 twice"));
  EXPECT_THAT(error, HasSubstr("features.pkl: the test list (data[8]) names conversation 9 twice"));

  corpus_ = Corpus();
  corpus_.test = {7};
  EXPECT_THAT(FeaturesError(),
              HasSubstr("features.pkl: conversation 7 is in the train list and in the test list"));
}

TEST_F(OfficialPicklesErrorsTest, SplitsOfTwoFilesThatDiffer) {
  corpus_.features_train = {7};
  EXPECT_THAT(Error(), HasSubstr("conversation 8 is in the train or valid list of "));
  corpus_.features_train = {7, 8};
  corpus_.valid = {};
  EXPECT_THAT(Error(), HasSubstr("conversation 8 is in the train list of "));
}

TEST_F(OfficialPicklesErrorsTest, EmptySplits) {
  corpus_.features_train = {};
  corpus_.test = {};
  const std::string error = FeaturesError();
  EXPECT_THAT(error, HasSubstr("features.pkl: there is no conversation to train on, want >= 1"));
  corpus_ = Corpus();
  corpus_.test = {};
  EXPECT_TRUE(Load().ok());  // as for the test split

  corpus_ = Corpus();
  corpus_.valid = {};
  corpus_.features_train = {7};
  EXPECT_TRUE(Load().ok());  // whether it needs a validation split is the trainer's to say
}

TEST_F(OfficialPicklesErrorsTest, OneHotRows) {
  corpus_.one_hot = {{7, {{1, 0, 0}, {0, 0, 0}}}, {8, {{0, 1, 1}}}, {9, {{0, 2, 0}}}};
  std::string error = Error();
  EXPECT_THAT(error, HasSubstr("conversation 7: speakers (data[1]) utterance 1 has the row "
                               "[0, 0, 0], want a single 1 among zeros"));
  EXPECT_THAT(error, HasSubstr("conversation 8: speakers (data[1]) utterance 0 has the row "
                               "[0, 1, 1]"));
  EXPECT_THAT(error, HasSubstr("conversation 9: speakers (data[1]) utterance 0 has the row "
                               "[0, 2, 0]"));
  corpus_.one_hot = {{7, {{1, 0, 0}, {0, 1, 0}}}, {8, {{0, 1}}}, {9, {{0, 0, 1}}}};
  EXPECT_THAT(Error(), HasSubstr("conversation 8: speakers (data[1]) has one-hot rows of 2, want "
                                 "one-hot rows of 3 as in conversation 7"));
}

TEST_F(OfficialPicklesErrorsTest, ManyProblemsAreCounted) {
  corpus_.labels[7].assign(100, -2);
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("utterance 9 has label -2"));
  EXPECT_THAT(error, Not(HasSubstr("utterance 10 has label -2")));
  // 100 labels; speakers, sentences, text (its first stream), audio and visual are too short.
  EXPECT_THAT(error, HasSubstr("(and 95 more)"));
}

TEST_F(OfficialPicklesErrorsTest, TextThatIsInAnotherFile) {
  corpus_.text = {{7, {}}, {8, {}}, {9, {}}};
  EXPECT_THAT(FeaturesError(),
              HasSubstr("features.pkl: text (data[3]) has nothing for any conversation; give "
                        "roberta_file if the text features are in such a file; data { modalities } "
                        "chooses others"));
}

TEST_F(OfficialPicklesErrorsTest, NothingOfWhatIsNeeded) {
  corpus_.audio = {{7, {{}, {}}}, {8, {}}};
  for (auto& [id, labels] : corpus_.labels) std::fill(labels.begin(), labels.end(), -1);
  EXPECT_THAT(Error(), HasSubstr("features.pkl: audio (data[4]) has nothing for any conversation; "
                                 "data { modalities } chooses others"));
  corpus_.audio = Corpus().audio;
  EXPECT_THAT(Error(), HasSubstr("features.pkl: labels (data[2]) are none for all utterances"));
  corpus_ = Corpus();
  corpus_.text.erase(8);
  corpus_.audio.erase(8);
  corpus_.visual.erase(8);
  EXPECT_THAT(Error(), HasSubstr("conversation 8 has no features of any modality"));
}

TEST_F(OfficialPicklesErrorsTest, FilesThatAreNone) {
  EXPECT_THAT(ErrorOf(Create({}).status()),
              HasSubstr("cmerc.OfficialPicklesOptions: features_file and roberta_file are both not "
                        "set, give at least one"));
  options_.set_features_file(testing::TempDir() + "/none.pkl");
  const absl::Status missing = Create(options_).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("features_file: "));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("none.pkl"));

  options_.set_features_file(testing::TempDir());
  EXPECT_THAT(ErrorOf(Create(options_).status()), HasSubstr(testing::TempDir()));

  // Wherever a file ends too soon, that is what is said.
  const std::string bytes = FeaturesBytes(corpus_);
  for (size_t size = 0; size < bytes.size(); ++size) {
    options_.set_features_file(WriteFile("truncated.pkl", bytes.substr(0, size)));
    EXPECT_THAT(ErrorOf(Create(options_).status()), HasSubstr("truncated.pkl: byte ")) << size;
  }

  options_.set_features_file(WriteFile("hostile.pkl", "cos\nsystem\n(S'true'\ntR."));
  EXPECT_THAT(ErrorOf(Create(options_).status()), HasSubstr("os.system"));
}

TEST_F(OfficialPicklesErrorsTest, FilesOfAnotherLayout) {
  const std::string features = WriteFile("features.pkl", FeaturesBytes(corpus_));
  const std::string roberta = WriteFile("roberta.pkl", RobertaBytes(corpus_));
  options_.set_features_file(roberta);
  EXPECT_THAT(ErrorOf(Create(options_).status()), HasSubstr("name it in roberta_file"));
  options_.clear_features_file();
  options_.set_roberta_file(features);
  EXPECT_THAT(ErrorOf(Create(options_).status()), HasSubstr("name it in features_file"));
  options_.set_layout(Options::SDT_MELD);
  EXPECT_THAT(ErrorOf(Create(options_).status()),
              HasSubstr("layout SDT_MELD has no roberta_file; give features_file instead"));
  options_.clear_roberta_file();
  options_.set_features_file(features);
  EXPECT_THAT(ErrorOf(Create(options_).status()),
              HasSubstr("want the tuple or list of 13 fields of the layout SDT MELD"));

  options_.clear_layout();
  Writer w;
  w.EmptyDict();
  options_.set_features_file(WriteFile("dict.pkl", std::move(w).Finish()));
  EXPECT_THAT(
      ErrorOf(Create(options_).status()),
      AllOf(HasSubstr("dict.pkl has none of the layouts that are known: they are tuples or lists "
                      "of 9 fields (IEMOCAP features), 10 (MELD features; "),
            HasSubstr("13 (SDT MELD). It holds dict of 0, which has no fields of features")));
  Writer nine;
  nine.EmptyList();
  nine.Mark();
  for (int64_t i = 0; i < 9; ++i) nine.Int(i);
  nine.Appends();
  options_.set_features_file(WriteFile("nine.pkl", std::move(nine).Finish()));
  EXPECT_THAT(
      ErrorOf(Create(options_).status()),
      HasSubstr("nine.pkl has none of the layouts that are known: of 9 fields there is IEMOCAP "
                "features, which has the speakers in field 1, and here that is int 1. It holds "
                "list of 9 (0, 1, 2, ...):\n  data[0]  int 0\n"));

  options_.set_features_file("tests/datasets/data/sdt_iemocap.pkl");
  options_.set_roberta_file(roberta);
  EXPECT_THAT(ErrorOf(Create(options_).status()),
              HasSubstr("has RoBERTa text of its own; leave out roberta_file"));
}

// A table of one conversation: `first` and, by a reference of two bytes each, `times` times the
// same.
std::string Repeated(const std::string& first, int times) {
  std::string table = "}(K\7](" + first + "q\1";
  for (int i = 0; i < times; ++i) table += "h\1";
  return table + "eu";
}

// FeaturesBytes() with another text and other sentences.
std::string FeaturesBytes(const Corpus& corpus, const std::string& text,
                          const std::string& sentences) {
  const auto opcodes = [](const auto& value) {
    Writer w;
    Put(w, value);
    const std::string bytes = std::move(w).Finish();
    return bytes.substr(2, bytes.size() - 3);  // without protocol and STOP
  };
  return "(" + opcodes(corpus.sentences) + opcodes(corpus.speakers) + opcodes(corpus.labels) +
         text + opcodes(corpus.audio) + opcodes(corpus.visual) + sentences +
         opcodes(corpus.features_train) + opcodes(corpus.test) + "t.";
}

// 100 kB that would be 200 MB of features, or 500 MB of sentences.
TEST_F(OfficialPicklesErrorsTest, SharedObjectsCannotFillTheMemory) {
  std::string row = "](";
  for (int i = 0; i < 1000; ++i) row += "K\1";
  row += "e";
  const std::string sentence = "X" + std::string("\x10\x27\0\0", 4) + std::string(10000, 'x');
  const std::string none = "}";
  EXPECT_THAT(FeaturesError(FeaturesBytes(corpus_, Repeated(row, 50000), none)),
              HasSubstr("features.pkl: conversation 7: text (data[3]) repeats its objects so often "
                        "that the data takes more than 64 times the file"));
  EXPECT_THAT(FeaturesError(FeaturesBytes(corpus_, none, Repeated(sentence, 50000))),
              HasSubstr("features.pkl: conversation 7: sentences (data[6]) repeats its objects"));
  // As lists do that are not made to harm.
  EXPECT_THAT(FeaturesError(FeaturesBytes(corpus_, Repeated(row, 10), none)),
              Not(HasSubstr("repeats its objects")));
}

TEST_F(OfficialPicklesErrorsTest, Options) {
  options_.set_valid_fraction(1);
  EXPECT_EQ(ErrorOf(Create(options_).status()),
            "cmerc.OfficialPicklesOptions: valid_fraction = 1, must be in [0, 1)");
  options_.clear_valid_fraction();
  options_.add_class_names("a");
  options_.add_class_names("a");
  EXPECT_EQ(ErrorOf(Create(options_).status()),
            "cmerc.OfficialPicklesOptions: features_file and roberta_file are both not set, give "
            "at least one; class_names = [a, a], must be unique and not empty");
}

}  // namespace
}  // namespace cmerc
