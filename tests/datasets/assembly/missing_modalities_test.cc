#include "datasets/assembly/missing_modalities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::HasSubstr;

Conversation Make(const std::string& id, int64_t length) {
  Conversation conversation;
  conversation.id = id;
  conversation.labels = torch::zeros({length}, torch::kInt64);
  return conversation;
}

TEST(PresentTensorTest, IsUndefinedWhereNothingIsMissing) {
  EXPECT_FALSE(PresentTensor({{}, {true, true}}, 2).defined());
  EXPECT_TRUE(PresentTensor({{}, {true, false}}, 2)
                  .equal(torch::tensor({1, 1, 1, 0}, torch::kBool).view({2, 2})));
}

TEST(FillMissingTest, CompletesWhatConversationsLack) {
  const torch::Tensor text = torch::ones({2, 3});
  std::vector<Conversation> conversations = {Make("whole", 2), Make("no audio", 2),
                                             Make("no gaze", 2)};
  conversations[0].features = {{text}, {text}, {text.narrow(1, 0, 1)}};
  conversations[1].features = {{text}, {}, {text.narrow(1, 0, 1)}};
  conversations[1].present = torch::tensor({1, 0}, torch::kBool).view({2, 1});  // of text alone
  conversations[2].features = {{text}, {text}};
  const std::vector<ModalityInfo> modalities = {{"text", 3, 1}, {"audio", 3, 1}, {"gaze", 1, 2}};
  conversations[0].features[2].push_back(conversations[0].features[2][0]);
  conversations[1].features[2].push_back(conversations[1].features[2][0]);
  ASSERT_TRUE(FillMissing(modalities, &conversations).ok());
  EXPECT_FALSE(conversations[0].present.defined());
  EXPECT_TRUE(
      conversations[1].present.equal(torch::tensor({1, 0, 1, 0, 0, 1}, torch::kBool).view({2, 3})));
  EXPECT_TRUE(conversations[1].features[1][0].equal(torch::zeros({2, 3})));
  EXPECT_TRUE(
      conversations[2].present.equal(torch::tensor({1, 1, 0, 1, 1, 0}, torch::kBool).view({2, 3})));
  ASSERT_EQ(conversations[2].features[2].size(), 2u);
  EXPECT_TRUE(conversations[2].features[2][1].is_same(conversations[2].features[2][0]));
  EXPECT_TRUE(conversations[2].features[2][0].equal(torch::zeros({2, 1})));
}

TEST(FillMissingTest, AConversationHasSomething) {
  std::vector<Conversation> conversations = {Make("mute", 2)};
  conversations[0].features = {{}};
  const absl::Status status = FillMissing({{"text", 3, 1}}, &conversations);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("conversation mute has no features of any modality"));
}

TEST(FillMissingTest, RoomIsBounded) {
  EXPECT_TRUE(CheckRoomForMissing(16e6, 0).ok());
  EXPECT_FALSE(CheckRoomForMissing(17e6, 0).ok());
  EXPECT_TRUE(CheckRoomForMissing(256e6, 1e6).ok());
  std::vector<Conversation> conversations = {Make("held", 1), Make("empty", int64_t{1} << 20)};
  conversations[0].features = {{torch::zeros({1, 2})}, {torch::zeros({1, 1000})}};
  conversations[1].features = {{torch::zeros({int64_t{1} << 20, 2})}, {}};
  const absl::Status status = FillMissing({{"text", 2, 1}, {"video", 1000, 1}}, &conversations);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("leave out a modality that hardly any utterance has"));
}

}  // namespace
}  // namespace cmerc
