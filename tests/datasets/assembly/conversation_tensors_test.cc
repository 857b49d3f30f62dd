#include "datasets/assembly/conversation_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DatasetInfo Info() {
  DatasetInfo info;
  info.modalities = {{"text", 2, 3}, {"audio", 1, 1}};
  info.class_names = {"calm", "angry"};
  info.num_speakers = 3;
  info.speaker_names = {"Anna", "Bob", "Cleo"};
  return info;
}

// Audio before text, and a modality that Info() does not know.
ConversationRecord Record(const std::vector<std::string>& speakers) {
  ConversationRecord record;
  record.set_id("d1");
  record.set_numeric_id(true);
  ConversationRecord::Modality* audio = record.add_modalities();
  audio->set_name("audio");
  audio->set_width(1);
  audio->add_streams();
  ConversationRecord::Modality* video = record.add_modalities();
  video->set_name("video");
  video->set_width(1);
  video->add_streams();
  ConversationRecord::Modality* text = record.add_modalities();
  text->set_name("text");
  text->set_width(2);
  for (int s = 0; s < 3; ++s) text->add_streams();
  text->mutable_streams(1)->set_same_as_previous(true);
  for (size_t i = 0; i < speakers.size(); ++i) {
    const auto value = static_cast<float>(i);
    ConversationRecord::Utterance* utterance = record.add_utterances();
    utterance->set_speaker(speakers[i]);
    utterance->set_label("of another data set");
    utterance->set_text("Well.");
    audio->mutable_streams(0)->add_values(value + 100);
    video->mutable_streams(0)->add_values(0);
    for (const int s : {0, 2}) {
      text->mutable_streams(s)->add_values(value + static_cast<float>(s));
      text->mutable_streams(s)->add_values(-value);
    }
  }
  return record;
}

std::vector<int64_t> Speakers(const std::vector<std::string>& names, const DatasetInfo& info) {
  const absl::StatusOr<Conversation> conversation = ToConversation(Record(names), info);
  TORCH_CHECK(conversation.ok(), conversation.status().ToString());
  const int64_t* data = conversation->speakers.data_ptr<int64_t>();
  return {data, data + conversation->speakers.numel()};
}

std::string Error(const ConversationRecord& record, const DatasetInfo& info) {
  const absl::Status status = ToConversation(record, info).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ToConversationTest, FeaturesAreThoseOfTheModelInItsOrder) {
  const absl::StatusOr<Conversation> conversation = ToConversation(Record({"Bob", "Bob"}), Info());
  ASSERT_TRUE(conversation.ok()) << conversation.status();
  EXPECT_EQ(conversation->id, "d1");
  EXPECT_TRUE(conversation->numeric_id);
  EXPECT_THAT(conversation->utterances, ElementsAre("Well.", "Well."));
  EXPECT_FALSE(conversation->labels.defined());
  ASSERT_EQ(conversation->features.size(), 2u);
  ASSERT_EQ(conversation->features[0].size(), 3u);
  const std::vector<torch::Tensor>& text = conversation->features[0];
  EXPECT_TRUE(text[0].equal(torch::tensor({{0.0F, -0.0F}, {1.0F, -1.0F}})));
  EXPECT_TRUE(text[1].is_same(text[0]));
  EXPECT_TRUE(text[2].equal(torch::tensor({{2.0F, -0.0F}, {3.0F, -1.0F}})));
  ASSERT_EQ(conversation->features[1].size(), 1u);
  EXPECT_TRUE(conversation->features[1][0].equal(torch::tensor({{100.0F}, {101.0F}})));
}

TEST(ToConversationTest, KnownSpeakersKeepTheirPlaceAndOthersTakeTheFreeOnes) {
  EXPECT_THAT(Speakers({"Cleo", "Anna", "Cleo"}, Info()), ElementsAre(2, 0, 2));
  EXPECT_THAT(Speakers({"X", "Y", "X", "Z"}, Info()), ElementsAre(0, 1, 0, 2));
  EXPECT_THAT(Speakers({"X", "Anna", "Y", "X"}, Info()), ElementsAre(1, 0, 2, 1));
  DatasetInfo nameless = Info();
  nameless.speaker_names.clear();
  EXPECT_THAT(Speakers({"Cleo", "Anna", "Cleo"}, nameless), ElementsAre(0, 1, 0));
}

TEST(ToConversationTest, MoreSpeakersThanTheModelHasPlaces) {
  EXPECT_THAT(Error(Record({"A", "B", "A", "C", "D"}), Info()),
              HasSubstr("there are 4 speakers (A, B, C, D), and the model has weights for 3"));
}

TEST(ToConversationTest, WhatUtterancesLackIsZero) {
  ConversationRecord record = Record({"Bob", "Bob", "Bob"});
  record.mutable_modalities()->DeleteSubrange(1, 1);  // which the model does not know
  ConversationRecord::Modality* audio = record.mutable_modalities(0);
  audio->add_absent(1);
  audio->mutable_streams(0)->mutable_values()->RemoveLast();
  DatasetInfo info = Info();
  info.modalities.push_back({"gaze", 4, 2});
  const absl::StatusOr<Conversation> conversation = ToConversation(record, info);
  ASSERT_TRUE(conversation.ok()) << conversation.status();
  EXPECT_TRUE(conversation->features[1][0].equal(torch::tensor({{100.0F}, {0.0F}, {101.0F}})));
  ASSERT_EQ(conversation->features[2].size(), 2u);
  EXPECT_TRUE(conversation->features[2][1].equal(torch::zeros({3, 4})));
  EXPECT_TRUE(conversation->present.equal(
      torch::tensor({1, 1, 0, 1, 0, 0, 1, 1, 0}, torch::kBool).view({3, 3})));
  EXPECT_FALSE(ToConversation(Record({"Bob"}), Info())->present.defined());

  info.modalities = {{"gaze", 4, 2}};
  record.mutable_modalities()->Clear();
  EXPECT_EQ(Error(record, info), "features has none of gaze, which the model was trained on");
}

// The second utterance has video where the others have audio.
TEST(ToConversationTest, WhatStandsInThePlaceOfAModality) {
  ConversationRecord record = Record({"Bob", "Bob", "Bob"});
  const auto take = [&](int modality, const std::vector<int>& absent) {
    for (const int utterance : absent) {
      record.mutable_modalities(modality)->add_absent(utterance);
      record.mutable_modalities(modality)->mutable_streams(0)->mutable_values()->RemoveLast();
    }
  };
  take(0, {1});
  take(1, {0, 2});
  EXPECT_EQ(Error(record, Info()),
            "utterances[1].features.audio is missing, and video, which the model does not know, is "
            "there in its place; rename it if it is the same, or leave it out");
  // Beside audio it is another modality.
  record = Record({"Bob", "Bob", "Bob"});
  take(0, {1});
  take(1, {2});
  EXPECT_TRUE(ToConversation(record, Info()).ok());
}

TEST(ToConversationTest, FeaturesThatDoNotFit) {
  DatasetInfo info = Info();
  info.modalities[1].name = "speech";
  EXPECT_EQ(Error(Record({"A"}), info),
            "features.speech is missing, want 1 numbers an utterance, as in training; there are "
            "audio, video, text");
  info = Info();
  info.modalities[0].width = 5;
  EXPECT_EQ(Error(Record({"A"}), info),
            "features.text has 2 numbers an utterance, want 5, as in training");
  info = Info();
  info.modalities[0].num_streams = 4;
  EXPECT_EQ(Error(Record({"A"}), info), "features.text has 3 streams, want 4, as in training");
}

}  // namespace
}  // namespace cmerc
