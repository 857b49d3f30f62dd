#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/batch.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"
#include "torch/types.h"

namespace cmerc {
namespace {

using Options = OfficialPicklesOptions;

// What tests/datasets/data/generate.py writes.
constexpr int64_t kLengths[] = {3, 2, 1, 4};
const std::vector<std::string> kTexts = {"Ses0", "Ses1", "Ses2", "Ses3"};
const std::vector<std::string> kNumbers = {"10", "2", "33", "4"};

std::string Data(const std::string& name) { return "tests/datasets/data/" + name; }

absl::StatusOr<std::unique_ptr<Dataset>> Create(const Options& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

std::unique_ptr<Dataset> MustCreate(const std::string& features, const std::string& roberta,
                                    Options options = {}) {
  if (!features.empty()) options.set_features_file(Data(features));
  if (!roberta.empty()) options.set_roberta_file(Data(roberta));
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = Create(options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

std::vector<std::string> IdsOf(const Dataset& dataset, Split split) {
  std::vector<std::string> ids;
  for (const int64_t index : dataset.split(split)) ids.push_back(dataset.Get(index)->id);
  return ids;
}

// The conversation `c` of the generator, by its id.
Conversation Find(const Dataset& dataset, const std::string& id) {
  for (int64_t i = 0; i < dataset.size(); ++i) {
    if (dataset.Get(i)->id == id) return dataset.Get(i).value();
  }
  ADD_FAILURE() << "no conversation " << id;
  return {};
}

// Modality number `modality` of the generator for conversation `c`.
torch::Tensor Expected(int64_t modality, int64_t c, int64_t width) {
  return 10000 * modality + 1000 * c + 100 * torch::arange(kLengths[c]).unsqueeze(1) +
         torch::arange(width, torch::kFloat32).unsqueeze(0);
}

std::vector<int64_t> ToVector(const torch::Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), tensor.data_ptr<int64_t>() + tensor.numel()};
}

// Every file holds four conversations that are alike: features bit for bit, labels, sentences.
void ExpectContent(const Dataset& dataset, const std::vector<std::string>& ids, bool numeric,
                   const std::vector<std::vector<int64_t>>& modalities, int64_t num_classes) {
  const std::vector<int64_t> widths = {0, 5, 5, 5, 5, 3, 2};
  int64_t count = 0;
  std::vector<Conversation> all;
  for (int64_t c = 0; c < 4; ++c) {
    SCOPED_TRACE(ids[c]);
    const Conversation conversation = Find(dataset, ids[c]);
    all.push_back(conversation);
    EXPECT_EQ(conversation.numeric_id, numeric);
    ASSERT_EQ(conversation.features.size(), modalities.size());
    for (size_t m = 0; m < modalities.size(); ++m) {
      ASSERT_EQ(conversation.features[m].size(), modalities[m].size());
      for (size_t s = 0; s < modalities[m].size(); ++s) {
        const int64_t modality = modalities[m][s];
        const int64_t width = dataset.info().modalities[m].width;
        EXPECT_EQ(width, widths[modality]);
        EXPECT_TRUE(torch::equal(conversation.features[m][s], Expected(modality, c, width)))
            << "modality " << m << ", stream " << s;
      }
    }
    std::vector<int64_t> labels;
    for (int64_t u = 0; u < kLengths[c]; ++u) labels.push_back(count++ % num_classes);
    EXPECT_EQ(ToVector(conversation.labels), labels);
    ASSERT_EQ(conversation.utterances.size(), static_cast<size_t>(kLengths[c]));
    EXPECT_EQ(conversation.utterances[0], "caf\xc3\xa9 " + std::to_string(c) + " 0");
  }
  const absl::Status status = ValidateBatch(MakeBatch(all, dataset.info()), dataset.info());
  EXPECT_TRUE(status.ok()) << status;
}

using Strings = std::vector<std::string>;

TEST(OfficialPicklesTest, Iemocap) {
  const auto dataset = MustCreate("iemocap_features.pkl", "iemocap_roberta.pkl");
  ExpectContent(*dataset, kTexts, false, {{1, 1, 1, 1}, {5}, {6}}, 6);
  const DatasetInfo& info = dataset->info();
  EXPECT_EQ(info.name, "IEMOCAP features");
  EXPECT_EQ(info.modalities[0].name, "text");
  EXPECT_EQ(info.modalities[0].num_streams, 4);
  EXPECT_EQ(info.modalities[1].name, "audio");
  EXPECT_EQ(info.modalities[2].name, "visual");
  EXPECT_EQ(info.class_names, Strings({"hap", "sad", "neu", "ang", "exc", "fru"}));
  EXPECT_EQ(info.class_counts, std::vector<int64_t>({1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(info.num_speakers, 2);
  EXPECT_EQ(info.speaker_names, Strings({"M", "F"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kTrain), Strings({"Ses0", "Ses1"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kValid), Strings({"Ses2"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kTest), Strings({"Ses3"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kTrainAndValid), Strings({"Ses2", "Ses1", "Ses0"}));
  // F is 1, M is 0.
  EXPECT_EQ(ToVector(Find(*dataset, "Ses0").speakers), std::vector<int64_t>({1, 0, 1}));
}

TEST(OfficialPicklesTest, StreamsThatAreOneObjectAreOneTensor) {
  const auto shared = MustCreate("", "iemocap_roberta.pkl");
  const auto distinct = MustCreate("", "meld_roberta.pkl");
  for (size_t s = 1; s < 4; ++s) {
    EXPECT_TRUE(shared->Get(0)->features[0][s].is_same(shared->Get(0)->features[0][0]));
    EXPECT_FALSE(distinct->Get(0)->features[0][s].is_same(distinct->Get(0)->features[0][0]));
  }
}

TEST(OfficialPicklesTest, AsManyTextStreamsAsAskedFor) {
  Options options;
  options.set_text_streams(2);
  const auto both = MustCreate("meld_features.pkl", "meld_roberta.pkl", options);
  ASSERT_NE(both, nullptr);
  EXPECT_EQ(both->info().modalities[0].num_streams, 2);
  const Conversation two = Find(*both, "33");
  const Conversation all = Find(*MustCreate("meld_features.pkl", "meld_roberta.pkl"), "33");
  ASSERT_EQ(two.features[0].size(), 2U);
  for (const size_t s : {0, 1}) EXPECT_TRUE(two.features[0][s].equal(all.features[0][s]));
  EXPECT_FALSE(two.features[0][0].equal(two.features[0][1]));
  // A file with one stream has no more to give.
  EXPECT_EQ(MustCreate("iemocap_features.pkl", "", options)->info().modalities[0].num_streams, 1);
}

TEST(OfficialPicklesTest, Meld) {
  const auto dataset = MustCreate("meld_features.pkl", "meld_roberta.pkl");
  ExpectContent(*dataset, kNumbers, true, {{1, 2, 3, 4}, {5}, {6}}, 7);
  const DatasetInfo& info = dataset->info();
  EXPECT_EQ(info.class_names,
            Strings({"neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"}));
  EXPECT_EQ(info.num_speakers, 9);
  EXPECT_EQ(info.speaker_names, Strings({"0", "1", "2", "3", "4", "5", "6", "7", "8"}));
  // A set of numbers is sorted as numbers.
  EXPECT_EQ(IdsOf(*dataset, Split::kTrain), Strings({"2", "10"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kTrainAndValid), Strings({"10", "2", "33"}));
  EXPECT_EQ(ToVector(Find(*dataset, "4").speakers), std::vector<int64_t>({3, 4, 5, 6}));
}

TEST(OfficialPicklesTest, EmoryNlp) {
  const auto dataset = MustCreate("", "emorynlp_roberta.pkl");
  ExpectContent(*dataset, kTexts, false, {{1, 2, 3, 4}}, 7);
  EXPECT_EQ(dataset->info().class_names[0], "joyful");
  EXPECT_EQ(dataset->info().num_speakers, 9);
  EXPECT_EQ(IdsOf(*dataset, Split::kTrain), Strings({"Ses0", "Ses1"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kTrainAndValid), Strings({"Ses0", "Ses1", "Ses2"}));
  EXPECT_EQ(IdsOf(*dataset, Split::kTest), Strings({"Ses3"}));
}

TEST(OfficialPicklesTest, DailyDialog) {
  const auto dataset = MustCreate("", "dailydialog_roberta.pkl");
  ExpectContent(*dataset, kNumbers, true, {{1, 2, 3, 4}}, 7);
  EXPECT_EQ(dataset->info().class_names[0], "happiness");
  EXPECT_EQ(dataset->info().num_speakers, 2);
  EXPECT_EQ(IdsOf(*dataset, Split::kTrain), Strings({"2", "10"}));
  EXPECT_EQ(ToVector(Find(*dataset, "10").speakers), std::vector<int64_t>({0, 1, 0}));
}

TEST(OfficialPicklesTest, Sdt) {
  const auto iemocap = MustCreate("sdt_iemocap.pkl", "");
  ExpectContent(*iemocap, kTexts, false, {{1, 2, 3, 4}, {5}, {6}}, 6);
  EXPECT_EQ(iemocap->info().class_names[3], "ang");
  const auto meld = MustCreate("sdt_meld.pkl", "");
  ExpectContent(*meld, kNumbers, true, {{1, 2, 3, 4}, {5}, {6}}, 7);
  EXPECT_EQ(meld->info().class_names[4], "joy");
}

TEST(OfficialPicklesTest, LayoutCanBeSet) {
  Options options;
  options.set_layout(Options::DAILYDIALOG);
  const auto dataset = MustCreate("", "emorynlp_roberta.pkl", options);
  EXPECT_EQ(dataset->info().class_names[1], "neutral");
  options.set_layout(Options::MELD);
  EXPECT_EQ(MustCreate("meld_features.pkl", "meld_roberta.pkl", options)->size(), 4);
  options.set_layout(Options::IEMOCAP);
  EXPECT_EQ(MustCreate("iemocap_features.pkl", "iemocap_roberta.pkl", options)->size(), 4);
}

TEST(OfficialPicklesTest, ClassNamesCanBeSet) {
  Options options;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "never seen"}) {
    options.add_class_names(name);
  }
  const auto dataset = MustCreate("", "iemocap_roberta.pkl", options);
  EXPECT_EQ(dataset->info().num_classes(), 7);
  EXPECT_EQ(dataset->info().class_names[6], "never seen");
  EXPECT_EQ(dataset->info().class_counts.back(), 0);
}

TEST(OfficialPicklesTest, FeaturesFileAloneGivesItsOwnText) {
  const auto dataset = MustCreate("iemocap_features.pkl", "");
  const DatasetInfo& info = dataset->info();
  EXPECT_EQ(info.modalities[0].num_streams, 1);
  EXPECT_EQ(info.modalities[0].width, 4);
  EXPECT_TRUE(torch::equal(Find(*dataset, "Ses3").features[0][0], Expected(1, 3, 4)));
}

TEST(OfficialPicklesTest, ValidationIsHeldOutWhereNoFileNamesIt) {
  Options options;
  const auto none = MustCreate("sdt_iemocap.pkl", "", options);  // 10 % of 3 conversations
  EXPECT_TRUE(none->split(Split::kValid).empty());
  EXPECT_EQ(IdsOf(*none, Split::kTrain), Strings({"Ses0", "Ses1", "Ses2"}));

  options.set_valid_fraction(0.4);
  std::set<Strings> drawn;
  for (int seed = 0; seed < 20; ++seed) {
    options.set_valid_seed(seed);
    const auto dataset = MustCreate("sdt_iemocap.pkl", "", options);
    EXPECT_EQ(dataset->split(Split::kValid).size(), 1u);
    EXPECT_EQ(dataset->split(Split::kTrain).size(), 2u);
    EXPECT_EQ(IdsOf(*dataset, Split::kTrainAndValid), Strings({"Ses0", "Ses1", "Ses2"}));
    EXPECT_EQ(IdsOf(*dataset, Split::kValid),
              IdsOf(*MustCreate("sdt_iemocap.pkl", "", options), Split::kValid));
    drawn.insert(IdsOf(*dataset, Split::kValid));
  }
  EXPECT_EQ(drawn.size(), 3u);  // missing one of three in 20 draws: probability 0.001; pinned seeds

  options.set_valid_fraction(0.99);
  EXPECT_EQ(MustCreate("sdt_iemocap.pkl", "", options)->split(Split::kTrain).size(), 1u);
}

// The corpora are not part of the project: --test_env=CMERC_DATA_DIR=/abs/dir names their folder.
struct Corpus {
  const char* features;
  const char* roberta;
  size_t train, valid, test;
  int64_t utterances, classes, speakers;
  bool numeric;
};

class CorpusTest : public testing::TestWithParam<Corpus> {};

TEST_P(CorpusTest, HasThePublishedNumbers) {
  const char* dir = std::getenv("CMERC_DATA_DIR");
  if (dir == nullptr) {
    GTEST_SKIP() << "CMERC_DATA_DIR is not set: no folder with " << GetParam().features;
  }
  const Corpus& corpus = GetParam();
  Options options;
  options.set_features_file(std::string(dir) + "/" + corpus.features);
  options.set_roberta_file(std::string(dir) + "/" + corpus.roberta);
  const auto created = Create(options);
  ASSERT_TRUE(created.ok()) << created.status();
  const Dataset& dataset = **created;
  const DatasetInfo& info = dataset.info();
  EXPECT_EQ(dataset.split(Split::kTrain).size(), corpus.train);
  EXPECT_EQ(dataset.split(Split::kValid).size(), corpus.valid);
  EXPECT_EQ(dataset.split(Split::kTest).size(), corpus.test);
  EXPECT_EQ(dataset.split(Split::kTrainAndValid).size(), corpus.train + corpus.valid);
  EXPECT_EQ(info.num_classes(), corpus.classes);
  EXPECT_EQ(info.num_speakers, corpus.speakers);
  ASSERT_EQ(info.modalities.size(), 3u);
  EXPECT_EQ(info.modalities[0].width, 1024);
  EXPECT_EQ(info.modalities[0].num_streams, 4);
  EXPECT_EQ(info.modalities[1].width, 12);
  EXPECT_EQ(info.modalities[2].width, 16);
  EXPECT_NE(info.class_names[0], "class_0");
  int64_t utterances = 0;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Conversation conversation = dataset.Get(i).value();
    utterances += conversation.length();
    EXPECT_EQ(conversation.numeric_id, corpus.numeric);
    EXPECT_EQ(static_cast<int64_t>(conversation.utterances.size()), conversation.length());
    for (size_t s = 1; s < 4; ++s) {
      EXPECT_TRUE(conversation.features[0][s].is_same(conversation.features[0][0]));
    }
  }
  EXPECT_EQ(utterances, corpus.utterances);
}

INSTANTIATE_TEST_SUITE_P(Lite, CorpusTest,
                         testing::Values(Corpus{"iemocap-lite/IEMOCAP_features.pkl",
                                                "iemocap-lite/iemocap_features_roberta.pkl", 108,
                                                12, 31, 7433, 6, 2, false},
                                         Corpus{"meld-lite/MELD_features_raw1.pkl",
                                                "meld-lite/meld_features_roberta.pkl", 1038, 114,
                                                280, 13708, 7, 9, true}),
                         [](const auto& info) { return info.index == 0 ? "Iemocap" : "Meld"; });

}  // namespace
}  // namespace cmerc
