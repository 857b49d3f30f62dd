#include "backbones/layers/memo.h"

#include <gtest/gtest.h>

#include <memory>

namespace cmerc {
namespace {

using torch::Tensor;

Batch TwoModalities() {
  Batch batch;
  batch.lengths = torch::tensor({2, 1});
  batch.speakers = torch::zeros({2, 2}, torch::kInt64);
  batch.context = torch::ones({2, 2, 2}, torch::kBool);
  const Tensor features = torch::rand({2, 2, 3});
  // Both modalities hold one tensor: their numbers tell them apart.
  batch.modalities = {{"text", {features, features}}, {"audio", {features, features}}};
  return batch;
}

// Returns another number each time it is called.
class Counter {
 public:
  int operator()() const { return ++*calls_; }

 private:
  std::shared_ptr<int> calls_ = std::make_shared<int>(0);
};

TEST(MemoTest, ComputesOncePerKeyAndKind) {
  const Tensor a = torch::ones({1}), b = torch::ones({1});
  const Counter compute;
  Memo<int> memo;
  const int& first = memo.Get({a, b}, compute);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(memo.Get({a, b}, compute, /*kind=*/1), 2);
  EXPECT_EQ(memo.Get({b, a}, compute), 3);
  EXPECT_EQ(memo.Get({a}, compute), 4);
  EXPECT_EQ(memo.Get({a.clone(), b}, compute), 5) << "equal numbers are another tensor";
  EXPECT_EQ(&memo.Get({a, b}, compute), &first);
}

TEST(BatchMemoTest, UtterancesAreTheSameWhereTheirTensorsAre) {
  const Counter compute;
  BatchMemo<int> memo;
  const Batch batch = TwoModalities();
  EXPECT_EQ(memo.OfUtterances(batch, compute), 1);

  Batch view = batch;
  view.context = batch.context.clone();
  view.modalities[0].streams[0] = torch::rand({2, 2, 3});
  EXPECT_TRUE(HaveSameUtterances(view, batch));
  EXPECT_EQ(memo.OfUtterances(view, compute), 1);

  Batch longer = batch;
  longer.speakers = torch::zeros({2, 3}, torch::kInt64);
  EXPECT_FALSE(HaveSameUtterances(longer, batch));
  EXPECT_EQ(memo.OfUtterances(longer, compute), 2);

  Batch shorter = batch;
  shorter.lengths = torch::tensor({1, 1});
  EXPECT_FALSE(HaveSameUtterances(shorter, batch));
  EXPECT_EQ(memo.OfUtterances(shorter, compute), 3);
}

TEST(BatchMemoTest, ModalitiesAreToldApartByNumberAndStreams) {
  const Counter compute;
  BatchMemo<int> memo;
  const Batch batch = TwoModalities();
  EXPECT_EQ(memo.OfUtterances(batch, compute), 1);
  EXPECT_EQ(memo.OfModality(batch, 0, compute), 2);
  EXPECT_EQ(memo.OfModality(batch, 1, compute), 3);

  Batch view = batch;
  view.modalities[0].streams[1] = torch::rand({2, 2, 3});
  EXPECT_EQ(memo.OfModality(view, 0, compute), 4);
  EXPECT_EQ(memo.OfModality(view, 1, compute), 3) << "which the view leaves alone";
  EXPECT_EQ(memo.OfModality(batch, 0, compute), 2);

  view.lengths = torch::tensor({2, 2});
  EXPECT_EQ(memo.OfModality(view, 1, compute), 5);
}

}  // namespace
}  // namespace cmerc
