// Which epoch is selected where scores are all but equal.
#include "training/selection.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/prepared_data.h"
#include "storage/checkpoint.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

TEST(SelectionTest, TheHigherScoreIsBetter) {
  EXPECT_TRUE(IsBetter(0.61249, 0.61248, false));
  EXPECT_FALSE(IsBetter(0.61248, 0.61248, false));
  EXPECT_FALSE(IsBetter(0.61248, 0.61249, false));
}

TEST(SelectionTest, RoundedToHundredthsOfAPercent) {
  // 61.25 and 61.25; 61.26 and 61.25.
  EXPECT_FALSE(IsBetter(0.612539, 0.612461, true));
  EXPECT_TRUE(IsBetter(0.612561, 0.612539, true));
  EXPECT_FALSE(IsBetter(0.612539, 0.612561, true));
  EXPECT_FALSE(IsBetter(0, 0, true));
  EXPECT_TRUE(IsBetter(1, 0.99994, true));
  EXPECT_FALSE(IsBetter(1, 0.99996, true));
}

// A conversation of utterances of class 0 whose features count up from `first`.
Conversation Counting(const std::string& id, int64_t first, int64_t length) {
  Conversation conversation;
  conversation.id = id;
  conversation.features = {{torch::arange(first, first + length, torch::kFloat32).unsqueeze(1)}};
  conversation.speakers = torch::zeros({length}, torch::kInt64);
  conversation.labels = torch::zeros({length}, torch::kInt64);
  return conversation;
}

// One training conversation, and 20000 utterances to test on, of which the backbone makes so many
// mistakes after each of three epochs.
class SelectedEpochTest : public testing::Test {
 protected:
  static constexpr int64_t kConversations = 200, kLength = 100;

  SelectedEpochTest() {
    data_.info.name = "counting";
    data_.info.modalities = {{"text", 1, 1}};
    data_.info.class_names = {"right", "wrong"};
    data_.info.num_speakers = 1;
    data_.info.class_counts = {2, 0};
    data_.conversations.push_back(Counting("train", int64_t{1} << 20, 2));
    data_.train = {0};
    for (int64_t c = 0; c < kConversations; ++c) {
      data_.test.push_back(static_cast<int64_t>(data_.conversations.size()));
      data_.conversations.push_back(Counting(absl::StrCat(c), kLength * c, kLength));
    }
  }

  RunSummary MustTrain(const std::string& data, const std::string& mistakes) {
    RunConfig config;
    const std::string text = absl::StrCat(
        "data { protocol: OFFICIAL standardize: false ", data, " } ",
        "backbone { [type.googleapis.com/cmerc.ScriptedBackboneOptions] { mistakes: [", mistakes,
        "] } } losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } } "
        "training { epochs: 3 batch_size: 50 }");
    TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), text);
    folder_ = Folder("selection");
    const absl::StatusOr<RunSummary> summary = Train(config, data_, folder_, {});
    TORCH_CHECK(summary.ok(), summary.status().ToString());
    return *summary;
  }

  PreparedData data_;
  std::string folder_;
};

// Their F1: 0.997469, 0.997519 and 0.997368, which are 99.75, 99.75 and 99.74 percent.
constexpr char kNearTie[] = "101, 99, 105";

TEST_F(SelectedEpochTest, TheHighestOfAllByDefault) {
  const RunSummary summary = MustTrain("", kNearTie);
  EXPECT_EQ(summary.selected_epoch(), 2);
  EXPECT_NEAR(summary.test().weighted_f1(), 0.997519, 1e-6);
  EXPECT_EQ(ReadCheckpoint(folder_ + "/selected.pth")->state.at("steps").item<int64_t>(), 2);
}

TEST_F(SelectedEpochTest, TheFirstOfThoseThatRoundAlike) {
  const RunSummary summary = MustTrain("round_scores: true", kNearTie);
  EXPECT_EQ(summary.selected_epoch(), 1);
  EXPECT_NEAR(summary.test().weighted_f1(), 0.997469, 1e-6);
  EXPECT_EQ(ReadCheckpoint(folder_ + "/selected.pth")->state.at("steps").item<int64_t>(), 1);
  // What is reported is not rounded.
  EXPECT_NEAR(Epochs(folder_)[1].test().weighted_f1(), 0.997519, 1e-6);
}

TEST_F(SelectedEpochTest, AClearlyHigherScoreIsSelectedEitherWay) {
  EXPECT_EQ(MustTrain("", "101, 99, 60").selected_epoch(), 3);
  EXPECT_EQ(MustTrain("round_scores: true", "101, 99, 60").selected_epoch(), 3);
}

}  // namespace
}  // namespace cmerc
