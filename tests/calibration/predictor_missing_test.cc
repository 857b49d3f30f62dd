// Predictions for utterances that lack modalities.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "calibration/predictor.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

std::vector<Conversation> TrainConversations() {
  PreparedData data = StubData();
  data.conversations.resize(4);
  return data.conversations;
}

std::shared_ptr<StubBackbone> Model() { return std::make_shared<StubBackbone>(0.7F); }

std::vector<PredictedConversation> MustPredict(Predictor predictor,
                                               const std::vector<Conversation>& conversations) {
  auto predictions = predictor.Predict(conversations, AllViews(StubInfo()));
  TORCH_CHECK(predictions.ok(), predictions.status().ToString());
  return *std::move(predictions);
}

// The same numbers as where the caller has filled in, and the answer says what was not there.
TEST(PredictorMissingTest, AnswersWhateverIsThereAndSaysWhatIsNot) {
  std::vector<Conversation> conversations = TrainConversations();
  for (Conversation& conversation : conversations) {
    conversation.present = torch::ones({conversation.length(), 2}, torch::kBool);
  }
  conversations[0].present[1][1] = false;
  conversations[2].present[0].fill_(false);
  conversations[3].present.select(1, 0).fill_(false);
  Predictor::Setup setup;
  setup.means = ZeroMeans(StubInfo());
  setup.means[0][0] = torch::tensor({1.0F, 2.0F, 4.0F});
  const auto predicted = MustPredict(Predictor(Model(), setup), conversations);
  std::vector<Conversation> by_hand = TrainConversations();
  const auto replace = [&](size_t c, size_t m, int64_t row) {
    std::vector<int64_t> others;
    for (int64_t i = 0; i < by_hand[c].length(); ++i) {
      if (i != row) others.push_back(i);
    }
    for (torch::Tensor& stream : by_hand[c].features[m]) {
      const torch::Tensor mean = stream.index_select(0, torch::tensor(others)).mean(0);
      stream = stream.clone();
      stream[row] = mean;
    }
  };
  replace(0, 1, 1);
  replace(2, 0, 0);
  replace(2, 1, 0);
  for (torch::Tensor& stream : by_hand[3].features[0]) stream = stream.clone();
  by_hand[3].features[0][0].copy_(setup.means[0][0].expand({by_hand[3].length(), 3}));
  by_hand[3].features[0][1].fill_(0);
  const auto expected = MustPredict(Predictor(Model()), by_hand);
  for (size_t c = 0; c < 4; ++c) {
    for (int i = 0; i < predicted[c].utterances_size(); ++i) {
      PredictedUtterance utterance = predicted[c].utterances(i);
      std::vector<std::string> missing;
      for (const auto& name : utterance.missing().values()) missing.push_back(name.string_value());
      std::vector<std::string> want;
      for (int64_t m = 0; m < 2; ++m) {
        if (!conversations[c].present[i][m].item<bool>()) {
          want.push_back(StubInfo().modalities[m].name);
        }
      }
      EXPECT_EQ(missing, want);
      EXPECT_EQ(utterance.has_missing(), !want.empty());
      utterance.clear_missing();
      EXPECT_TRUE(MessageDifferencer::Equals(utterance, expected[c].utterances(i)))
          << utterance.DebugString() << expected[c].utterances(i).DebugString();
    }
  }
}

TEST(PredictorMissingTest, RefusesWhatItCannotFillIn) {
  Conversation conversation = RandomConversation("odd", 2);
  const auto refused = [&] {
    const absl::Status status = Predictor(Model()).Predict({conversation}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  conversation.present = torch::ones({2, 3}, torch::kBool);
  EXPECT_EQ(refused(), "conversation odd: present must be [n, M] = [2, 2] bool");
  conversation.present = torch::ones({2, 2});
  EXPECT_EQ(refused(), "conversation odd: present must be [n, M] = [2, 2] bool");
  conversation.present = torch::tensor({{true, false}, {true, false}});
  EXPECT_THAT(refused(), HasSubstr("conversation odd: audio is missing in every utterance, and the "
                                   "model does not carry the mean"));
  conversation.present[1][1] = true;
  EXPECT_TRUE(Predictor(Model()).Predict({conversation}).ok());
}

}  // namespace
}  // namespace cmerc
