#include "calibration/prepared_data.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/calibration/fake_dataset.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;

DataConfig Config(DataConfig::Protocol protocol, bool standardize = false) {
  DataConfig config;
  config.set_protocol(protocol);
  config.set_standardize(standardize);
  return config;
}

PreparedData Prepare(const Dataset& dataset, const DataConfig& config,
                     const CheckpointMetadata* trained = nullptr) {
  absl::StatusOr<PreparedData> data = PrepareData(dataset, config, trained);
  TORCH_CHECK(data.ok(), data.status().ToString());
  return *std::move(data);
}

// All of a stream's rows in the training split.
torch::Tensor TrainingRows(const PreparedData& data, size_t modality, size_t stream) {
  std::vector<torch::Tensor> rows;
  for (const int64_t i : data.train) {
    rows.push_back(data.conversations[i].features[modality][stream]);
  }
  return torch::cat(rows).to(torch::kFloat64);
}

std::vector<int64_t> CountLabels(const FakeDataset& dataset, const std::vector<int64_t>& indices) {
  std::vector<int64_t> counts(3);
  for (const int64_t i : indices) {
    for (int64_t u = 0; u < dataset.conversations[i].length(); ++u) {
      ++counts[dataset.conversations[i].labels[u].item<int64_t>()];
    }
  }
  return counts;
}

TEST(PreparedDataTest, HeldOutKeepsTheSplits) {
  const FakeDataset dataset;
  const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT));
  EXPECT_THAT(data.train, ElementsAre(0, 2));
  EXPECT_THAT(data.valid, ElementsAre(3));
  EXPECT_THAT(data.test, ElementsAre(1, 4));
  EXPECT_EQ(data.info.class_counts, CountLabels(dataset, {0, 2}));
  EXPECT_EQ(&data.split(Split::kTrain), &data.train);
  EXPECT_EQ(&data.split(Split::kValid), &data.valid);
  EXPECT_EQ(&data.split(Split::kTest), &data.test);
  EXPECT_FALSE(data.standardization.has_value());
  for (int64_t i = 0; i < dataset.size(); ++i) {
    EXPECT_TRUE(
        data.conversations[i].features[1][0].is_same(dataset.conversations[i].features[1][0]));
  }
}

TEST(PreparedDataTest, UtterancesWithoutALabelAreNotCounted) {
  FakeDataset dataset;
  std::vector<int64_t> counts = CountLabels(dataset, {0, 2});
  --counts[dataset.conversations[0].labels[1].item<int64_t>()];
  dataset.conversations[0].labels[1] = kUnlabelled;
  EXPECT_EQ(Prepare(dataset, Config(DataConfig::HELD_OUT)).info.class_counts, counts);
}

// Of the chosen modalities alone, whatever their place is.
TEST(PreparedDataTest, WhatIsMissingIsOfTheChosenModalities) {
  FakeDataset dataset;
  dataset.conversations[0].present =
      torch::tensor({1, 0, 1, 1, 1, 0, 1, 1}, torch::kBool).view({4, 2});
  dataset.conversations[2].present = torch::tensor({1, 0, 1, 0, 1, 0}, torch::kBool).view({3, 2});
  DataConfig config = Config(DataConfig::HELD_OUT);
  PreparedData data = Prepare(dataset, config);
  EXPECT_TRUE(data.conversations[0].present.equal(dataset.conversations[0].present));
  config.add_modalities("audio");
  data = Prepare(dataset, config);
  EXPECT_TRUE(
      data.conversations[0].present.equal(torch::tensor({0, 1, 0, 1}, torch::kBool).view({4, 1})));
  EXPECT_FALSE(data.conversations[3].present.defined());
  config.set_modalities(0, "text");
  EXPECT_FALSE(Prepare(dataset, config).conversations[0].present.defined());

  config.clear_modalities();
  dataset.conversations[0].present.select(1, 1).fill_(false);
  const absl::Status status = PrepareData(dataset, config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "no utterance of the training split has audio; leave it out: data { modalities: "
            "\"text\" }");
}

TEST(PreparedDataTest, BatchesAllowWhatTheContextSays) {
  const FakeDataset dataset;
  DataConfig config = Config(DataConfig::HELD_OUT);
  EXPECT_EQ(Prepare(dataset, config).info.context, ContextScope::kConversation);
  config.set_context(DataConfig::PAST);
  const PreparedData data = Prepare(dataset, config);
  EXPECT_EQ(data.info.context, ContextScope::kPast);
  const Batch batch = data.MakeBatch({data.train[0]}).value();
  EXPECT_EQ(batch.scope, ContextScope::kPast);
  const int64_t length = batch.max_length();
  EXPECT_TRUE(batch.context[0].equal(torch::ones({length, length}, torch::kBool).tril()));
}

TEST(PreparedDataTest, OfficialTrainsOnTrainAndValidInItsOrder) {
  const FakeDataset dataset;
  const PreparedData data = Prepare(dataset, Config(DataConfig::OFFICIAL));
  EXPECT_THAT(data.train, ElementsAre(3, 0, 2));
  EXPECT_TRUE(data.valid.empty());
  EXPECT_THAT(data.test, ElementsAre(1, 4));
  EXPECT_EQ(data.info.class_counts, CountLabels(dataset, {3, 0, 2}));
  EXPECT_NE(data.info.class_counts, CountLabels(dataset, {0, 2}));
}

// Conversations of one utterance with these ids; the last one is the test split.
class IdDataset final : public Dataset {
 public:
  IdDataset(std::vector<std::string> ids, bool numeric) : ids_(std::move(ids)), numeric_(numeric) {
    for (size_t i = 0; i + 2 < ids_.size(); ++i) train_.push_back(static_cast<int64_t>(i));
  }
  const DatasetInfo& info() const override { return info_; }
  int64_t size() const override { return static_cast<int64_t>(ids_.size()); }
  absl::StatusOr<Conversation> Get(int64_t index) const override {
    Conversation conversation = RandomConversation(ids_[index], 1);
    conversation.numeric_id = numeric_;
    return conversation;
  }
  absl::Span<const int64_t> split(Split split) const override {
    return split == Split::kTrain ? train_ : split == Split::kValid ? valid_ : test_;
  }

 private:
  const DatasetInfo info_ = StubInfo();
  const std::vector<std::string> ids_;
  const bool numeric_;
  std::vector<int64_t> train_;
  const std::vector<int64_t> valid_ = {size() - 2};
  const std::vector<int64_t> test_ = {size() - 1};
};

std::vector<std::string> IdsOf(const PreparedData& data, const std::vector<int64_t>& indices) {
  std::vector<std::string> ids;
  for (const int64_t i : indices) ids.push_back(data.conversations[i].id);
  return ids;
}

TEST(PreparedDataTest, FoldsAreRunsOfAscendingIds) {
  DataConfig config = Config(DataConfig::HELD_OUT);
  config.set_folds(2);
  const IdDataset names({"b1", "a2", "a10", "b0", "a1", "c"}, /*numeric=*/false);
  const PreparedData first = Prepare(names, config);
  EXPECT_THAT(IdsOf(first, first.valid), ElementsAre("a1", "a10"));
  EXPECT_THAT(IdsOf(first, first.train), ElementsAre("a2", "b0", "b1"));
  EXPECT_THAT(IdsOf(first, first.test), ElementsAre("c"));
  EXPECT_EQ(first.info.class_counts[0] + first.info.class_counts[1] + first.info.class_counts[2],
            3);
  config.set_fold(1);
  const PreparedData second = Prepare(names, config);
  EXPECT_THAT(IdsOf(second, second.valid), ElementsAre("a2", "b0", "b1"));
  EXPECT_THAT(IdsOf(second, second.train), ElementsAre("a1", "a10"));

  const PreparedData numbers =
      Prepare(IdDataset({"10", "9", "100", "2", "3"}, /*numeric=*/true), config);
  EXPECT_THAT(IdsOf(numbers, numbers.train), ElementsAre("2", "9"));
  EXPECT_THAT(IdsOf(numbers, numbers.valid), ElementsAre("10", "100"));
}

TEST(PreparedDataTest, TestFoldsTakeThePlaceOfAllSplits) {
  const FakeDataset dataset;
  DataConfig config = Config(DataConfig::HELD_OUT);
  config.set_test_folds(5);
  config.set_test_fold(4);
  const PreparedData data = Prepare(dataset, config);
  EXPECT_THAT(data.test, ElementsAre(4));
  EXPECT_THAT(data.valid, ElementsAre(0));
  EXPECT_THAT(data.train, ElementsAre(1, 2, 3));
  EXPECT_EQ(data.info.class_counts, CountLabels(dataset, {1, 2, 3}));
  EXPECT_EQ(ProtocolDescription(config),
            "HELD_OUT (the validation split selects the epoch; test fold 4 of 5)");
  config.set_folds(2);
  const PreparedData halved = Prepare(dataset, config);
  EXPECT_THAT(halved.test, ElementsAre(4));
  EXPECT_THAT(halved.valid, ElementsAre(0, 1));
  EXPECT_THAT(halved.train, ElementsAre(2, 3));
}

TEST(PreparedDataTest, UnscoredClassesAreClasses) {
  const FakeDataset dataset;
  const auto error = [&](const std::vector<std::string>& names) {
    DataConfig config = Config(DataConfig::HELD_OUT);
    for (const std::string& name : names) config.add_unscored_classes(name);
    return std::string(PrepareData(dataset, config).status().message());
  };
  const std::vector<std::string> names = StubInfo().class_names;
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(error({names[1], names[0]}), "");
  EXPECT_EQ(error({names[0], names[2] + "x"}),
            absl::StrCat("data.unscored_classes[1] = \"", names[2], "x\", must be one of: ",
                         absl::StrJoin(names, ", "), "; did you mean \"", names[2], "\"?"));
  EXPECT_THAT(error({names[0], names[0]}), HasSubstr("occurs twice; name each class once"));
  EXPECT_THAT(error(names), HasSubstr("names all 3 classes, which leaves none to score"));
}

TEST(PreparedDataTest, MoreFoldsThanConversations) {
  DataConfig config = Config(DataConfig::HELD_OUT);
  config.set_folds(4);
  const absl::Status status = PrepareData(FakeDataset(), config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "data.folds = 4, but train + valid has only 3 conversations; set at most so many");
}

TEST(PreparedDataTest, ChoosesModalitiesInTheDatasetsOrder) {
  const FakeDataset dataset;
  DataConfig config = Config(DataConfig::HELD_OUT);
  config.add_modalities("audio");
  const PreparedData audio = Prepare(dataset, config);
  ASSERT_EQ(audio.info.modalities.size(), 1U);
  EXPECT_EQ(audio.info.modalities[0].name, "audio");
  ASSERT_EQ(audio.conversations[0].features.size(), 1U);
  EXPECT_TRUE(audio.conversations[0].features[0][0].equal(dataset.conversations[0].features[1][0]));
  EXPECT_TRUE(ValidateBatch(audio.MakeBatch({0, 3}).value(), audio.info).ok());

  config.add_modalities("text");
  const PreparedData both = Prepare(dataset, config);
  ASSERT_EQ(both.info.modalities.size(), 2U);
  EXPECT_EQ(both.info.modalities[0].name, "text");
}

TEST(PreparedDataTest, AModalityThatTheDatasetDoesNotHave) {
  DataConfig config = Config(DataConfig::HELD_OUT);
  config.add_modalities("text");
  config.add_modalities("smell");
  const absl::Status status = PrepareData(FakeDataset(), config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "data.modalities[1] = \"smell\", must be one of: text, audio");
}

TEST(PreparedDataTest, StandardizesByTheTrainingSplit) {
  FakeDataset dataset;
  for (Conversation& conversation : dataset.conversations) {
    conversation.features[1][0] = conversation.features[1][0] * 1000 + 500;
  }
  for (const auto protocol : {DataConfig::HELD_OUT, DataConfig::OFFICIAL}) {
    const PreparedData data = Prepare(dataset, Config(protocol, true));
    for (const auto& [modality, stream] : {std::pair(0, 0), std::pair(0, 1), std::pair(1, 0)}) {
      const torch::Tensor rows = TrainingRows(data, modality, stream);
      // Float32 features: each is off by at most its rounding, 1e-7 of values up to 3; the mean is
      // rounded too, 500 * 6e-8 before it is divided by the deviation of about 1000.
      EXPECT_LE(rows.mean(0).abs().max().item<double>(), 1e-6);
      EXPECT_LE((rows.var(0, /*unbiased=*/false) - 1).abs().max().item<double>(), 2e-6);
    }
    // Other splits are shifted and scaled alike.
    const auto& stream = data.standardization->modalities(1).streams(0);
    const float x = dataset.conversations[4].features[1][0][0][2].item<float>();
    EXPECT_NEAR(data.conversations[4].features[1][0][0][2].item<float>(),
                (x - stream.mean(2)) / stream.deviation(2), 1e-6);
  }
  const PreparedData held_out = Prepare(dataset, Config(DataConfig::HELD_OUT, true));
  const PreparedData official = Prepare(dataset, Config(DataConfig::OFFICIAL, true));
  EXPECT_FALSE(MessageDifferencer::Equals(*held_out.standardization, *official.standardization));
}

TEST(PreparedDataTest, AConstantFeatureBecomesZeroAndKeepsItsScale) {
  FakeDataset dataset;
  for (size_t i = 0; i < dataset.conversations.size(); ++i) {
    torch::Tensor& audio = dataset.conversations[i].features[1][0];
    audio.select(1, 0).fill_(0.1F);
    audio.select(1, 1).fill_(0);
    // Constant in training, not in testing.
    audio.select(1, 2).fill_(i == 1 ? 1e6F + 2 : 1e6F);
  }
  const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT, true));
  EXPECT_TRUE(TrainingRows(data, 1, 0).equal(torch::zeros({7, 3}, torch::kFloat64)));
  EXPECT_THAT(data.standardization->modalities(1).streams(0).deviation(), ElementsAre(1, 1, 1));
  EXPECT_TRUE(data.conversations[1].features[1][0].select(1, 2).equal(torch::full({2}, 2.0F)));
}

TEST(PreparedDataTest, OneUtteranceToTrainOnKeepsItsScale) {
  FakeDataset dataset;
  dataset.train = {4};
  dataset.test = {1};
  const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT, true));
  EXPECT_TRUE(TrainingRows(data, 1, 0).equal(torch::zeros({1, 3}, torch::kFloat64)));
  EXPECT_THAT(data.standardization->modalities(1).streams(0).deviation(), ElementsAre(1, 1, 1));
}

// Their squares are beyond float32.
TEST(PreparedDataTest, HugeFeaturesAreStandardizedAsOthersAre) {
  FakeDataset dataset;
  const PreparedData small = Prepare(dataset, Config(DataConfig::HELD_OUT, true));
  for (Conversation& conversation : dataset.conversations) {
    conversation.features[1][0] = conversation.features[1][0] * 1e30;
  }
  const PreparedData huge = Prepare(dataset, Config(DataConfig::HELD_OUT, true));
  // A few roundings of float32 of numbers of order 1.
  EXPECT_TRUE(torch::allclose(TrainingRows(huge, 1, 0), TrainingRows(small, 1, 0), 0, 1e-5));
}

TEST(PreparedDataTest, StreamsThatAreOneTensorStayOne) {
  FakeDataset dataset;
  for (Conversation& conversation : dataset.conversations) {
    conversation.features[0][1] = conversation.features[0][0];
  }
  const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT, true));
  for (const Conversation& conversation : data.conversations) {
    EXPECT_TRUE(conversation.features[0][1].is_same(conversation.features[0][0]));
  }
  // One conversation alone does not make the streams one.
  FakeDataset mixed;
  mixed.conversations[0].features[0][1] = mixed.conversations[0].features[0][0];
  const PreparedData apart = Prepare(mixed, Config(DataConfig::HELD_OUT, true));
  EXPECT_LE(TrainingRows(apart, 0, 1).mean(0).abs().max().item<double>(), 1e-6);
}

TEST(PreparedDataTest, AGivenStandardizationIsUsedWhateverTheConfigSays) {
  const FakeDataset dataset;
  Standardization given;
  for (const auto& modality : StubInfo().modalities) {
    auto* entry = given.add_modalities();
    for (int64_t s = 0; s < modality.num_streams; ++s) {
      auto* stream = entry->add_streams();
      for (int64_t d = 0; d < modality.width; ++d) {
        stream->add_mean(2);
        stream->add_deviation(4);
      }
    }
  }
  CheckpointMetadata trained;
  *trained.mutable_standardization() = given;
  for (const bool standardize : {false, true}) {
    const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT, standardize), &trained);
    EXPECT_TRUE(data.conversations[3].features[0][1].equal(
        (dataset.conversations[3].features[0][1] - 2) / 4));
    EXPECT_TRUE(MessageDifferencer::Equals(*data.standardization, given));
  }

  const auto problem = [&](const Standardization& standardization) {
    *trained.mutable_standardization() = standardization;
    const absl::Status status =
        PrepareData(dataset, Config(DataConfig::HELD_OUT), &trained).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  Standardization narrow = given;
  narrow.mutable_modalities(1)->mutable_streams(0)->mutable_mean()->RemoveLast();
  Standardization fewer = given;
  fewer.mutable_modalities()->RemoveLast();
  Standardization streams = given;
  streams.mutable_modalities(0)->mutable_streams()->RemoveLast();
  Standardization zero = given;
  zero.mutable_modalities(0)->mutable_streams(0)->set_deviation(1, 0);
  Standardization not_a_number = given;
  not_a_number.mutable_modalities(0)->mutable_streams(0)->set_mean(1, NAN);
  for (const Standardization& bad : {narrow, fewer, streams, zero, not_a_number}) {
    EXPECT_THAT(problem(bad), HasSubstr("does not fit this dataset"));
  }
}

TEST(PreparedDataTest, EmptySplits) {
  const auto problem = [](const FakeDataset& dataset, DataConfig::Protocol protocol) {
    const absl::Status status = PrepareData(dataset, Config(protocol)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  FakeDataset no_train;
  no_train.train = {};
  EXPECT_THAT(problem(no_train, DataConfig::HELD_OUT), HasSubstr("training split"));
  FakeDataset no_test;
  no_test.test = {};
  EXPECT_THAT(problem(no_test, DataConfig::OFFICIAL),
              testing::AllOf(HasSubstr("test split"), HasSubstr("protocol: HELD_OUT")));
  const auto without_test = PrepareData(no_test, Config(DataConfig::HELD_OUT));
  ASSERT_TRUE(without_test.ok()) << without_test.status();
  EXPECT_TRUE(without_test->test.empty());
  EXPECT_FALSE(without_test->valid.empty());
  FakeDataset no_valid;
  no_valid.valid = {};
  EXPECT_THAT(problem(no_valid, DataConfig::HELD_OUT),
              testing::AllOf(HasSubstr("validation split"), HasSubstr("data { folds: 4 }"),
                             testing::Not(HasSubstr("OFFICIAL"))));
  EXPECT_TRUE(PrepareData(no_valid, Config(DataConfig::OFFICIAL)).ok());
}

TEST(PreparedDataTest, AConversationThatCannotBeRead) {
  FakeDataset dataset;
  dataset.unreadable = 3;
  EXPECT_EQ(PrepareData(dataset, Config(DataConfig::HELD_OUT)).status(),
            absl::DataLossError("cannot read this one"));
}

TEST(PreparedDataTest, TheDescriptionOfADatasetIsAllOfIt) {
  DatasetInfo info = StubInfo();
  info.class_counts = {5, 0, 7};
  info.speaker_names = {"Anna", "Bob"};
  const DatasetInfo back = InfoFromDescription(Describe(info));
  EXPECT_TRUE(MessageDifferencer::Equals(Describe(back), Describe(info)));
  EXPECT_EQ(back.name, "stub");
  ASSERT_EQ(back.modalities.size(), 2U);
  EXPECT_EQ(back.modalities[0].name, "text");
  EXPECT_EQ(back.modalities[0].width, 3);
  EXPECT_EQ(back.modalities[0].num_streams, 2);
  EXPECT_EQ(back.class_names, info.class_names);
  EXPECT_EQ(back.num_speakers, 2);
  EXPECT_EQ(back.class_counts, info.class_counts);
  EXPECT_EQ(back.speaker_names, info.speaker_names);
}

}  // namespace
}  // namespace cmerc
