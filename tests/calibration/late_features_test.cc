// Data whose features are read late are the data that are in memory, bit for bit.
#include "calibration/late_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/prepared_data.h"
#include "calibration/random_removal.h"
#include "core/batch.h"
#include "tests/calibration/fake_dataset.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// A FakeDataset whose features are read late, and a count of how often.
class LateDataset final : public Dataset, public HasLateConversations {
 public:
  class Late final : public LateConversations {
   public:
    explicit Late(std::vector<Conversation> all) : all_(std::move(all)) {}
    absl::StatusOr<Conversation> Read(int64_t index) const override {
      ++reads;
      if (index == unreadable) return absl::UnavailableError("the disk is gone");
      Conversation conversation = all_[index];
      // Each time other tensors, shared where the original shares them.
      for (std::vector<torch::Tensor>& streams : conversation.features) {
        const std::vector<torch::Tensor> original = streams;
        for (size_t s = 0; s < streams.size(); ++s) {
          streams[s] =
              s > 0 && original[s].is_same(original[s - 1]) ? streams[s - 1] : original[s].clone();
        }
      }
      return conversation;
    }
    uint64_t Digest() const override { return digest; }

    mutable std::atomic<int> reads{0};
    std::atomic<int64_t> unreadable{-1};
    uint64_t digest = 5;

   private:
    const std::vector<Conversation> all_;
  };

  explicit LateDataset(const FakeDataset& fake)
      : late_(std::make_shared<Late>(fake.conversations)), fake_(fake) {}

  const DatasetInfo& info() const override { return fake_.info(); }
  int64_t size() const override { return fake_.size(); }
  absl::StatusOr<Conversation> Get(int64_t index) const override { return late_->Read(index); }
  absl::Span<const int64_t> split(Split split) const override { return fake_.split(split); }
  absl::StatusOr<Conversation> Outline(int64_t index) const override {
    Conversation outline = fake_.conversations[index];
    outline.features.clear();
    outline.utterances.clear();
    return outline;
  }
  std::shared_ptr<const LateConversations> late() const override { return late_; }

  const std::shared_ptr<Late> late_;

 private:
  const FakeDataset& fake_;
};

// A modality is missing here and there, and in the whole of a conversation.
FakeDataset WithGaps() {
  FakeDataset fake;
  fake.conversations[0].present = torch::ones({4, 2}, torch::kBool);
  fake.conversations[0].present[1][0] = false;
  fake.conversations[0].present[2][1] = false;
  fake.conversations[1].present = torch::ones({2, 2}, torch::kBool);
  fake.conversations[1].present.select(1, 1).fill_(false);
  for (const int64_t c : {0, 1}) {
    Conversation& conversation = fake.conversations[c];
    for (int64_t m = 0; m < 2; ++m) {
      const torch::Tensor there = conversation.present.select(1, m).unsqueeze(1);
      for (torch::Tensor& stream : conversation.features[m]) {
        stream = torch::where(there, stream, torch::zeros_like(stream));
      }
    }
  }
  return fake;
}

void ExpectSame(const Batch& found, const Batch& want) {
  ASSERT_EQ(found.modalities.size(), want.modalities.size());
  for (size_t m = 0; m < want.modalities.size(); ++m) {
    EXPECT_EQ(found.modalities[m].name, want.modalities[m].name);
    ASSERT_EQ(found.modalities[m].streams.size(), want.modalities[m].streams.size());
    for (size_t s = 0; s < want.modalities[m].streams.size(); ++s) {
      EXPECT_TRUE(found.modalities[m].streams[s].equal(want.modalities[m].streams[s])) << m;
    }
  }
  EXPECT_TRUE(found.labels.equal(want.labels));
  EXPECT_TRUE(found.speakers.equal(want.speakers));
  EXPECT_TRUE(found.evidence.equal(want.evidence));
}

TEST(LateFeaturesTest, BatchesAreThoseOfDataInMemory) {
  const FakeDataset fake = WithGaps();
  for (const bool standardize : {false, true}) {
    for (const bool past : {false, true}) {
      for (const std::string& modality : {std::string(), StubInfo().modalities[1].name}) {
        DataConfig config;
        config.set_standardize(standardize);
        if (past) config.set_context(DataConfig::PAST);
        if (!modality.empty()) config.add_modalities(modality);
        FakeDataset of_these = fake;
        // Without the other modality nothing is left of it.
        if (!modality.empty()) of_these.conversations[1].present = torch::Tensor();
        const LateDataset dataset(of_these);
        const absl::StatusOr<PreparedData> want = PrepareData(of_these, config);
        const absl::StatusOr<PreparedData> found = PrepareData(dataset, config);
        ASSERT_TRUE(want.ok()) << want.status();
        ASSERT_TRUE(found.ok()) << found.status();
        EXPECT_EQ(want->late, nullptr);
        EXPECT_EQ(found->info.class_counts, want->info.class_counts);
        EXPECT_EQ(found->train, want->train);
        ASSERT_EQ(found->standardization.has_value(), standardize);
        if (standardize) {
          EXPECT_EQ(found->standardization->SerializeAsString(),
                    want->standardization->SerializeAsString());
        }
        EXPECT_EQ(Describe(found->means).SerializeAsString(),
                  Describe(want->means).SerializeAsString());
        for (const std::vector<int64_t>& batch :
             {std::vector<int64_t>{0, 2}, {4}, {1, 3}, {3, 1, 0}}) {
          found->ReadAhead(batch);
          ExpectSame(*found->MakeBatch(batch), *want->MakeBatch(batch));
        }
        const auto thinned = ThinOut(*want, {0, 2, 3}, 0.4, 3);
        const auto late_thinned = ThinOut(*found, {0, 2, 3}, 0.4, 3);
        ASSERT_EQ(late_thinned.ok(), thinned.ok());
        if (!thinned.ok()) continue;
        EXPECT_EQ(late_thinned->removed, thinned->removed);
        ExpectSame(*late_thinned->data.MakeBatch({0, 2, 3, 1}),
                   *thinned->data.MakeBatch({0, 2, 3, 1}));
      }
    }
  }
}

TEST(LateFeaturesTest, WhatIsReadAheadIsReadOnceAndKeptNoLonger) {
  const FakeDataset fake;
  const LateDataset dataset(fake);
  const PreparedData data = PrepareData(dataset, DataConfig()).value();
  const auto reads = [&] { return dataset.late_->reads.exchange(0); };
  EXPECT_EQ(reads(), 2) << "the means are those of the two conversations to train on";
  for (const Conversation& conversation : data.conversations) {
    EXPECT_TRUE(conversation.features.empty());
  }
  data.ReadAhead({1, 4});
  data.ReadAhead({1, 4});
  ASSERT_TRUE(data.MakeBatch({1, 4}).ok());
  EXPECT_EQ(reads(), 2);
  ASSERT_TRUE(data.MakeBatch({1, 3}).ok());
  EXPECT_EQ(reads(), 1) << "the other one was still there";
  data.ReadAhead({3});
  ASSERT_TRUE(data.MakeBatch({1}).ok());
  ASSERT_TRUE(data.MakeBatch({3}).ok());
  EXPECT_EQ(reads(), 2);
  data.ReadAhead({});
  ASSERT_TRUE(data.MakeBatch({3}).ok());
  EXPECT_EQ(reads(), 1);
}

TEST(LateFeaturesTest, ErrorsOfReadingComeWithTheBatch) {
  const FakeDataset fake;
  const LateDataset dataset(fake);
  const PreparedData data = PrepareData(dataset, DataConfig()).value();
  dataset.late_->unreadable = 4;
  data.ReadAhead({1, 4});
  EXPECT_TRUE(data.MakeBatch({1}).ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = data.MakeBatch({1, 4}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("the disk is gone"));
    data.ReadAhead({});
  }
  dataset.late_->unreadable = 2;
  EXPECT_THAT(std::string(PrepareData(dataset, DataConfig()).status().message()),
              HasSubstr("the disk is gone"));
}

TEST(LateFeaturesTest, TheDigestIsOfTheFileAndOfTheModalities) {
  const FakeDataset fake;
  const LateDataset dataset(fake);
  const uint64_t both = LateFeatures(dataset.late(), {0, 1}).Digest();
  EXPECT_NE(both, LateFeatures(dataset.late(), {1, 0}).Digest());
  EXPECT_NE(both, LateFeatures(dataset.late(), {0}).Digest());
  dataset.late_->digest = 6;
  EXPECT_NE(both, LateFeatures(dataset.late(), {0, 1}).Digest());
}

}  // namespace
}  // namespace cmerc
