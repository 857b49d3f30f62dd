// Backbone::ForwardPaired(): in one pass where the backbone has one, else one after the other.
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/match.h"
#include "core/backbone.h"
#include "core/same_conversations.h"

namespace cmerc {
namespace {

using torch::Tensor;

DatasetInfo Info() {
  DatasetInfo info;
  info.name = "test";
  info.modalities = {{"text", 2, 2}, {"audio", 2, 1}};
  info.class_names = {"angry", "happy"};
  info.num_speakers = 2;
  return info;
}

// Conversations of 1, 3 and 2 utterances.
Batch ThreeConversations() {
  torch::manual_seed(1);
  std::vector<Conversation> conversations;
  for (const int64_t length : {1, 3, 2}) {
    Conversation conversation;
    conversation.features = {{torch::randn({length, 2}), torch::randn({length, 2})},
                             {torch::randn({length, 2})}};
    conversation.speakers = torch::arange(length) % 2;
    conversation.labels = torch::zeros({length}, torch::kInt64);
    conversations.push_back(conversation);
  }
  return MakeBatch(conversations, Info());
}

Batch WithAudio(const Batch& batch, const std::function<void(Tensor&)>& change) {
  Batch view = batch;
  Tensor audio = batch.modalities[1].streams[0].clone();
  change(audio);
  view.modalities[1].streams = {audio};
  return view;
}

Tensor Rows(std::vector<bool> rows) {
  Tensor tensor = torch::zeros({static_cast<int64_t>(rows.size())}, torch::kBool);
  for (size_t i = 0; i < rows.size(); ++i) tensor[static_cast<int64_t>(i)] = bool{rows[i]};
  return tensor;
}

TEST(InSameConversationsTest, OneNumberMakesAnotherConversation) {
  const Batch batch = ThreeConversations();
  EXPECT_TRUE(torch::equal(InSameConversations(batch, batch), torch::ones({6}, torch::kBool)));
  const Batch audio = WithAudio(batch, [](Tensor& audio) { audio[1][2][0] += 1; });
  EXPECT_TRUE(torch::equal(InSameConversations(audio, batch), Rows({1, 0, 0, 0, 1, 1})));
  Batch text = batch;
  text.modalities[0].streams[1] = text.modalities[0].streams[1].clone();
  text.modalities[0].streams[1][0][0][1] += 1;
  EXPECT_TRUE(torch::equal(InSameConversations(text, batch), Rows({0, 1, 1, 1, 1, 1})));
  Batch context = batch;
  context.context = batch.context.clone();
  context.context[2][1][0] = false;
  EXPECT_TRUE(torch::equal(InSameConversations(context, batch), Rows({1, 1, 1, 1, 0, 0})));
  Batch evidence = batch;
  evidence.evidence = batch.evidence.clone();
  evidence.evidence[0][0][3] = false;
  EXPECT_TRUE(torch::equal(InSameConversations(evidence, batch), Rows({0, 1, 1, 1, 1, 1})));
}

TEST(InSameConversationsTest, ThereMayBeNone) {
  const Batch batch = ThreeConversations();
  const Batch audio = WithAudio(batch, [](Tensor& audio) { audio.add_(1); });
  EXPECT_FALSE(InSameConversations(audio, batch).defined());
  Batch unsaid = batch;
  unsaid.evidence = Tensor();
  EXPECT_FALSE(InSameConversations(unsaid, batch).defined());
}

// Draws a mask for the audio in training; counts passes in a buffer.
class AudioBackbone : public Backbone {
 public:
  AudioBackbone() : Backbone(Info()) { passes_ = register_buffer("passes", torch::zeros({})); }
  double passes() const { return passes_.item<double>(); }

 protected:
  Prediction ForwardImpl(const Batch& batch) override {
    const Tensor audio = Pack(batch.modalities[1].streams[0], batch.lengths);
    passes_.add_(1);
    return PredictionOf(torch::dropout(audio, 0.5, is_training()));
  }

  static Prediction PredictionOf(const Tensor& rows) { return {rows.log_softmax(1), rows}; }

 private:
  Tensor passes_;
};

TEST(BackbonePairedTest, PassesOneAfterTheOtherDrawTheSame) {
  AudioBackbone backbone;
  const Batch batch = ThreeConversations();
  const Batch louder = WithAudio(batch, [](Tensor& audio) { audio.mul_(2); });
  at::Generator generator = at::globalContext().defaultGenerator(torch::kCPU);
  const Tensor begin = generator.get_state();
  const auto full = backbone.Forward(batch);
  ASSERT_TRUE(full.ok()) << full.status();
  const Tensor end = generator.get_state();
  generator.set_state(begin);
  const auto paired = backbone.ForwardPaired({batch, louder, batch});
  ASSERT_TRUE(paired.ok()) << paired.status();
  ASSERT_EQ(paired->size(), 3);
  EXPECT_TRUE(torch::equal(generator.get_state(), end));
  EXPECT_EQ(backbone.passes(), 2) << "one for each call: those of views leave no trace";
  EXPECT_TRUE(torch::equal((*paired)[0].features, full->features));
  EXPECT_TRUE(torch::equal((*paired)[1].features, 2 * full->features));
  EXPECT_TRUE(torch::equal((*paired)[2].features, full->features));
  EXPECT_FALSE((full->features == 0).all().item<bool>());
}

// Predicts all at once, and of every batch but the first as if its sums were rounded otherwise.
class AtOnceBackbone final : public AudioBackbone {
 public:
  enum class Kind { kAll, kTooFew, kTooWide, kThrows };
  explicit AtOnceBackbone(Kind kind = Kind::kAll) : kind_(kind) {}

 private:
  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    TORCH_CHECK(kind_ != Kind::kThrows, "no such thing");
    std::vector<Tensor> rows;
    for (const Batch& batch : batches) {
      rows.push_back(Pack(batch.modalities[1].streams[0], batch.lengths));
      if (rows.size() > 1) rows.back() = rows.back() * (1 + 1e-6);
    }
    if (kind_ == Kind::kTooFew) rows.pop_back();
    const Tensor all = torch::cat(rows);
    return PredictionOf(kind_ == Kind::kTooWide ? torch::cat({all, all}, 1) : all);
  }

  const Kind kind_;
};

TEST(BackbonePairedTest, ConversationsThatAreTheSameHaveTheBitsOfTheFirst) {
  AtOnceBackbone backbone;
  const Batch batch = ThreeConversations();
  const Batch other = WithAudio(batch, [](Tensor& audio) { audio[1][0][0] += 1; });
  const auto paired = backbone.ForwardPaired({batch, other, batch});
  ASSERT_TRUE(paired.ok()) << paired.status();
  EXPECT_EQ(backbone.passes(), 0) << "not one after the other";
  const auto expect_same = [&](const Prediction& a, const Prediction& b, int64_t first,
                               int64_t count) {
    EXPECT_TRUE(
        torch::equal(a.log_probs.narrow(0, first, count), b.log_probs.narrow(0, first, count)));
    EXPECT_TRUE(
        torch::equal(a.features.narrow(0, first, count), b.features.narrow(0, first, count)));
  };
  expect_same((*paired)[2], (*paired)[0], 0, 6);
  expect_same((*paired)[1], (*paired)[0], 0, 1);
  expect_same((*paired)[1], (*paired)[0], 4, 2);
  const Tensor audio = Pack(other.modalities[1].streams[0], other.lengths);
  EXPECT_TRUE(
      torch::equal((*paired)[1].features.narrow(0, 1, 3), (audio * (1 + 1e-6)).narrow(0, 1, 3)));
  EXPECT_FALSE(torch::equal((*paired)[1].features, audio)) << "the rounding is there";
}

TEST(BackbonePairedTest, OneIsForwardAndNoneIsNothing) {
  AtOnceBackbone backbone;
  EXPECT_TRUE(backbone.ForwardPaired({})->empty());
  const auto one = backbone.ForwardPaired({ThreeConversations()});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->size(), 1);
  EXPECT_EQ(backbone.passes(), 1);
}

TEST(BackbonePairedTest, OtherUtterancesAndBadBatchesAreRefused) {
  AtOnceBackbone backbone;
  const Batch batch = ThreeConversations();
  Batch other = batch;
  other.speakers = other.speakers.clone();
  const absl::Status not_a_view = backbone.ForwardPaired({batch, batch, other}).status();
  EXPECT_EQ(not_a_view.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(not_a_view.message(), "batch 2 must have the lengths and speakers"))
      << not_a_view;
  Batch wide = batch;
  wide.modalities[1].streams[0] = torch::randn({3, 3, 5});
  const absl::Status bad = backbone.ForwardPaired({batch, wide}).status();
  EXPECT_EQ(bad.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(bad.message(), "[3, 3, 5], want [3, 3, 2]")) << bad;
}

TEST(BackbonePairedTest, TheAnswerIsChecked) {
  const Batch batch = ThreeConversations();
  const Batch louder = WithAudio(batch, [](Tensor& audio) { audio.mul_(2); });
  for (const auto& [kind, part] :
       {std::pair<AtOnceBackbone::Kind, const char*>{AtOnceBackbone::Kind::kTooFew,
                                                     "one pass over 2 batches of 6 utterances"},
        {AtOnceBackbone::Kind::kTooWide, "[N, C] = [6, 2]"},
        {AtOnceBackbone::Kind::kThrows, "no such thing"}}) {
    AtOnceBackbone backbone(kind);
    const absl::Status status = backbone.ForwardPaired({batch, louder}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }
}

}  // namespace
}  // namespace cmerc
