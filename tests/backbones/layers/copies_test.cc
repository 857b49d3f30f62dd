#include "backbones/layers/copies.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace cmerc {
namespace {

using torch::Tensor;

DatasetInfo Info() {
  DatasetInfo info;
  info.modalities = {{"text", 4, 2}, {"audio", 3, 1}};
  info.class_names = {"angry", "happy"};
  info.num_speakers = 2;
  return info;
}

// Conversations of 3 and 1 utterances.
Batch TwoConversations() {
  torch::manual_seed(1);
  std::vector<Conversation> conversations;
  for (const int64_t length : {3, 1}) {
    Conversation conversation;
    const Tensor text = torch::randn({length, 4});
    conversation.features = {{text, torch::randn({length, 4})}, {torch::randn({length, 3})}};
    conversation.speakers = torch::arange(length) % 2;
    conversation.labels = torch::zeros({length}, torch::kInt64);
    conversations.push_back(conversation);
  }
  return MakeBatch(conversations, Info());
}

// It, without text, with less context, without audio: as views are.
std::vector<Batch> Views() {
  const Batch batch = TwoConversations();
  std::vector<Batch> views(4, batch);
  Tensor mean = torch::zeros({2, 3, 4});
  mean[0].fill_(0.5);
  mean[1][0].fill_(-2);
  views[1].modalities[0].streams = {mean, mean};
  views[2].context = torch::eye(3, torch::kBool).expand({2, 3, 3}).logical_and(batch.context);
  views[3].modalities[1].streams = {torch::zeros({2, 3, 3})};
  views[3].evidence = batch.evidence.clone();
  views[3].evidence.select(2, 1).fill_(false);
  return views;
}

TEST(CopiesTest, TheirNumberIsThatOfTheInnermost) {
  EXPECT_EQ(CopiesInPass::Now(), 1);
  const CopiesInPass three(3);
  EXPECT_EQ(CopiesInPass::Now(), 3);
  {
    const CopiesInPass two(2);
    EXPECT_EQ(CopiesInPass::Now(), 2);
  }
  EXPECT_EQ(CopiesInPass::Now(), 3);
}

TEST(CopiesTest, JoinedBatchesLieOneAfterTheOther) {
  const std::vector<Batch> views = Views();
  const Batch all = JoinWithoutFeatures(views);
  EXPECT_TRUE(all.modalities.empty());
  EXPECT_EQ(all.num_conversations(), 8);
  EXPECT_EQ(all.num_utterances(), 16);
  for (size_t i = 0; i < views.size(); ++i) {
    const auto first = static_cast<int64_t>(2 * i);
    EXPECT_TRUE(torch::equal(all.lengths.narrow(0, first, 2), views[i].lengths)) << i;
    EXPECT_TRUE(torch::equal(all.speakers.narrow(0, first, 2), views[i].speakers)) << i;
    EXPECT_TRUE(torch::equal(all.context.narrow(0, first, 2), views[i].context)) << i;
    EXPECT_TRUE(torch::equal(all.evidence.narrow(0, first, 2), views[i].evidence)) << i;
  }
  const Batch one = JoinWithoutFeatures(absl::MakeConstSpan(views).first(1));
  EXPECT_TRUE(one.context.is_same(views[0].context));
}

TEST(VersionsTest, ThereAreAsManyAsTensorsDiffer) {
  const std::vector<Batch> views = Views();
  EXPECT_EQ(Versions::OfModality(views, 0).count(), 2);
  EXPECT_EQ(Versions::OfModality(views, 1).count(), 2);
  EXPECT_EQ(Versions::OfFeatures(views).count(), 3);
  EXPECT_EQ(Versions::OfFeatures(absl::MakeConstSpan(views).first(1)).count(), 1);
  EXPECT_TRUE(
      torch::equal(Versions::OfFeatures(views).lengths(), torch::tensor({3, 1, 3, 1, 3, 1})));
  // Equal numbers in another tensor may have another gradient.
  std::vector<Batch> clones = views;
  clones[2].modalities[0].streams[1] = clones[2].modalities[0].streams[1].clone();
  EXPECT_EQ(Versions::OfModality(clones, 0).count(), 3);
}

TEST(VersionsTest, CopiesHaveTheRowsOfTheirVersion) {
  const std::vector<Batch> views = Views();
  const Versions versions = Versions::OfModality(views, 0);
  // [2 * 2, 2]
  const Tensor rows = torch::tensor({{1., 2.}, {3., 4.}, {5., 6.}, {7., 8.}}).requires_grad_();
  const Tensor copies = versions.ToCopies(rows);
  const Tensor of_first = rows.narrow(0, 0, 2), of_second = rows.narrow(0, 2, 2);
  EXPECT_TRUE(torch::equal(copies, torch::cat({of_first, of_second, of_first, of_first})));
  const Tensor gradient = torch::autograd::grad({copies.sum()}, {rows})[0];
  EXPECT_TRUE(torch::equal(gradient, torch::tensor({{3., 3.}, {3., 3.}, {1., 1.}, {1., 1.}})));
}

TEST(VersionsTest, ALayerSeesARowOnceWhereAConversationHasOneAlone) {
  const std::vector<Batch> views = Views();
  const Packing packing(views[0]);
  const Versions versions = Versions::OfModality(views, 0);
  const Tensor weight = torch::randn({5, 4}).requires_grad_();
  for (const bool past : {false, true}) {
    SCOPED_TRACE(past);
    int64_t seen = 0;
    const Tensor mapped = versions.MapRows(0, packing, past, [&](const Tensor& rows) {
      seen = rows.size(0);
      return rows.mm(weight.t());
    });
    // 4 utterances, and 2 conversations or 4 utterances again.
    EXPECT_EQ(seen, past ? 8 : 6);
    const Tensor expected = versions.Join([&](const Batch& batch) {
      const std::vector<Tensor>& streams = batch.modalities[0].streams;
      return packing.Pack((streams[0] + streams[1]) / 2).mm(weight.t());
    });
    EXPECT_TRUE(mapped.allclose(expected, 1e-5, 1e-6));
    const Tensor factor = torch::randn_like(mapped);
    EXPECT_TRUE(torch::autograd::grad({(mapped * factor).sum()}, {weight})[0].allclose(
        torch::autograd::grad({(expected * factor).sum()}, {weight})[0], 1e-4, 1e-5));
  }
}

}  // namespace
}  // namespace cmerc
