#include "core/evidence_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/backbone.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using torch::Tensor;

// Two streams of text 3 wide, and audio 2 wide: sources text, audio, same and other speakers.
DatasetInfo Info() {
  DatasetInfo info;
  info.name = "test";
  info.modalities = {{"wav2vec2.0", 3, 2}, {"audio", 2, 1}};
  info.class_names = {"angry", "happy"};
  info.num_speakers = 1;
  return info;
}

// Conversations of 2 and 3 utterances.
Batch TwoConversations() {
  torch::manual_seed(1);
  std::vector<Conversation> conversations;
  for (const int64_t length : {2, 3}) {
    Conversation conversation;
    const Tensor text = torch::randn({length, 3});
    conversation.features = {{text, text}, {torch::randn({length, 2})}};
    conversation.speakers = torch::zeros({length}, torch::kInt64);
    conversation.labels = torch::zeros({length}, torch::kInt64);
    conversations.push_back(conversation);
  }
  return MakeBatch(conversations, Info());
}

void SetShifts(EvidenceFlags& flags) {
  const torch::NoGradGuard no_grad;
  int64_t first = 1;
  for (Tensor& shift : flags.parameters()) {
    shift.copy_(torch::arange(first, first + shift.numel()).view(shift.sizes()));
    first += 100;
  }
}

TEST(EvidenceFlagsTest, AreZeroAtFirstAndDrawNothing) {
  torch::manual_seed(5);
  const Tensor expected = torch::rand({1});
  torch::manual_seed(5);
  const EvidenceFlags flags(Info());
  EXPECT_TRUE(torch::rand({1}).equal(expected));
  std::vector<std::string> names;
  for (const auto& parameter : flags.named_parameters()) {
    names.push_back(parameter.key());
    EXPECT_EQ(parameter.value().abs().max().item<float>(), 0);
  }
  EXPECT_THAT(names, ElementsAre("0", "1"));
  EXPECT_EQ(flags.parameters()[0].sizes(), torch::IntArrayRef({4, 3}));
  EXPECT_EQ(flags.parameters()[1].sizes(), torch::IntArrayRef({4, 2}));
}

TEST(EvidenceFlagsTest, ShiftWhatLacksByTheSumOfItsSources) {
  EvidenceFlags flags(Info());
  SetShifts(flags);
  Batch batch = TwoConversations();
  batch.evidence[0][1][0] = false;  // no text
  batch.evidence[1][2][1] = false;  // neither audio nor other speakers
  batch.evidence[1][2][3] = false;
  const Batch shown = flags.Show(batch);
  for (size_t m = 0; m < 2; ++m) {
    const Tensor& before = batch.modalities[m].streams[0];
    const Tensor& after = shown.modalities[m].streams[0];
    const Tensor shifts = flags.parameters()[m];
    EXPECT_TRUE(after[0][1].equal(before[0][1] + shifts[0]));
    EXPECT_TRUE(torch::allclose(after[1][2], before[1][2] + shifts[1] + shifts[3]));
    // Everyone else, and the padding of the shorter conversation.
    EXPECT_TRUE(after[0][0].equal(before[0][0]));
    EXPECT_TRUE(after[0][2].equal(before[0][2]));
    EXPECT_EQ(after[0][2].abs().max().item<float>(), 0);
    EXPECT_TRUE(after[1].narrow(0, 0, 2).equal(before[1].narrow(0, 0, 2)));
  }
  // Streams that are one tensor stay one.
  EXPECT_TRUE(shown.modalities[0].streams[1].is_same(shown.modalities[0].streams[0]));
  EXPECT_TRUE(shown.evidence.is_same(batch.evidence));
}

TEST(EvidenceFlagsTest, NothingThatLacksIsNothingChanged) {
  EvidenceFlags flags(Info());
  SetShifts(flags);
  Batch batch = TwoConversations();
  EXPECT_TRUE(flags.Show(batch).modalities[1].streams[0].is_same(batch.modalities[1].streams[0]));
  batch.evidence = Tensor();
  EXPECT_TRUE(flags.Show(batch).modalities[1].streams[0].is_same(batch.modalities[1].streams[0]));
}

// -0 + 0 is +0: a sum would not keep it.
TEST(EvidenceFlagsTest, UtterancesThatLackNothingKeepTheirBits) {
  EvidenceFlags flags(Info());
  Batch batch = TwoConversations();
  batch.modalities[1].streams[0][1][0][0] = -0.0F;
  batch.evidence[1][1][0] = false;
  const Tensor shown = flags.Show(batch).modalities[1].streams[0];
  EXPECT_TRUE(std::signbit(shown[1][0][0].item<float>()));
}

TEST(EvidenceFlagsTest, AGradientReachesTheSourcesThatLack) {
  EvidenceFlags flags(Info());
  Batch batch = TwoConversations();
  batch.evidence[1][1][2] = false;
  const Batch shown = flags.Show(batch);
  Tensor sum = torch::zeros({});
  for (const Modality& modality : shown.modalities) {
    for (const Tensor& stream : modality.streams) sum = sum + stream.sum();
  }
  sum.backward();
  for (const Tensor& shift : flags.parameters()) {
    for (int64_t source = 0; source < 4; ++source) {
      EXPECT_EQ(shift.grad()[source].abs().max().item<float>() > 0, source == 2) << source;
    }
  }
}

// Log-probabilities that are the audio.
class AudioBackbone final : public Backbone {
 public:
  AudioBackbone() : Backbone(Info()) { register_parameter("own", torch::ones({1})); }

 private:
  Prediction ForwardImpl(const Batch& batch) override {
    const Tensor audio = Pack(batch.modalities[1].streams[0], batch.lengths);
    return {audio.log_softmax(1), audio};
  }
};

TEST(EvidenceFlagsTest, ABackboneShowsEvidenceOnceItIsAskedTo) {
  AudioBackbone backbone;
  Batch batch = TwoConversations();
  batch.evidence[0][1][0] = false;
  const Tensor before = backbone.Forward(batch)->features;
  backbone.ShowEvidence();
  backbone.ShowEvidence();
  std::vector<std::string> names;
  for (const auto& parameter : backbone.named_parameters()) names.push_back(parameter.key());
  EXPECT_THAT(names, ElementsAre("own", "evidence_flags.0", "evidence_flags.1"));
  EXPECT_TRUE(backbone.Forward(batch)->features.equal(before));
  {
    const torch::NoGradGuard no_grad;
    backbone.named_parameters()["evidence_flags.1"][0].fill_(2);
  }
  const Tensor after = backbone.Forward(batch)->features;
  EXPECT_TRUE(after[1].equal(before[1] + 2));
  EXPECT_TRUE(after[0].equal(before[0]));
  const auto all = backbone.ForwardAll({batch, TwoConversations()});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE((*all)[0].features.equal(after));
  EXPECT_TRUE((*all)[1].features.equal(before));
}

}  // namespace
}  // namespace cmerc
