// Modalities from files of their own, utterances from CSV: config/layouts/ of GCNet, MERTools and
// MultiEMO, and what is wrong with such files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
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
using python::Pickle;
using python::Tuple;
using python::Value;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Options = OfficialPicklesOptions;

// A .npy file of float32.
std::string Npy(const std::string& shape, const std::vector<float>& values) {
  std::string header =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", shape, "), }");
  header.resize(117, ' ');
  header += "\n";
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8) + std::string("\x76\x00", 2) + header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

// A new folder with the features of a modality, a file for each utterance.
std::string UtteranceFolder(const std::string& name, int64_t modality, int64_t width) {
  const std::string folder = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  for (int64_t c = 0; c < ToyCorpus::kSize; ++c) {
    const torch::Tensor features = ToyCorpus::Expected(modality, c, width).contiguous();
    for (int64_t u = 0; u < ToyCorpus::Length(c); ++u) {
      const float* row = features.data_ptr<float>() + u * width;
      std::ofstream(absl::StrCat(folder, "/", kToy.IdText(c), "_utt", u, ".npy"), std::ios::binary)
          << Npy(absl::StrCat(width, ","), {row, row + width});
    }
  }
  return folder;
}

void AddFile(const std::string& modality, const std::string& file, Options* options) {
  Options::ModalityFile* entry = options->add_modality_files();
  entry->set_modality(modality);
  entry->set_file(file);
}

Options LoadLayout(const std::string& name, const std::string& bytes) {
  const auto config = LoadConfig(absl::StrCat("config/layouts/", name, ".textproto"), {});
  EXPECT_TRUE(config.ok()) << config.status().message();
  Options options;
  if (!config.ok()) return options;
  EXPECT_TRUE(config->data().dataset().UnpackTo(&options));
  options.set_features_file(WriteTestFile(name + ".pkl", bytes));
  return options;
}

// Replaces the files of the modalities, keeping their names.
void SetFiles(const std::vector<std::string>& files, Options* options) {
  ASSERT_EQ(static_cast<size_t>(options->modality_files_size()), files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    options->mutable_modality_files(static_cast<int>(i))->set_file(files[i]);
  }
}

TEST(ModalityFilesTest, MerTools) {
  Options options =
      LoadLayout("mertools",
                 Pickle(List({kToy.UtteranceIds(), kToy.Labels(6), kToy.Letters(), kToy.Sentences(),
                              kToy.Ids(kTrain), kToy.Ids(kValid), kToy.Ids(kTest)})));
  SetFiles({UtteranceFolder("text", 1, 5), UtteranceFolder("audio", 2, 3),
            UtteranceFolder("visual", 3, 2)},
           &options);
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 6, true,
            {{"text", {{1, 5}}}, {"audio", {{2, 3}}}, {"visual", {{3, 2}}}});
}

TEST(ModalityFilesTest, GcNet) {
  Options options =
      LoadLayout("gcnet", Pickle(Tuple({kToy.UtteranceIds(), kToy.Labels(4), kToy.Letters(),
                                        kToy.Sentences(), kToy.Ids(kTrain), kToy.Ids(kTest)})));
  SetFiles({UtteranceFolder("text", 1, 5), UtteranceFolder("audio", 2, 3),
            UtteranceFolder("visual", 3, 2)},
           &options);
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 4, false,
            {{"text", {{1, 5}}}, {"audio", {{2, 3}}}, {"visual", {{3, 2}}}});
}

// The layout of MELD_features_raw1.pkl, with other features than those of the modalities' files.
Value Speakers() {
  return Tuple({kToy.UtteranceIds(), kToy.Letters(), kToy.Labels(6), kToy.Features(7, 5),
                kToy.Features(8, 4), kToy.Features(9, 3), kToy.Sentences(), kToy.Ids(kTrain),
                kToy.Ids(kTest), python::None()});
}

TEST(ModalityFilesTest, MultiEmo) {
  Options options = LoadLayout("multiemo", Pickle(Speakers()));
  SetFiles({WriteTestFile("text.pkl", Pickle(kToy.Features(1, 5))),
            WriteTestFile("audio.pkl", Pickle(kToy.Features(2, 4))),
            WriteTestFile("visual.pkl", Pickle(kToy.Features(3, 3)))},
           &options);
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 6, false,
            {{"text", {{1, 5}}}, {"audio", {{2, 4}}}, {"visual", {{3, 3}}}});
}

TEST(ModalityFilesTest, FieldsOfAPickleAreStreams) {
  Options options;
  options.set_features_file(WriteTestFile("main.pkl", Pickle(Speakers())));
  AddFile("commonsense",
          WriteTestFile("comet.pkl",
                        Pickle(List({kToy.Features(1, 6), kToy.Features(2, 6), kToy.Labels(3)}))),
          &options);
  options.mutable_modality_files(0)->add_field("1");
  options.mutable_modality_files(0)->add_field("0");
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  ExpectToy(*dataset, kToy, 6, false,
            {{"text", {{7, 5}}},
             {"audio", {{8, 4}}},
             {"visual", {{9, 3}}},
             {"commonsense", {{2, 6}, {1, 6}}}});
}

// An id without an entry lacks the modality; a file without any of the ids is another's.
TEST(ModalityFilesTest, WhatIsMissingIsCountedAndNamed) {
  Options options;
  options.set_features_file(WriteTestFile("main.pkl", Pickle(Speakers())));
  const std::string folder = UtteranceFolder("audio", 2, 3);
  AddFile("audio", folder, &options);
  std::filesystem::remove(folder + "/dlg4_utt1.npy");
  std::filesystem::remove(folder + "/dlg6_utt0.npy");
  std::ofstream(folder + "/dlg6_utt1.npy", std::ios::binary) << Npy("0,", {});
  std::filesystem::remove(folder + "/dlg3_utt0.npy");
  std::filesystem::remove(folder + "/dlg3_utt1.npy");
  const auto dataset = MustCreate(options);
  ASSERT_NE(dataset, nullptr);
  const absl::Span<const std::string> warnings = WarningsOf(*dataset);
  EXPECT_THAT(std::vector<std::string>(warnings.begin(), warnings.end()),
              testing::Contains(
                  HasSubstr(absl::StrCat(folder,
                                         ": audio has no entry for 4 of 22 ids: 'dlg4_utt1', "
                                         "'dlg6_utt0', 'dlg3_utt0', 'dlg3_utt1'; the file has 25 "
                                         "ids, such as 'dlg0_utt0'"))));
  const auto present = [&](const std::string& id) {
    const Conversation conversation = ConversationOf(*dataset, id);
    EXPECT_EQ(conversation.features[1][0].size(0), conversation.length());
    return conversation.present;
  };
  EXPECT_TRUE(present("dlg4").select(1, 1).equal(torch::tensor({1, 0, 1}, torch::kBool)));
  EXPECT_TRUE(present("dlg4").select(1, 0).all().item<bool>());
  EXPECT_TRUE(present("dlg6").select(1, 1).equal(torch::tensor({0, 0}, torch::kBool)));
  EXPECT_EQ(ConversationOf(*dataset, "dlg4").features[1][0][1].count_nonzero().item<int64_t>(), 0);
  EXPECT_FALSE(present("dlg3").select(1, 1).any().item<bool>());
  EXPECT_FALSE(present("dlg0").defined());

  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  std::ofstream(folder + "/other.npy", std::ios::binary) << Npy("1,", {1});
  EXPECT_THAT(ErrorOf(options), HasSubstr(": audio has no entry for "));
}

TEST(ModalityFilesTest, LengthsAndWidthsThatDisagree) {
  Options options;
  options.set_features_file(WriteTestFile("main.pkl", Pickle(Speakers())));
  const auto row = [](int64_t width) {
    return [width](int64_t c, int64_t u) { return ToyCorpus::Row(1, c, u, width); };
  };
  std::vector<std::pair<Value, Value>> table;
  for (int64_t c = 0; c < ToyCorpus::kSize; ++c) {
    // Those of dlg2 in place of dlg0's, which are fewer; those of dlg9 are wider.
    table.emplace_back(kToy.Id(c), ToyCorpus::ListOf(c == 0 ? 2 : c, row(c == 9 ? 7 : 5)));
  }
  const std::string path = WriteTestFile("odd.pkl", Pickle(Dict(table)));
  AddFile("text", path, &options);
  EXPECT_THAT(
      ErrorOf(options),
      AllOf(HasSubstr("odd.pkl: conversation 'dlg0': text has 4 rows, want 2, the number of "
                      "its utterances in "),
            HasSubstr("odd.pkl: conversation 'dlg9': text has width 7, want 5 as in "
                      "conversation 'dlg7'")));
}

TEST(ModalityFilesTest, Options) {
  Options options;
  options.set_features_file(WriteTestFile("main.pkl", Pickle(Speakers())));
  AddFile("text", "", &options);
  EXPECT_THAT(ErrorOf(options), HasSubstr("modality and file must both be set"));
  options.mutable_modality_files(0)->set_file("a.pkl");
  AddFile("text", "b.pkl", &options);
  EXPECT_THAT(ErrorOf(options), HasSubstr("text has two files, keep one"));
}

// CSV of MELD's form, whose ids begin again in every split.
std::string Csv(const std::string& name, const std::string& rows) {
  return WriteTestFile(
      name, "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n" + rows);
}

class UtterancesCsvTest : public testing::Test {
 protected:
  void Add(Options::CsvSplit split, const std::string& rows, const std::string& features) {
    const std::string name = Options::CsvSplit_Name(split);
    Options::UtterancesCsv* csv = options_.add_utterances_csv();
    csv->set_split(split);
    csv->set_file(Csv(name + ".csv", rows));
    AddFile("text", WriteTestFile(name + ".pkl", features), &options_);
    options_.mutable_modality_files(options_.modality_files_size() - 1)->set_split(split);
  }

  void SetUp() override {
    using python::Real;
    using python::Text;
    Add(Options::TEST, "1,Oh.,Joey,joy,positive,0,0\n",
        Pickle(Dict({{Text("0"), List({List({Real(9.5), Real(8.5)})})}})));
    Add(Options::TRAIN,
        "1,\"So, yes.\",Ross,neutral,neutral,0,0\n2,No.,Joey,anger,negative,0,1\n"
        "3,Hi.,Ross,joy,positive,1,0\n",
        Pickle(Dict({{Text("dia0_utt1"), List({Real(3.5), Real(4.5)})},
                     {Text("dia0_utt0"), List({Real(1.5), Real(2.5)})},
                     {Text("dia1_utt0"), List({Real(5.5), Real(6.5)})}})));
  }

  Options options_;
};

TEST_F(UtterancesCsvTest, IsReadWithItsFeatures) {
  const auto dataset = MustCreate(options_);
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(IdsOf(*dataset, Split::kTrain), ElementsAre("train/0", "train/1"));
  EXPECT_THAT(IdsOf(*dataset, Split::kTest), ElementsAre("test/0"));
  EXPECT_THAT(dataset->info().class_names, ElementsAre("anger", "joy", "neutral"));
  EXPECT_THAT(dataset->info().speaker_names, ElementsAre("Joey", "Ross"));
  const Conversation first = ConversationOf(*dataset, "train/0");
  EXPECT_TRUE(torch::equal(first.features[0][0], torch::tensor({{1.5f, 2.5f}, {3.5f, 4.5f}})));
  EXPECT_TRUE(torch::equal(first.labels, torch::tensor({2, 0})));
  EXPECT_TRUE(torch::equal(first.speakers, torch::tensor({1, 0})));
  EXPECT_THAT(first.utterances, ElementsAre("So, yes.", "No."));
  EXPECT_TRUE(torch::equal(ConversationOf(*dataset, "test/0").features[0][0],
                           torch::tensor({{9.5f, 8.5f}})));
}

TEST_F(UtterancesCsvTest, LabelsAndFeaturesMayBeMissing) {
  using python::Real;
  using python::Text;
  Options options;
  std::swap(options, options_);
  Add(Options::TRAIN,
      "1,Yes.,Ross,,neutral,0,0\n2,No.,Joey,anger,negative,0,1\n3,Hi.,Ross,joy,positive,1,0\n",
      Pickle(Dict({{Text("dia0_utt1"), List({Real(3.5), Real(4.5)})},
                   {Text("dia1_utt0"), List({Real(5.5), Real(6.5)})}})));
  // A second modality, which has nothing of the first conversation.
  AddFile("audio",
          WriteTestFile("audio.pkl", Pickle(Dict({{Text("dia0_utt0"), List({Real(1)})},
                                                  {Text("dia0_utt1"), python::None()}}))),
          &options_);
  const auto dataset = MustCreate(options_);
  ASSERT_NE(dataset, nullptr);
  EXPECT_THAT(dataset->info().class_names, ElementsAre("anger", "joy"));
  const Conversation first = ConversationOf(*dataset, "0");
  EXPECT_TRUE(torch::equal(first.labels, torch::tensor({int64_t{-1}, int64_t{0}})));
  EXPECT_TRUE(torch::equal(first.features[0][0], torch::tensor({{0.0f, 0.0f}, {3.5f, 4.5f}})));
  EXPECT_TRUE(torch::equal(first.present, torch::tensor({0, 1, 1, 0}, torch::kBool).view({2, 2})));
  EXPECT_TRUE(torch::equal(ConversationOf(*dataset, "1").present,
                           torch::tensor({1, 0}, torch::kBool).view({1, 2})));
  std::vector<std::string> warnings(WarningsOf(*dataset).begin(), WarningsOf(*dataset).end());
  EXPECT_THAT(warnings, testing::UnorderedElementsAre(
                            HasSubstr("text has no entry for 1 of 3 ids: 'dia0_utt0'"),
                            HasSubstr("audio has no entry for 1 of 3 ids: 'dia1_utt0'")));
}

TEST_F(UtterancesCsvTest, SentimentsAndClassNames) {
  options_.set_csv_labels(Options::SENTIMENT);
  EXPECT_THAT(MustCreate(options_)->info().class_names,
              ElementsAre("negative", "neutral", "positive"));
  options_.add_class_names("positive");
  options_.add_class_names("negative");
  EXPECT_THAT(ErrorOf(options_), HasSubstr("TRAIN.csv, line 2: has the label neutral, want one of "
                                           "positive, negative"));
}

TEST_F(UtterancesCsvTest, WhatIsWrong) {
  Options options = options_;
  options.mutable_modality_files(0)->set_split(Options::TRAIN);
  EXPECT_THAT(ErrorOf(options), HasSubstr("text has two files for the split train"));
  options.mutable_modality_files(0)->clear_split();
  options.mutable_modality_files()->DeleteSubrange(1, 1);
  EXPECT_THAT(
      ErrorOf(options),
      HasSubstr("text has one file for all splits, but they have the same ids for different "
                "conversations; give a file for each, with `split`"));
  options = options_;
  options.mutable_modality_files()->DeleteSubrange(1, 1);
  EXPECT_THAT(ErrorOf(options), HasSubstr("text has no file for the split train"));
  options.clear_modality_files();
  EXPECT_THAT(ErrorOf(options), HasSubstr("name their files in modality_files"));
  options.set_features_file("f.pkl");
  EXPECT_THAT(ErrorOf(options), HasSubstr("utterances_csv takes the place of features_file"));
  options = options_;
  options.mutable_utterances_csv(0)->set_split(Options::TRAIN);
  EXPECT_THAT(ErrorOf(options), HasSubstr("the train split has two files, "));
}

}  // namespace
}  // namespace cmerc
