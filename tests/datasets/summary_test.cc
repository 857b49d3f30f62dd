#include "datasets/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "datasets/assembly/in_memory.h"
#include "torch/types.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// features: [utterance][column] of the one modality.
Conversation Make(const std::string& id, const std::vector<int64_t>& speakers,
                  const std::vector<int64_t>& labels, const std::vector<float>& features) {
  Conversation conversation;
  conversation.id = id;
  const auto length = static_cast<int64_t>(labels.size());
  conversation.speakers = torch::tensor(speakers, torch::kInt64);
  conversation.labels = torch::tensor(labels, torch::kInt64);
  conversation.features = {{torch::tensor(features).view({length, 3})}};
  return conversation;
}

TEST(SummaryTest, CountsAndWarns) {
  DatasetInfo info;
  info.name = "corpus";
  info.modalities = {{"text", 3, 1}};
  info.class_names = {"joy", "anger", "fear"};
  info.num_speakers = 2;
  info.speaker_names = {"Ann", "Bob"};
  const std::vector<Conversation> conversations = {
      Make("t0", {0, 0}, {0, 1}, {1, 2, 9, 3, 4, 9}),
      Make("t1", {0}, {0}, {5, 6, 9}),
      Make("v0", {0}, {2}, {5, 6, 9}),
      Make("s0", {1, 0, 0}, {0, 1, 1}, {0, 0, 0, 3, 4, 9, -7, 0, 0.5f}),
  };
  InMemoryDataset::Splits splits;
  splits.train = {0, 1};
  splits.valid = {2};
  splits.test = {3};
  splits.train_and_valid = {0, 1, 2};
  int64_t last = 0;
  const auto summary = Summarize(InMemoryDataset(info, conversations, splits),
                                 [&](int64_t done) { EXPECT_EQ(done, ++last); });
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(last, 4);
  ASSERT_EQ(summary->splits.size(), 3u);
  const SplitSummary& train = summary->splits[0];
  EXPECT_EQ(train.name, "train");
  EXPECT_EQ(train.conversations, 2);
  EXPECT_EQ(train.utterances, 3);
  EXPECT_EQ(train.shortest, 1);
  EXPECT_EQ(train.longest, 2);
  EXPECT_THAT(train.class_counts, ElementsAre(2, 1, 0));
  EXPECT_THAT(summary->splits[2].speaker_counts, ElementsAre(2, 1));
  EXPECT_EQ(summary->modalities[0].min, -7);
  EXPECT_EQ(summary->modalities[0].max, 9);
  EXPECT_DOUBLE_EQ(summary->modalities[0].mean, 77.5 / 21);
  EXPECT_THAT(
      summary->warnings,
      ElementsAre(
          "train has no utterance of class fear", "valid has no utterance of class joy, anger",
          "test has no utterance of class fear", "test has speakers that train lacks: Bob",
          "text: 1 of 3 features never vary in train: 2",
          "text: 1 utterances of test (33.3 %) are all 0; are these features missing?",
          "leak: train and valid share 1 conversations with the same features: t1 = v0",
          "leak? 1 utterances of valid (100.0 %) have exactly the features of one of train; "
          "the data has no sentences to tell long ones by",
          "leak? 1 utterances of test (33.3 %) have exactly the features of one of train; "
          "the data has no sentences to tell long ones by"));

  const std::string text = FormatSummary(*summary);
  EXPECT_THAT(text,
              HasSubstr("split  conversations  utterances  shortest  mean  longest  speakers\n"
                        "train              2           3         1   1.5        2         1\n"));
  EXPECT_THAT(text,
              HasSubstr("joy                      2  66.7 %      0    0.0 %     1  33.3 %\n"));
  EXPECT_THAT(text, HasSubstr("modality  width  streams  min  max  mean  deviation\n"
                              "text          3        1   -7    9  3.69      4.055\n"));
  EXPECT_THAT(text, HasSubstr("speakers  2: Ann, Bob\n\nwarning: train has no"));
}

TEST(SummaryTest, LongUtterancesThatTwoSplitsShareAreCountedApart) {
  DatasetInfo info;
  info.modalities = {{"text", 3, 1}};
  info.class_names = {"Joy", "joy"};
  info.num_speakers = 1;
  std::vector<Conversation> conversations = {
      Make("t", {0, 0, 0}, {0, 1, 0}, {1, 2, 3, 4, 5, 6, 7, 8, 9}),
      Make("v", {0}, {1}, {-1, -2, -3}),
      Make("s", {0, 0, 0, 0}, {0, 1, 0, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 2}),
  };
  conversations[0].utterances = {"Yeah.", "Nobody says this a second time.",
                                 "Four words, not  five."};
  conversations[1].utterances = {"Something else."};
  conversations[2].utterances = {"Yeah.", "Nobody says this a second time.",
                                 "Four words, not  five.", "And this has only been said once."};
  InMemoryDataset::Splits splits;
  splits.train = splits.train_and_valid = {0};
  splits.valid = {1};
  splits.test = {2};
  const auto summary = Summarize(
      InMemoryDataset(info, conversations, splits, {"what the plugin says"}), [](int64_t) {});
  ASSERT_TRUE(summary.ok());
  EXPECT_THAT(
      summary->warnings,
      ElementsAre("what the plugin says",
                  "the classes \"Joy\" (4 utterances) and \"joy\" (4 utterances) differ only "
                  "in case or blanks; are they one?",
                  "valid has no utterance of class Joy",
                  "leak? 3 utterances of test (75.0 %), 1 of them long (5 words or more), "
                  "have exactly the features of one of train"));
}

TEST(SummaryTest, CountsWhatIsMissing) {
  DatasetInfo info;
  info.modalities = {{"text", 3, 1}, {"audio", 3, 1}};
  info.class_names = {"joy", "anger"};
  info.num_speakers = 1;
  std::vector<Conversation> conversations = {
      Make("t", {0, 0, 0, 0}, {0, -1, 1, 0}, {1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0, 0}),
      Make("v", {0, 0}, {-1, -1}, {0, 0, 0, 7, 8, 9}),
      Make("s", {0}, {1}, {0, 0, 0}),
  };
  for (Conversation& conversation : conversations) {
    conversation.features.push_back(conversation.features[0]);
  }
  conversations[0].present = torch::tensor({1, 0, 0, 0, 1, 1, 0, 0}, torch::kBool).view({4, 2});
  conversations[1].present = torch::tensor({0, 0, 1, 1}, torch::kBool).view({2, 2});
  InMemoryDataset::Splits splits;
  splits.train = splits.train_and_valid = {0};
  splits.valid = {1};
  splits.test = {2};
  const auto summary = Summarize(InMemoryDataset(info, conversations, splits), [](int64_t) {});
  ASSERT_TRUE(summary.ok());
  const SplitSummary& train = summary->splits[0];
  EXPECT_EQ(train.unlabelled, 1);
  EXPECT_THAT(train.class_counts, ElementsAre(2, 1));
  EXPECT_THAT(train.missing_counts, ElementsAre(2, 3));
  EXPECT_EQ(train.without_any, 2);
  EXPECT_EQ(summary->modalities[1].min, 0);  // of test, which has it
  EXPECT_DOUBLE_EQ(summary->modalities[0].mean, (6 + 15 + 24) / 12.0);
  // Utterances that are alike for want of features are no leak; those that are there and 0 are.
  EXPECT_THAT(
      summary->warnings,
      ElementsAre("no utterance of valid has a label, so that it can be predicted but not scored",
                  "test has no utterance of class joy",
                  "text: 1 utterances of test (100.0 %) are all 0; are these features missing?",
                  "audio: 3 of 3 features never vary in train: 0, 1, 2",
                  "audio: 1 utterances of test (100.0 %) are all 0; are these features missing?"));
  const std::string text = FormatSummary(*summary);
  EXPECT_THAT(text, HasSubstr("utterances of class  train          valid           test\n"));
  EXPECT_THAT(text,
              HasSubstr("\n(no label)               1  25.0 %      2  100.0 %     0    0.0 %\n"));
  EXPECT_THAT(text, HasSubstr("\nutterances without  train          valid          test\n"
                              "text                    2  50.0 %      1  50.0 %     0  0.0 %\n"
                              "audio                   3  75.0 %      1  50.0 %     0  0.0 %\n"
                              "any modality            2  50.0 %      1  50.0 %     0  0.0 %\n"));
}

TEST(SummaryTest, AnEmptySplit) {
  DatasetInfo info;
  info.modalities = {{"text", 3, 1}};
  info.class_names = {"joy"};
  info.num_speakers = 1;
  InMemoryDataset::Splits splits;
  splits.train = splits.train_and_valid = {0};
  const auto summary =
      Summarize(InMemoryDataset(info, {Make("a", {0, 0}, {0, 0}, {1, 2, 3, 4, 5, 6})}, splits),
                [](int64_t) {});
  ASSERT_TRUE(summary.ok());
  EXPECT_THAT(summary->warnings,
              ElementsAre("the valid split is empty", "the test split is empty"));
  EXPECT_THAT(FormatSummary(*summary),
              HasSubstr("valid              0           0         0   0.0        0         0\n"));
}

}  // namespace
}  // namespace cmerc
