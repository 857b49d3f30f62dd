#include "core/batch.h"

#include <gtest/gtest.h>

#include <functional>

namespace cmerc {
namespace {

DatasetInfo Info() {
  DatasetInfo info;
  info.name = "test";
  info.modalities = {{"text", 2, 3}, {"audio", 1, 1}};
  info.class_names = {"angry", "happy", "sad"};
  info.num_speakers = 2;
  info.class_counts = {1, 1, 1};
  return info;
}

// Every feature is 100 * stream + `first` + utterance; the third text stream is the second.
Conversation Make(float first, int64_t length) {
  Conversation conversation;
  const torch::Tensor values = first + torch::arange(length, torch::kFloat32).unsqueeze(1);
  const torch::Tensor text = values.expand({length, 2});
  const torch::Tensor second = text + 100;
  conversation.features = {{text, second, second}, {values + 1000}};
  conversation.speakers = torch::arange(length).remainder(2);
  conversation.labels = torch::arange(length).remainder(3);
  return conversation;
}

TEST(MakeBatchTest, PadsWithZerosAndPacksLabels) {
  const Batch batch = MakeBatch({Make(1, 2), Make(10, 4)}, Info());
  EXPECT_EQ(batch.num_conversations(), 2);
  EXPECT_EQ(batch.max_length(), 4);
  EXPECT_EQ(batch.num_utterances(), 6);
  EXPECT_TRUE(batch.lengths.equal(torch::tensor({2, 4}, torch::kInt64)));
  ASSERT_EQ(batch.modalities.size(), 2U);
  EXPECT_EQ(batch.modalities[0].name, "text");
  EXPECT_EQ(batch.modalities[1].name, "audio");
  ASSERT_EQ(batch.modalities[0].streams.size(), 3U);
  const torch::Tensor rows =
      torch::tensor({{1.0F, 2.0F, 0.0F, 0.0F}, {10.0F, 11.0F, 12.0F, 13.0F}});
  EXPECT_TRUE(batch.modalities[0].streams[0].equal(rows.unsqueeze(2).expand({2, 4, 2})));
  EXPECT_TRUE(
      batch.modalities[1].streams[0].equal(torch::where(rows > 0, rows + 1000, rows).unsqueeze(2)));
  EXPECT_TRUE(batch.speakers.equal(torch::tensor({{0, 1, 0, 0}, {0, 1, 0, 1}}, torch::kInt64)));
  EXPECT_TRUE(batch.labels.equal(torch::tensor({0, 1, 0, 1, 2, 0}, torch::kInt64)));
  EXPECT_TRUE(ValidateBatch(batch, Info()).ok());
}

TEST(MakeBatchTest, SaysWhichUtterancesAreLabelled) {
  Conversation partly = Make(1, 4);
  partly.labels = torch::tensor({2, -1, -1, 0}, torch::kInt64);
  EXPECT_FALSE(MakeBatch({Make(1, 2)}, Info()).labelled.defined());
  const Batch batch = MakeBatch({Make(10, 2), partly}, Info());
  EXPECT_TRUE(batch.labels.equal(torch::tensor({0, 1, 2, -1, -1, 0}, torch::kInt64)));
  EXPECT_TRUE(batch.labelled.equal(torch::tensor({0, 1, 2, 5}, torch::kInt64)));
  EXPECT_TRUE(ValidateBatch(batch, Info()).ok());
  partly.labels.fill_(kUnlabelled);
  const Batch none = MakeBatch({partly}, Info());
  EXPECT_EQ(none.labelled.numel(), 0);
  EXPECT_TRUE(ValidateBatch(none, Info()).ok());
}

TEST(MakeBatchTest, SaysWhichModalitiesAnUtteranceLacks) {
  Conversation partly = Make(1, 2);
  partly.present = torch::tensor({1, 0, 0, 1}, torch::kBool).view({2, 2});
  const Batch batch = MakeBatch({partly, Make(10, 3)}, Info());
  const torch::Tensor expected = torch::tensor({1,      0, 1, 1, /**/ 0, 1, 1, 1, /**/ 0, 0, 0, 0,
                                                /**/ 1, 1, 1, 1, /**/ 1, 1, 1, 1,
                                                /**/ 1, 1, 1, 1},
                                               torch::kBool)
                                     .view({2, 3, 4});
  EXPECT_TRUE(batch.evidence.equal(expected));
}

TEST(MakeBatchTest, ThePastEndsWithTheUtteranceItself) {
  DatasetInfo info = Info();
  info.context = ContextScope::kPast;
  const Batch batch = MakeBatch({Make(1, 2), Make(10, 3)}, info);
  const torch::Tensor expected =
      torch::tensor({1, 0, 0, 1, 1, 0, 0, 0, 0, /**/ 1, 0, 0, 1, 1, 0, 1, 1, 1}, torch::kBool)
          .view({2, 3, 3});
  EXPECT_TRUE(batch.context.equal(expected));
  EXPECT_EQ(batch.scope, ContextScope::kPast);
}

TEST(MakeBatchTest, TheContextOfALongConversationTakesNoMemory) {
  const Batch batch = MakeBatch({Make(1, 4100)}, Info());
  EXPECT_EQ(batch.context.sizes(), torch::IntArrayRef({1, 4100, 4100}));
  EXPECT_EQ(batch.context.storage().nbytes(), 1U);
  EXPECT_TRUE(batch.context[0][4099][17].item<bool>());
  EXPECT_TRUE(ValidateBatch(batch, Info()).ok());
  // Where there is padding, it is not everything.
  const Batch padded = MakeBatch({Make(1, 3000), Make(1, 2)}, Info());
  EXPECT_FALSE(padded.context[1][2][0].item<bool>());
  EXPECT_TRUE(padded.context[1][1][0].item<bool>());
}

TEST(MakeBatchTest, ContextIsEverythingWithinAConversation) {
  const Batch batch = MakeBatch({Make(1, 1), Make(10, 3)}, Info());
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 3; ++j) {
        EXPECT_EQ(batch.context[b][i][j].item<bool>(), b == 1 || (i == 0 && j == 0));
      }
    }
  }
}

TEST(MakeBatchTest, StreamsThatAreOneTensorAreCopiedOnce) {
  const Batch batch = MakeBatch({Make(1, 2), Make(10, 4)}, Info());
  const std::vector<torch::Tensor>& text = batch.modalities[0].streams;
  EXPECT_TRUE(text[1].is_same(text[2]));
  EXPECT_FALSE(text[0].is_same(text[1]));
  // One conversation in which they differ is enough.
  Conversation other = Make(10, 4);
  other.features[0][2] = other.features[0][0];
  const Batch mixed = MakeBatch({Make(1, 2), other}, Info());
  EXPECT_FALSE(mixed.modalities[0].streams[1].is_same(mixed.modalities[0].streams[2]));
  EXPECT_EQ(mixed.modalities[0].streams[1][0][0][0].item<float>(), 101);
  EXPECT_EQ(mixed.modalities[0].streams[2][0][0][0].item<float>(), 101);
  EXPECT_EQ(mixed.modalities[0].streams[2][1][0][0].item<float>(), 10);
}

TEST(MakeBatchTest, LeavesTheConversationsAlone) {
  const Conversation conversation = Make(1, 2);
  Batch batch = MakeBatch({conversation}, Info());
  batch.modalities[0].streams[0].zero_();
  batch.speakers.zero_();
  EXPECT_EQ(conversation.features[0][0][1][1].item<float>(), 2);
  EXPECT_EQ(conversation.speakers[1].item<int64_t>(), 1);
}

TEST(RowsTest, ValidAndPackedRows) {
  const torch::Tensor lengths = torch::tensor({2, 3, 1}, torch::kInt64);
  EXPECT_TRUE(
      ValidRows(lengths, 3)
          .equal(torch::tensor({{true, true, false}, {true, true, true}, {true, false, false}},
                               torch::kBool)));
  EXPECT_TRUE(PackedRows(lengths, 3).equal(torch::tensor({0, 1, 3, 4, 5, 6}, torch::kInt64)));
  EXPECT_TRUE(
      PackedRows(torch::tensor({1}, torch::kInt64), 1).equal(torch::tensor({0}, torch::kInt64)));
}

TEST(RowsTest, PackDropsThePadding) {
  const torch::Tensor lengths = torch::tensor({2, 3, 1}, torch::kInt64);
  const torch::Tensor packed = Pack(torch::arange(18).view({3, 3, 2}), lengths);
  EXPECT_TRUE(packed.equal(
      torch::tensor({{0, 1}, {2, 3}, {6, 7}, {8, 9}, {10, 11}, {12, 13}}, torch::kInt64)));
}

struct BadBatch {
  std::function<void(Batch&)> spoil;
  std::string says;
};

// Lengths 2 and 4, so B = 2, T = 4, N = 6.
TEST(ValidateBatchTest, NamesTheTensorAndTheAxis) {
  const std::vector<BadBatch> cases = {
      {[](Batch& b) { b.lengths = torch::Tensor(); },
       "batch.lengths must be a [B] int64 tensor on the CPU with B >= 1"},
      {[](Batch& b) { b.lengths = torch::empty({0}, torch::kInt64); },
       "batch.lengths must be a [B] int64 tensor on the CPU with B >= 1"},
      {[](Batch& b) { b.lengths = b.lengths.to(torch::kFloat32); },
       "batch.lengths must be a [B] int64 tensor on the CPU with B >= 1"},
      {[](Batch& b) { b.lengths = b.lengths.unsqueeze(0); },
       "batch.lengths must be a [B] int64 tensor on the CPU with B >= 1"},
      {[](Batch& b) { b.lengths[0] = 0; },
       "batch.lengths holds [0, 4], want each between 1 and T = 4"},
      {[](Batch& b) { b.lengths[1] = 5; },
       "batch.lengths holds [2, 5], want each between 1 and T = 4"},
      {[](Batch& b) {
         b.lengths = torch::tensor({7, 7, 9, 7}, torch::kInt64).slice(0, 0, 4, 2);
       },
       "batch.lengths holds [7, 9], want each between 1 and T = 4"},
      {[](Batch& b) { b.speakers = torch::Tensor(); },
       "batch.speakers must be a [B, T] int64 tensor with T >= 1"},
      {[](Batch& b) { b.speakers = b.speakers.narrow(0, 0, 1); },
       "batch.speakers has shape [1, 4], want [2, 4] (B, T)"},
      {[](Batch& b) { b.speakers = b.speakers.to(torch::kInt32); },
       "batch.speakers has dtype Int, want Long"},
      {[](Batch& b) { b.speakers[1][3] = 2; },
       "batch.speakers holds 2, want 0 to 1 (speakers of the dataset)"},
      {[](Batch& b) { b.speakers[0][0] = -1; },
       "batch.speakers holds -1, want 0 to 1 (speakers of the dataset)"},
      {[](Batch& b) { b.context = torch::Tensor(); }, "batch.context is not set"},
      {[](Batch& b) { b.context = b.context.narrow(2, 0, 3); },
       "batch.context has shape [2, 4, 3], want [2, 4, 4] (B, T, T)"},
      {[](Batch& b) { b.context = b.context.to(torch::kFloat32); },
       "batch.context has dtype Float, want Bool"},
      {[](Batch& b) { b.labels = b.labels.narrow(0, 0, 5); },
       "batch.labels has shape [5], want [6] (N = sum of lengths)"},
      {[](Batch& b) { b.labels[0] = 3; },
       "batch.labels holds 3, want 0 to 2 (classes of the dataset)"},
      {[](Batch& b) { b.labels[5] = -100; },
       "batch.labels holds -100, want 0 to 2 (classes of the dataset)"},
      {[](Batch& b) { b.modalities.pop_back(); }, "batch has 1 modalities, want 2"},
      {[](Batch& b) { std::swap(b.modalities[0], b.modalities[1]); },
       "batch.modalities[0] is \"audio\", want \"text\""},
      {[](Batch& b) { b.modalities[0].streams.pop_back(); }, "batch.text has 2 streams, want 3"},
      {[](Batch& b) {
         b.modalities[1].streams[0] = torch::zeros({2, 4, 7});
       },
       "batch.audio has shape [2, 4, 7], want [2, 4, 1] (B, T, D_audio)"},
      {[](Batch& b) {
         b.modalities[0].streams[2] = torch::zeros({2, 4, 2}, torch::kFloat64);
       },
       "batch.text has dtype Double, want Float"},
  };
  for (const BadBatch& bad : cases) {
    Batch batch = MakeBatch({Make(1, 2), Make(10, 4)}, Info());
    bad.spoil(batch);
    const absl::Status status = ValidateBatch(batch, Info());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.says;
    EXPECT_EQ(std::string(status.message()), bad.says);
  }
}

}  // namespace
}  // namespace cmerc
