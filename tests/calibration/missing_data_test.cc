// PrepareData() of conversations that lack modalities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibration/prepared_data.h"
#include "tests/calibration/fake_dataset.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

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

// `dataset` where utterance `row` of conversation `index` lacks audio.
void TakeAudio(FakeDataset& dataset, size_t index, int64_t row) {
  Conversation& conversation = dataset.conversations[index];
  if (!conversation.present.defined()) {
    conversation.present = torch::ones({conversation.length(), 2}, torch::kBool);
  }
  conversation.present[row][1] = false;
  conversation.features[1][0] = conversation.features[1][0].clone();
  conversation.features[1][0][row] = 0;
}

TEST(MissingDataTest, WhatIsMissingIsFilledInAndNotMeasured) {
  FakeDataset dataset;
  TakeAudio(dataset, 0, 1);
  TakeAudio(dataset, 0, 3);
  TakeAudio(dataset, 4, 0);  // all that this one has
  const torch::Tensor audio =
      torch::cat({dataset.conversations[0].features[1][0].index_select(0, torch::tensor({0, 2})),
                  dataset.conversations[2].features[1][0]});
  for (const bool standardize : {false, true}) {
    const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT, standardize));
    const torch::Tensor& filled = data.conversations[0].features[1][0];
    EXPECT_TRUE(torch::allclose(filled[1], (filled[0] + filled[2]) / 2, 0, 1e-6));
    EXPECT_TRUE(filled[3].equal(filled[1]));
    EXPECT_TRUE(data.conversations[4].features[1][0][0].equal(data.means[1][0]));
    EXPECT_TRUE(torch::allclose(data.means[1][0], standardize ? torch::zeros({3}) : audio.mean(0),
                                0, 1e-6));
    EXPECT_TRUE(data.conversations[0].present.equal(dataset.conversations[0].present));
    EXPECT_EQ(data.standardization.has_value(), standardize);
    if (standardize) {
      for (int d = 0; d < 3; ++d) {
        EXPECT_NEAR(data.standardization->modalities(1).streams(0).mean(d),
                    audio.mean(0)[d].item<double>(), 1e-6);
      }
    }
    // Nothing else is touched.
    EXPECT_FALSE(data.conversations[1].present.defined());
  }
}

TEST(MissingDataTest, WhatStandsForMissingFeaturesIsTheTrainedModels) {
  FakeDataset dataset;
  TakeAudio(dataset, 4, 0);
  CheckpointMetadata trained;
  *trained.mutable_training_means() = Describe(ZeroMeans(StubInfo()));
  trained.mutable_training_means()->mutable_modalities(1)->mutable_streams(0)->set_mean(2, 7);
  const PreparedData data = Prepare(dataset, Config(DataConfig::HELD_OUT), &trained);
  EXPECT_TRUE(data.conversations[4].features[1][0][0].equal(torch::tensor({0.0F, 0.0F, 7.0F})));
  EXPECT_FALSE(data.standardization.has_value());
  trained.mutable_training_means()->mutable_modalities()->RemoveLast();
  EXPECT_THAT(
      std::string(PrepareData(dataset, Config(DataConfig::HELD_OUT), &trained).status().message()),
      HasSubstr("do not fit this dataset"));
}

TEST(MissingDataTest, WhatIsMissingFollowsTheChosenModalities) {
  FakeDataset dataset;
  TakeAudio(dataset, 2, 1);
  DataConfig config = Config(DataConfig::HELD_OUT, true);
  config.add_modalities("audio");
  const PreparedData data = Prepare(dataset, config);
  EXPECT_EQ(data.conversations[2].present.sizes(), torch::IntArrayRef({3, 1}));
  EXPECT_FALSE(data.conversations[2].present[1][0].item<bool>());
  const Batch batch = data.MakeBatch({2}).value();
  EXPECT_FALSE(batch.evidence[0][1][0].item<bool>());
  EXPECT_TRUE(batch.evidence[0][2][0].item<bool>());
}

TEST(MissingDataTest, AModalityThatNobodyHasCannotBeTrainedOn) {
  FakeDataset dataset;
  for (const size_t index : {0U, 2U}) {
    for (int64_t row = 0; row < dataset.conversations[index].length(); ++row) {
      TakeAudio(dataset, index, row);
    }
  }
  for (const bool standardize : {false, true}) {
    const absl::Status status =
        PrepareData(dataset, Config(DataConfig::HELD_OUT, standardize)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("no utterance of the training split has audio; leave it out"));
  }
}

}  // namespace
}  // namespace cmerc
