// What Backbone does around a plugin.
#include "core/backbone.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace cmerc {
namespace {

using torch::Tensor;

DatasetInfo Info() {
  DatasetInfo info;
  info.name = "test";
  info.modalities = {{"text", 2, 1}};
  info.class_names = {"angry", "happy"};
  info.num_speakers = 1;
  return info;
}

Batch OneConversation(const Tensor& text) {
  Conversation conversation;
  conversation.features = {{text}};
  conversation.speakers = torch::zeros({text.size(0)}, torch::kInt64);
  conversation.labels = torch::zeros({text.size(0)}, torch::kInt64);
  return MakeBatch({conversation}, Info());
}

// Log-probabilities that are the text; it notes how often it was asked.
class TextBackbone : public Backbone {
 public:
  TextBackbone() : Backbone(Info()) {}
  int passes = 0;

 private:
  Prediction ForwardImpl(const Batch& batch) override {
    ++passes;
    const Tensor text = batch.modalities[0].streams[0].flatten(0, 1);
    return {text.log_softmax(1), text};
  }
};

TEST(BackboneTest, ForwardAllIsForwardOfEach) {
  TextBackbone backbone;
  const std::vector<Batch> batches = {OneConversation(torch::randn({3, 2})),
                                      OneConversation(torch::randn({1, 2}))};
  const auto all = backbone.ForwardAll(batches);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2);
  EXPECT_EQ(backbone.passes, 2);
  for (size_t i = 0; i < batches.size(); ++i) {
    const auto one = backbone.Forward(batches[i]);
    ASSERT_TRUE(one.ok()) << one.status();
    EXPECT_TRUE(torch::equal((*all)[i].log_probs, one->log_probs)) << i;
    EXPECT_TRUE(torch::equal((*all)[i].features, one->features)) << i;
  }
}

// Adds the texts up, utterance by utterance.
class SummingBackbone : public TextBackbone {
 public:
  struct Sum final : Memory {
    Tensor sum = torch::zeros({1, 2});
  };
  std::unique_ptr<Memory> NewMemory() const override { return std::make_unique<Sum>(); }

 private:
  Prediction ContinueImpl(const Batch& utterance, const Tensor& sources, Memory& memory) override {
    auto& sum = dynamic_cast<Sum&>(memory).sum;
    sum = sum + utterance.modalities[0].streams[0][0];
    return {sum.log_softmax(1), sources.to(torch::kFloat32).sum().view({1, 1})};
  }
};

TEST(BackboneTest, AConversationIsContinuedOneUtteranceAtATime) {
  SummingBackbone backbone;
  const std::unique_ptr<Backbone::Memory> memory = backbone.NewMemory();
  const Tensor text = torch::randn({3, 2});
  for (int64_t i = 0; i < 3; ++i) {
    const auto prediction = backbone.Continue(OneConversation(text.narrow(0, i, 1)),
                                              torch::ones({i + 1}, torch::kBool), *memory);
    ASSERT_TRUE(prediction.ok()) << prediction.status();
    const Tensor want = text.narrow(0, 0, i + 1).sum(0, /*keepdim=*/true).log_softmax(1);
    EXPECT_LE((prediction->log_probs - want).abs().max().item<double>(), 1e-6) << i;
    EXPECT_EQ(prediction->features.item<float>(), static_cast<float>(i + 1));
  }
}

TEST(BackboneTest, WhatDoesNotContinueAConversationIsRefused) {
  SummingBackbone backbone;
  const std::unique_ptr<Backbone::Memory> memory = backbone.NewMemory();
  const Tensor sources = torch::ones({1}, torch::kBool);
  const auto two = backbone.Continue(OneConversation(torch::randn({2, 2})), sources, *memory);
  EXPECT_EQ(two.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(two.status().message(), "continued by one utterance"));
  const Batch one = OneConversation(torch::randn({1, 2}));
  EXPECT_EQ(backbone.Continue(one, sources.to(torch::kFloat32), *memory).status().code(),
            absl::StatusCode::kInvalidArgument);
  // One that remembers nothing says so.
  TextBackbone forgetful;
  EXPECT_EQ(forgetful.NewMemory(), nullptr);
  EXPECT_EQ(forgetful.Continue(one, sources, *memory).status().code(), absl::StatusCode::kInternal);
}

TEST(BackboneTest, ForwardAllOfNothingIsNothing) {
  const auto none = TextBackbone().ForwardAll({});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->empty());
}

TEST(BackboneTest, ForwardAllRefusesABadBatchBeforeAnyPass) {
  TextBackbone backbone;
  std::vector<Batch> batches(2, OneConversation(torch::randn({3, 2})));
  batches[1].modalities[0].streams[0] = torch::randn({1, 3, 5});
  const absl::Status status = backbone.ForwardAll(batches).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "[1, 3, 5], want [1, 3, 2]")) << status;
  EXPECT_EQ(backbone.passes, 0);
}

// Predicts too few batches, or rows, or throws.
class BrokenBackbone final : public TextBackbone {
 public:
  enum class Kind { kTooFew, kRows, kThrows };
  explicit BrokenBackbone(Kind kind) : kind_(kind) {}

 private:
  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    TORCH_CHECK(kind_ != Kind::kThrows, "no such thing");
    if (kind_ == Kind::kTooFew) return {};
    return std::vector<Prediction>(batches.size(), {torch::zeros({7, 2}), torch::zeros({7, 2})});
  }

  const Kind kind_;
};

TEST(BackboneTest, ForwardAllChecksTheAnswer) {
  const std::vector<Batch> batches = {OneConversation(torch::randn({3, 2}))};
  for (const auto& [kind, part] : {std::pair<BrokenBackbone::Kind, const char*>{
                                       BrokenBackbone::Kind::kTooFew, "0 predictions of 1 batches"},
                                   {BrokenBackbone::Kind::kRows, "[N, C] = [3, 2]"},
                                   {BrokenBackbone::Kind::kThrows, "no such thing"}}) {
    BrokenBackbone backbone(kind);
    const absl::Status status = backbone.ForwardAll(batches).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }
}

}  // namespace
}  // namespace cmerc
