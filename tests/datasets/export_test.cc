// Every data set can be written in our formats and read back, bit for bit.
#include "datasets/export.h"

#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/records.pb.h"
#include "datasets/synthetic.pb.h"
#include "storage/archive.h"
#include "torch/types.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Write = absl::Status (*)(const Dataset&, const ByteSink&, OnConversation);

std::unique_ptr<Dataset> Create(const google::protobuf::Message& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

std::string BytesOf(const Dataset& dataset, Write write) {
  std::string bytes;
  int64_t last = 0;
  const absl::Status status = write(
      dataset,
      [&](absl::string_view piece) {
        absl::StrAppend(&bytes, piece);
        return absl::OkStatus();
      },
      [&](int64_t done) { EXPECT_EQ(done, ++last); });
  EXPECT_TRUE(status.ok()) << status;
  return bytes;
}

// Writes `dataset` and reads the file; with its class names where the format does not order them.
std::unique_ptr<Dataset> RoundTrip(const Dataset& dataset, Write write) {
  const std::string path = testing::TempDir() + "/round_trip";
  std::ofstream(path, std::ios::binary) << BytesOf(dataset, write);
  RecordsOptions options;
  options.set_file(path);
  if (write == &WriteJsonLines) {
    for (const std::string& name : dataset.info().class_names) options.add_class_names(name);
  }
  return Create(options);
}

void ExpectSameBits(const torch::Tensor& a, const torch::Tensor& b) {
  ASSERT_EQ(a.sizes(), b.sizes());
  ASSERT_EQ(a.scalar_type(), b.scalar_type());
  const torch::Tensor left = a.contiguous();
  const torch::Tensor right = b.contiguous();
  EXPECT_EQ(std::memcmp(left.data_ptr(), right.data_ptr(), left.nbytes()), 0);
}

// `sentences`: whether the format of `b` has them.
void ExpectSame(const Dataset& a, const Dataset& b, bool sentences = true) {
  ASSERT_EQ(a.size(), b.size());
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTrainAndValid, Split::kTest}) {
    EXPECT_EQ(a.split(split), b.split(split));
  }
  EXPECT_EQ(a.info().class_names, b.info().class_names);
  EXPECT_EQ(a.info().class_counts, b.info().class_counts);
  EXPECT_EQ(a.info().num_speakers, b.info().num_speakers);
  ASSERT_EQ(a.info().modalities.size(), b.info().modalities.size());
  for (size_t m = 0; m < a.info().modalities.size(); ++m) {
    EXPECT_EQ(a.info().modalities[m].name, b.info().modalities[m].name);
    EXPECT_EQ(a.info().modalities[m].width, b.info().modalities[m].width);
    EXPECT_EQ(a.info().modalities[m].num_streams, b.info().modalities[m].num_streams);
  }
  for (int64_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(absl::StrCat("conversation ", i));
    const Conversation left = a.Get(i).value();
    const Conversation right = b.Get(i).value();
    EXPECT_EQ(left.id, right.id);
    EXPECT_EQ(left.numeric_id, right.numeric_id);
    EXPECT_EQ(left.utterances, sentences ? right.utterances : left.utterances);
    ExpectSameBits(left.labels, right.labels);
    ExpectSameBits(left.speakers, right.speakers);
    ASSERT_EQ(left.present.defined(), right.present.defined());
    if (left.present.defined()) ExpectSameBits(left.present, right.present);
    for (size_t m = 0; m < left.features.size(); ++m) {
      for (size_t s = 0; s < left.features[m].size(); ++s) {
        ExpectSameBits(left.features[m][s], right.features[m][s]);
        if (s == 0 || !left.features[m][s].is_same(left.features[m][s - 1])) continue;
        EXPECT_TRUE(right.features[m][s].is_same(right.features[m][s - 1]));
      }
    }
  }
}

OfficialPicklesOptions Pickles(const std::string& features, const std::string& roberta) {
  OfficialPicklesOptions options;
  if (!features.empty()) options.set_features_file("tests/datasets/data/" + features);
  if (!roberta.empty()) options.set_roberta_file("tests/datasets/data/" + roberta);
  return options;
}

TEST(ExportTest, RoundTrips) {
  SyntheticOptions synthetic;
  synthetic.set_train_conversations(3);
  synthetic.set_num_speakers(2);
  auto* gaze = synthetic.add_modalities();
  gaze->set_name("gaze");
  gaze->set_width(3);
  gaze->set_streams(2);
  std::vector<std::unique_ptr<Dataset>> datasets;
  datasets.push_back(Create(synthetic));
  datasets.push_back(Create(Pickles("iemocap_features.pkl", "iemocap_roberta.pkl")));
  datasets.push_back(Create(Pickles("meld_features.pkl", "meld_roberta.pkl")));
  datasets.push_back(Create(Pickles("", "dailydialog_roberta.pkl")));
  datasets.push_back(Create(Pickles("sdt_meld.pkl", "")));
  for (const std::unique_ptr<Dataset>& dataset : datasets) {
    SCOPED_TRACE(dataset->info().name);
    const std::unique_ptr<Dataset> records = RoundTrip(*dataset, &WriteRecords);
    ExpectSame(*records, *dataset);
    EXPECT_EQ(records->info().name, dataset->info().name);
    ExpectSame(*RoundTrip(*records, &WriteRecords), *dataset);
    EXPECT_EQ(BytesOf(*records, &WriteRecords), BytesOf(*dataset, &WriteRecords));
    const std::unique_ptr<Dataset> npz = RoundTrip(*dataset, &WriteNpz);
    ExpectSame(*dataset, *npz, /*sentences=*/false);
    EXPECT_EQ(npz->info().speaker_names, records->info().speaker_names);
    EXPECT_EQ(BytesOf(*npz, &WriteNpz), BytesOf(*dataset, &WriteNpz));
  }
  // Every one of its speakers speaks.
  ExpectSame(*RoundTrip(*datasets[0], &WriteJsonLines), *datasets[0]);
}

TEST(ExportTest, KeepsNamesOfSpeakers) {
  const auto dataset = Create(Pickles("iemocap_features.pkl", "iemocap_roberta.pkl"));
  EXPECT_THAT(dataset->info().speaker_names, ElementsAre("M", "F"));
  EXPECT_THAT(RoundTrip(*dataset, &WriteRecords)->info().speaker_names, ElementsAre("M", "F"));
}

TEST(ExportTest, RecordOfAConversation) {
  const auto dataset = Create(Pickles("meld_features.pkl", "meld_roberta.pkl"));
  const Conversation conversation = dataset->Get(1).value();
  const ConversationRecord record = RecordOf(conversation, dataset->info());
  EXPECT_EQ(record.id(), conversation.id);
  EXPECT_TRUE(record.numeric_id());
  EXPECT_FALSE(record.has_split());
  ASSERT_EQ(record.utterances_size(), conversation.length());
  EXPECT_EQ(record.utterances(0).text(), conversation.utterances[0]);
  const int64_t label = conversation.labels[0].item<int64_t>();
  EXPECT_EQ(record.utterances(0).label(), dataset->info().class_names[label]);
  EXPECT_EQ(record.utterances(0).speaker(), absl::StrCat(conversation.speakers[0].item<int64_t>()));
}

std::string Array(const Archive& archive, const std::string& name) {
  return std::string(archive.Read(name + ".npy").value());
}

TEST(ExportTest, Npz) {
  RecordsOptions options;
  options.set_file("tests/datasets/data/conversations.jsonl");
  const auto dataset = Create(options);
  const absl::StatusOr<Archive> archive = Archive::Parse(BytesOf(*dataset, &WriteNpz));
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_THAT(Array(*archive, "text"),
              HasSubstr("'<f4', 'fortran_order': False, 'shape': (8, 3, 2)"));
  EXPECT_THAT(Array(*archive, "audio"),
              HasSubstr("'<f4', 'fortran_order': False, 'shape': (8, 1)"));
  for (const char* name : {"labels", "speakers"}) {
    EXPECT_THAT(Array(*archive, name), HasSubstr("'<i8', 'fortran_order': False, 'shape': (8,)"));
  }
  EXPECT_THAT(Array(*archive, "lengths"),
              HasSubstr("'<i8', 'fortran_order': False, 'shape': (4,)"));
  EXPECT_THAT(Array(*archive, "ids"), HasSubstr("'<U2', 'fortran_order': False, 'shape': (4,)"));
  EXPECT_THAT(Array(*archive, "split"), HasSubstr("'<U5', 'fortran_order': False, 'shape': (4,)"));
  EXPECT_THAT(Array(*archive, "class_names"), HasSubstr("'<U7'"));
  EXPECT_THAT(Array(*archive, "speaker_names"), HasSubstr("'<U3'"));
  // The three streams of the first utterance, then those of the second.
  const std::string text = Array(*archive, "text");
  std::vector<float> values(8);
  std::memcpy(values.data(), text.data() + 128, values.size() * sizeof(float));
  EXPECT_THAT(values, ElementsAre(0.5f, -1, 0.5f, -1, 0.25f, 2, 1, 0));
}

// JSON Lines -> .npz -> the same data set, but for the sentences; in the order of its files, as a
// record file has it.
TEST(ExportTest, JsonLinesToNpzAndBack) {
  RecordsOptions options;
  options.set_file("tests/datasets/data/conversations.jsonl");
  const auto lines = Create(options);
  const auto npz = RoundTrip(*lines, &WriteNpz);
  ExpectSame(*RoundTrip(*lines, &WriteRecords), *npz, /*sentences=*/false);
  EXPECT_EQ(npz->info().speaker_names, lines->info().speaker_names);
  EXPECT_TRUE(npz->Get(0)->utterances.empty());
}

// Utterances without a label, and ones that lack a modality, alone or with all of their
// conversation, stay so in every format.
TEST(ExportTest, WhatIsMissingStaysMissing) {
  DatasetInfo info;
  info.name = "gaps";
  info.modalities = {{"text", 2, 2}, {"audio", 1, 1}};
  info.class_names = {"a", "b"};
  info.num_speakers = 1;
  std::vector<Conversation> conversations;
  for (const char* id : {"c0", "c1", "c2"}) {
    Conversation conversation;
    conversation.id = id;
    const torch::Tensor text = torch::rand({3, 2});
    conversation.features = {{text, text}, {torch::rand({3, 1})}};
    conversation.speakers = torch::zeros({3}, torch::kInt64);
    conversation.labels = torch::tensor({int64_t{0}, int64_t{1}, int64_t{0}});
    conversations.push_back(conversation);
  }
  conversations[0].labels[1] = kUnlabelled;
  conversations[0].present = torch::tensor({1, 1, 0, 1, 1, 1}, torch::kBool).view({3, 2});
  conversations[0].features[0][0][1] = 0;
  conversations[1].labels.fill_(kUnlabelled);
  conversations[1].present = torch::tensor({1, 0, 1, 0, 1, 0}, torch::kBool).view({3, 2});
  conversations[1].features[1][0].zero_();
  InMemoryDataset::Splits splits;
  splits.train = splits.train_and_valid = {0, 1};
  splits.test = {2};
  const InMemoryDataset dataset(info, conversations, splits);
  EXPECT_THAT(dataset.info().class_counts, ElementsAre(2, 0));
  for (const Write write : {&WriteRecords, &WriteNpz, &WriteJsonLines}) {
    const auto again = RoundTrip(dataset, write);
    ExpectSame(dataset, *again);
    EXPECT_EQ(BytesOf(*again, write), BytesOf(dataset, write));
  }
  const absl::StatusOr<Archive> archive = Archive::Parse(BytesOf(dataset, &WriteNpz));
  ASSERT_TRUE(archive.ok()) << archive.status();
  const std::string present = Array(*archive, "present.text");
  std::vector<int64_t> values(9);
  std::memcpy(values.data(), present.data() + 128, values.size() * sizeof(int64_t));
  EXPECT_THAT(values, ElementsAre(1, 0, 1, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(BytesOf(dataset, &WriteJsonLines), HasSubstr("\"speaker\":\"0\",\"features\":"));
}

// A data set whose splits have orders of their own, and that has a conversation in none.
TEST(ExportTest, OrdersOfSplits) {
  DatasetInfo info;
  info.name = "odd";
  info.modalities = {{"text", 1, 1}};
  info.class_names = {"a", "b"};
  info.num_speakers = 3;
  std::vector<Conversation> conversations;
  for (const char* id : {"c0", "c1", "c2", "c3", "c4", "c5"}) {
    Conversation conversation;
    conversation.id = id;
    conversation.features = {{torch::ones({2, 1})}};
    conversation.speakers = torch::tensor({int64_t{0}, int64_t{1}});
    conversation.labels = torch::tensor({int64_t{0}, int64_t{1}});
    conversations.push_back(conversation);
  }
  InMemoryDataset::Splits splits;
  splits.train = {2, 0, 4};
  splits.valid = {5};
  splits.train_and_valid = {4, 5, 0, 2};
  splits.test = {3};
  const InMemoryDataset dataset(info, conversations, splits);
  for (const Write write : {&WriteRecords, &WriteNpz, &WriteJsonLines}) {
    const auto again = RoundTrip(dataset, write);
    const auto ids = [&](Split split) {
      std::vector<std::string> all;
      for (const int64_t index : again->split(split)) all.push_back(again->Get(index)->id);
      return all;
    };
    EXPECT_EQ(again->size(), 5);
    EXPECT_THAT(ids(Split::kTrain), ElementsAre("c2", "c0", "c4"));
    EXPECT_THAT(ids(Split::kValid), ElementsAre("c5"));
    EXPECT_THAT(ids(Split::kTrainAndValid), ElementsAre("c4", "c5", "c0", "c2"));
    EXPECT_THAT(ids(Split::kTest), ElementsAre("c3"));
    EXPECT_EQ(again->info().num_speakers, write == &WriteJsonLines ? 2 : 3) << "one never speaks";
  }
}

}  // namespace
}  // namespace cmerc
