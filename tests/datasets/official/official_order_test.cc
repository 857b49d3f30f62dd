// Which of two files each list and table is taken from. Every one that both files have is in
// another order in each, or has other content, and so a value from the wrong file is seen.
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"
#include "storage/pickle/writer.h"

namespace cmerc {
namespace {

using pickle::Writer;
using Ids = std::vector<int64_t>;
using Strings = std::vector<std::string>;

// The lists of MELD_features_raw1.pkl: training and validation conversations are mixed there.
const Ids kFeaturesTrain = {31, 12, 41, 22, 11, 32};
const Ids kFeaturesTest = {52, 71, 61, 51};
// The same conversations in the lists of meld_features_roberta.pkl.
const Ids kRobertaTrain = {11, 22, 31, 12};
const Ids kRobertaValid = {32, 41};
const Ids kRobertaTest = {61, 51, 52, 71};

Strings Names(const Ids& ids) {
  Strings names;
  for (const int64_t id : ids) names.push_back(absl::StrCat(id));
  return names;
}

void PutList(Writer& w, const Ids& ids) {
  w.EmptyList();
  w.Mark();
  for (const int64_t id : ids) w.Int(id);
  w.Appends();
}

// A dict with an entry for each of `ids`, in their order: a list of one utterance, what `put`
// writes.
void PutTable(Writer& w, const Ids& ids, const std::function<void(int64_t id)>& put) {
  w.EmptyDict();
  w.Mark();
  for (const int64_t id : ids) {
    w.Int(id);
    w.EmptyList();
    w.Mark();
    put(id);
    w.Appends();
  }
  w.SetItems();
}

void PutVector(Writer& w, const std::vector<double>& values) {
  w.EmptyList();
  w.Mark();
  for (const double value : values) w.Float(value);
  w.Appends();
}

// A row of nine with a one at `position`.
void PutOneHot(Writer& w, int64_t position) {
  std::vector<double> row(9, 0);
  row[position] = 1;
  PutVector(w, row);
}

// The layout of MELD_features_raw1.pkl; its tables begin with the test conversations.
std::string FeaturesBytes() {
  Ids ids = kFeaturesTest;
  ids.insert(ids.end(), kFeaturesTrain.begin(), kFeaturesTrain.end());
  Writer w;
  w.Mark();
  PutTable(w, ids, [&w](int64_t id) { w.Int(id); });
  PutTable(w, ids, [&w](int64_t id) { PutOneHot(w, id % 10); });
  PutTable(w, ids, [&w](int64_t id) { w.Int(id % 7); });
  PutTable(w, ids, [&w](int64_t id) { PutVector(w, {1.0 * id}); });  // text that is not taken
  PutTable(w, ids, [&w](int64_t id) { PutVector(w, {100.0 + id, 0, 1}); });
  PutTable(w, ids, [&w](int64_t id) { PutVector(w, {200.0 + id, 0, 1, 2}); });
  PutTable(w, ids, [&w](int64_t id) { w.String(absl::StrCat("features ", id)); });
  PutList(w, kFeaturesTrain);
  PutList(w, kFeaturesTest);
  w.None();
  w.TupleFromMark();
  return std::move(w).Finish();
}

// The layout of meld_features_roberta.pkl; speakers, labels and sentences are others.
std::string RobertaBytes() {
  Ids ids = kRobertaTrain;
  for (const Ids* more : {&kRobertaTest, &kRobertaValid}) {
    ids.insert(ids.end(), more->begin(), more->end());
  }
  Writer w;
  w.Mark();
  PutTable(w, ids, [&w](int64_t id) { PutOneHot(w, (id + 3) % 9); });
  PutTable(w, ids, [&w](int64_t id) { w.Int((id + 1) % 7); });
  PutTable(w, ids, [&w](int64_t id) { w.Int(id % 3); });  // sentiments
  for (int stream = 1; stream <= 4; ++stream) {
    PutTable(w, ids, [&w, stream](int64_t id) { PutVector(w, {1000.0 * stream + id, 0}); });
  }
  PutTable(w, ids, [&w](int64_t id) { w.String(absl::StrCat("roberta ", id)); });
  PutList(w, kRobertaTrain);
  PutList(w, kRobertaTest);
  PutList(w, kRobertaValid);
  w.TupleFromMark();
  return std::move(w).Finish();
}

std::string WriteFile(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

class OfficialOrderTest : public testing::Test {
 protected:
  // The data set of one or both files.
  static std::unique_ptr<Dataset> Load(bool features, bool roberta) {
    OfficialPicklesOptions options;
    options.set_layout(OfficialPicklesOptions::MELD);
    if (features) options.set_features_file(WriteFile("order_features.pkl", FeaturesBytes()));
    if (roberta) options.set_roberta_file(WriteFile("order_roberta.pkl", RobertaBytes()));
    google::protobuf::Any any;
    any.PackFrom(options);
    absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset.ok() ? *std::move(dataset) : nullptr;
  }
  static Strings IdsOf(const Dataset& dataset, Split split) {
    Strings ids;
    for (const int64_t index : dataset.split(split)) ids.push_back(dataset.Get(index)->id);
    return ids;
  }
};

// dataloader.py: self.keys = [x for x in (self.trainVid if train else self.testVid)], both of the
// features file; its own loader of validation conversations is empty.
TEST_F(OfficialOrderTest, TrainAndValidIsTheTrainingListOfTheFeaturesFile) {
  const auto dataset = Load(true, true);
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(IdsOf(*dataset, Split::kTrainAndValid), Names(kFeaturesTrain));
}

TEST_F(OfficialOrderTest, TestIsTheTestListOfTheFeaturesFile) {
  const auto dataset = Load(true, true);
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(IdsOf(*dataset, Split::kTest), Names(kFeaturesTest));
}

// Only the RoBERTa file tells the two apart.
TEST_F(OfficialOrderTest, TrainAndValidApartAreTheListsOfTheRobertaFile) {
  const auto dataset = Load(true, true);
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(IdsOf(*dataset, Split::kTrain), Names(kRobertaTrain));
  EXPECT_EQ(IdsOf(*dataset, Split::kValid), Names(kRobertaValid));
}

TEST_F(OfficialOrderTest, OneFileGivesItsOwnLists) {
  const auto features = Load(true, false);
  ASSERT_NE(features, nullptr);
  EXPECT_EQ(IdsOf(*features, Split::kTrainAndValid), Names(kFeaturesTrain));
  EXPECT_EQ(IdsOf(*features, Split::kTest), Names(kFeaturesTest));
  const auto roberta = Load(false, true);
  ASSERT_NE(roberta, nullptr);
  EXPECT_EQ(IdsOf(*roberta, Split::kTest), Names(kRobertaTest));
  Strings train_then_valid = Names(kRobertaTrain);
  for (const std::string& id : Names(kRobertaValid)) train_then_valid.push_back(id);
  EXPECT_EQ(IdsOf(*roberta, Split::kTrainAndValid), train_then_valid);
}

// Speakers, labels and sentences are those of the features file, text that of the RoBERTa file, and
// all of them of the conversation they are listed with.
TEST_F(OfficialOrderTest, EachTableIsOfTheFileThatTheOfficialCodeTakes) {
  const auto dataset = Load(true, true);
  ASSERT_NE(dataset, nullptr);
  ASSERT_EQ(dataset->size(), 10);
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const Conversation conversation = dataset->Get(i).value();
    SCOPED_TRACE(conversation.id);
    const int64_t id = std::stoll(conversation.id);
    EXPECT_EQ(conversation.speakers.item<int64_t>(), id % 10);
    EXPECT_EQ(conversation.labels.item<int64_t>(), id % 7);
    EXPECT_EQ(conversation.utterances, Strings({absl::StrCat("features ", id)}));
    ASSERT_EQ(conversation.features.size(), 3U);
    ASSERT_EQ(conversation.features[0].size(), 4U);
    for (int64_t stream = 0; stream < 4; ++stream) {
      EXPECT_EQ(conversation.features[0][stream][0][0].item<double>(), 1000 * (stream + 1) + id);
    }
    EXPECT_EQ(conversation.features[1][0][0][0].item<double>(), 100 + id);
    EXPECT_EQ(conversation.features[2][0][0][0].item<double>(), 200 + id);
  }
}

}  // namespace
}  // namespace cmerc
