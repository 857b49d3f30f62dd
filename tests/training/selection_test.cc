// Which epoch is selected, by which score, and when training stops waiting for a better one.
#include "training/selection.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/curriculum.h"
#include "calibration/prepared_data.h"
#include "core/scheduler.h"
#include "storage/checkpoint.h"
#include "storage/selection_score.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

TEST(SelectionTest, TheHigherScoreIsBetter) {
  EXPECT_TRUE(IsBetter(0.61249, 0.61248, false));
  EXPECT_FALSE(IsBetter(0.61248, 0.61248, false));
  EXPECT_FALSE(IsBetter(0.61248, 0.61249, false));
}

TEST(SelectionTest, EveryScoreIsBetterTheHigher) {
  SplitReport split;
  split.set_weighted_f1(0.1);
  split.set_macro_f1(0.2);
  split.set_accuracy(0.3);
  split.mutable_calibration()->set_nll(0.4);
  EXPECT_EQ(SelectionScore(split, TrainingConfig::WEIGHTED_F1), 0.1);
  EXPECT_EQ(SelectionScore(split, TrainingConfig::MACRO_F1), 0.2);
  EXPECT_EQ(SelectionScore(split, TrainingConfig::ACCURACY), 0.3);
  EXPECT_EQ(SelectionScore(split, TrainingConfig::NLL), -0.4);
  EXPECT_EQ(SelectionName(TrainingConfig::MACRO_F1), "macro F1");
}

TEST(SelectionTest, WaitsFromTheBestEpochOn) {
  EXPECT_EQ(EpochsWaited(/*epochs=*/1, /*selected_epoch=*/1, /*first_of_all=*/1), 0);
  EXPECT_EQ(EpochsWaited(5, 3, 1), 2);
  // Three epochs of a curriculum that the first was the best of: they do not count.
  EXPECT_EQ(EpochsWaited(3, 1, 4), 0);
  EXPECT_EQ(EpochsWaited(4, 1, 4), 1);
  EXPECT_EQ(EpochsWaited(6, 5, 4), 1);
  // A curriculum that never opens.
  EXPECT_EQ(EpochsWaited(10, 1, 11), 0);
}

// One conversation more in every epoch.
class Growing final : public Scheduler {
 public:
  bool needs_difficulty() const override { return true; }
  std::vector<int64_t> Select(int64_t epoch, absl::Span<const float> difficulty) const override {
    std::vector<int64_t> selected;
    for (int64_t i = 0; i <= epoch && i < static_cast<int64_t>(difficulty.size()); ++i) {
      selected.push_back(i);
    }
    return selected;
  }
};

TEST(SelectionTest, TheFirstEpochThatTrainsOnEveryConversation) {
  PreparedData data;
  data.train = {0, 1, 2};
  EXPECT_EQ(FirstEpochOfAll(Curriculum(data), 3, 10), 1);
  const Curriculum growing(data, std::make_unique<Growing>(), {{0, 0.1F}, {1, 0.2F}, {2, 0.3F}}, "",
                           "");
  EXPECT_EQ(FirstEpochOfAll(growing, 3, 10), 3);
  EXPECT_EQ(FirstEpochOfAll(growing, 3, 2), 3);
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

  RunSummary MustTrain(const std::string& data, const std::string& mistakes,
                       const std::string& training = "epochs: 3") {
    RunConfig config;
    const std::string text = absl::StrCat(
        "data { protocol: OFFICIAL standardize: false ", data, " } ",
        "backbone { [type.googleapis.com/cmerc.ScriptedBackboneOptions] { mistakes: [", mistakes,
        "] } } losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } } "
        "training { batch_size: 50 ",
        training, " }");
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

TEST_F(SelectedEpochTest, StopsAfterEpochsInARowWithoutABetterOne) {
  // The second is the best, the fourth no better than it, and the sixth never trained.
  const RunSummary summary = MustTrain("", "80, 60, 70, 60, 90, 10", "epochs: 6 patience: 3");
  EXPECT_EQ(summary.selected_epoch(), 2);
  EXPECT_EQ(summary.stopped_early().value(), 5);
  EXPECT_EQ(Epochs(folder_).size(), 5u);
  EXPECT_EQ(ReadCheckpoint(folder_ + "/last.pth")->metadata->epoch(), 5);
}

TEST_F(SelectedEpochTest, ABetterEpochEndsTheWait) {
  const RunSummary summary = MustTrain("", "80, 90, 70, 90, 60, 90", "epochs: 6 patience: 2");
  EXPECT_EQ(summary.selected_epoch(), 5);
  EXPECT_FALSE(summary.has_stopped_early());
  EXPECT_EQ(Epochs(folder_).size(), 6u);
}

TEST_F(SelectedEpochTest, SelectsByTheScoreItIsToldAndSaysSo) {
  for (const std::string by : {"NLL", "ACCURACY", "MACRO_F1"}) {
    SCOPED_TRACE(by);
    const RunSummary summary = MustTrain("", "101, 60, 60", "epochs: 3 select_by: " + by);
    // Of equal ones the first. The NLL goes on falling where as many are right.
    const std::vector<EpochReport> epochs = Epochs(folder_);
    const bool falls = epochs[2].test().calibration().nll() < epochs[1].test().calibration().nll();
    EXPECT_EQ(summary.selected_epoch(), by == "NLL" && falls ? 3 : 2);
    EXPECT_EQ(summary.selected_by().value(), by == "NLL"        ? "NLL"
                                             : by == "ACCURACY" ? "accuracy"
                                                                : "macro F1");
  }
  EXPECT_FALSE(MustTrain("", "101, 60, 60").has_selected_by());
}

TEST_F(SelectedEpochTest, AClearlyHigherScoreIsSelectedEitherWay) {
  EXPECT_EQ(MustTrain("", "101, 99, 60").selected_epoch(), 3);
  EXPECT_EQ(MustTrain("round_scores: true", "101, 99, 60").selected_epoch(), 3);
}

}  // namespace
}  // namespace cmerc
