// Orders of epochs before they are trained, and batches that are too large.
#include "training/known_batches.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/batch_limit.h"
#include "tests/training/tiny_run.h"
#include "training/epoch_order.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

int64_t Sum(absl::Span<const int64_t> lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
}

// Takes so many utterances.
class Limited final : public Backbone, public BatchLimit {
 public:
  Limited(const DatasetInfo& info, int64_t most) : Backbone(info), most_(most) {}
  std::string WhyTooLarge(absl::Span<const int64_t> lengths) const override {
    return Sum(lengths) > most_ ? absl::StrCat("more than ", most_) : "";
  }

 private:
  Prediction ForwardImpl(const Batch& /*batch*/) override { return {}; }
  const int64_t most_;
};

class Unlimited final : public Backbone {
 public:
  explicit Unlimited(const DatasetInfo& info) : Backbone(info) {}

 private:
  Prediction ForwardImpl(const Batch& /*batch*/) override { return {}; }
};

// The largest batch of conversations in this order.
int64_t Largest(const PreparedData& data, const std::vector<int64_t>& order, size_t batch_size) {
  int64_t largest = 0;
  for (size_t begin = 0; begin < order.size(); begin += batch_size) {
    int64_t sum = 0;
    for (size_t i = begin; i < std::min(order.size(), begin + batch_size); ++i) {
      sum += data.conversations[order[i]].length();
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

at::Generator Generator(uint64_t seed) { return at::detail::createCPUGenerator(seed); }

TEST(EpochOrderTest, IsKnownBeforeTheEpochBegins) {
  std::vector<int64_t> all(20);
  std::iota(all.begin(), all.end(), 0);
  for (const bool shuffle : {false, true}) {
    for (const bool reseed : {false, true}) {
      TrainingConfig training;
      training.set_seed(5);
      training.set_shuffle(shuffle);
      training.set_reseed_every_pass(reseed);
      torch::manual_seed(9);
      std::vector<int64_t> known = all;
      OrderEpochWith(at::detail::getDefaultCPUGenerator().clone(), training, known);
      std::vector<int64_t> order = all;
      OrderEpoch(training, order);
      EXPECT_EQ(known, order);
      EXPECT_EQ(order != all, shuffle);
      std::vector<int64_t> next = all;
      OrderEpoch(training, next);
      EXPECT_EQ(next == order, OrdersAlike(training));
    }
  }
}

class KnownBatchesTest : public testing::Test {
 protected:
  KnownBatchesTest() : config_(Config(kTask)), data_(Prepare(config_)) {
    for (const auto* split : {&data_.train, &data_.valid, &data_.test}) {
      evaluated_ = std::max(evaluated_, Largest(data_, *split, 2));
    }
  }

  absl::Status Check(int64_t most, const at::Generator& begun = Generator(1)) const {
    return CheckKnownBatches(Limited(data_.info, most), begun, config_, data_, Curriculum(data_));
  }

  RunConfig config_;
  PreparedData data_;
  int64_t evaluated_ = 0;  // the most utterances of a batch of 2 that is evaluated
};

TEST_F(KnownBatchesTest, WhatIsEvaluatedIsChecked) {
  config_.mutable_training()->set_shuffle(false);
  EXPECT_TRUE(Check(evaluated_).ok());
  const absl::Status status = Check(evaluated_ - 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr(" split, batch "), HasSubstr(absl::StrCat("more than ", evaluated_ - 1)),
            HasSubstr("nothing was trained")));
  EXPECT_TRUE(
      CheckKnownBatches(Unlimited(data_.info), Generator(1), config_, data_, Curriculum(data_))
          .ok());
}

TEST_F(KnownBatchesTest, TheOrderOfReseededEpochsIsChecked) {
  config_.mutable_training()->set_reseed_every_pass(true);
  bool found = false;
  for (int seed = 1; seed <= 50; ++seed) {
    config_.mutable_training()->set_seed(seed);
    std::vector<int64_t> order = data_.train;
    OrderEpochWith(Generator(0), config_.training(), order);
    const bool fits = Largest(data_, order, 2) <= evaluated_;
    const absl::Status status = Check(evaluated_);
    EXPECT_EQ(status.ok(), fits) << status;
    if (fits) continue;
    found = true;
    EXPECT_THAT(std::string(status.message()), HasSubstr("epoch 1, step "));
  }
  EXPECT_TRUE(found);
}

TEST_F(KnownBatchesTest, OfOtherEpochsTheFirstIsCheckedAndTheRestWarnedOf) {
  bool found = false;
  for (int seed = 1; seed <= 50; ++seed) {
    std::vector<int64_t> order = data_.train;
    OrderEpochWith(Generator(seed), config_.training(), order);
    const bool fits = Largest(data_, order, 2) <= evaluated_;
    EXPECT_EQ(Check(evaluated_, Generator(seed)).ok(), fits);
    found = found || !fits;
  }
  EXPECT_TRUE(found);
  std::vector<int64_t> lengths;
  for (const int64_t index : data_.train) lengths.push_back(data_.conversations[index].length());
  std::sort(lengths.rbegin(), lengths.rend());
  const int64_t two_longest = lengths[0] + lengths[1];
  EXPECT_EQ(BatchWarning(Limited(data_.info, two_longest), config_, data_), "");
  EXPECT_THAT(BatchWarning(Limited(data_.info, two_longest - 1), config_, data_),
              AllOf(HasSubstr("a batch of the 2 longest would end the run: more than")));
  EXPECT_EQ(BatchWarning(Unlimited(data_.info), config_, data_), "");
  config_.mutable_training()->set_shuffle(false);
  EXPECT_EQ(BatchWarning(Limited(data_.info, 1), config_, data_), "");
}

}  // namespace
}  // namespace cmerc
