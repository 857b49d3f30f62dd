// The losses that a config asks for, with their weights.
#include "calibration/weighted_losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/calibration/stub.h"
#include "tests/calibration/stub_losses.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(MakeLossesTest, KeepsTheOrderAndLeavesOutWeightZero) {
  const std::vector<WeightedLoss> losses = StubLosses(Ranking(0.5) + kNll + Ranking(0));
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].name, "cmerc.CalibrationRankingOptions");
  EXPECT_EQ(losses[0].weight, 0.5);
  EXPECT_EQ(losses[1].name, "cmerc.NllOptions");
  EXPECT_EQ(losses[1].weight, 1);
}

TEST(MakeLossesTest, AWeightThatWarmsUp) {
  const std::vector<WeightedLoss> losses =
      StubLosses(std::string(kNll) +
                 "losses { weight: 3 warm_up_epochs: 4 loss { "
                 "[type.googleapis.com/cmerc.CalibrationRankingOptions] {} } }");
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].WeightIn(1), 1);
  EXPECT_EQ(losses[1].WeightIn(1), 0);
  EXPECT_EQ(losses[1].WeightIn(2), 0.75);
  EXPECT_EQ(losses[1].WeightIn(4), 2.25);
  EXPECT_EQ(losses[1].WeightIn(5), 3);
  EXPECT_EQ(losses[1].WeightIn(500), 3);
  EXPECT_THAT(ViewsOf(losses, 1), IsEmpty());
  EXPECT_EQ(ViewsOf(losses, 2), ViewsOf(losses));
}

TEST(MakeLossesTest, WithoutALossThatLearnsTheTask) {
  for (const std::string& text :
       {std::string(), Ranking(1),
        std::string(
            "losses { warm_up_epochs: 2 loss { [type.googleapis.com/cmerc.NllOptions] {} } }"),
        Ranking(1) + "losses { weight: 0 loss { [type.googleapis.com/cmerc.NllOptions] {} } }"}) {
    const absl::Status status = MakeLosses(ConfigOf(text), StubInfo()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("nothing would learn the emotions"));
  }
}

TEST(MakeLossesTest, ALossThatTeachesViewsNeedsTheirGradient) {
  const std::string distilled =
      std::string(kNll) + "losses { loss { [type.googleapis.com/cmerc.ViewNllOptions] {} } }";
  const absl::Status status = MakeLosses(ConfigOf(distilled), StubInfo()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "calibration.view_weights = EPOCH_SNAPSHOT: cmerc.ViewNllOptions teaches the "
            "predictions without a source of evidence, which have no gradient then; set "
            "calibration { view_weights: LIVE_PAIRED }");
  for (const std::string weights : {"LIVE_WITH_GRADIENT", "LIVE_PAIRED"}) {
    EXPECT_EQ(StubLosses(distilled + "calibration { view_weights: " + weights + " }").size(), 2U);
  }
}

TEST(MakeLossesTest, ReportsEveryLossThatRefusesItsOptions) {
  const absl::Status status =
      MakeLosses(ConfigOf(std::string(kNll) + R"pb(
                   losses {
                     loss {
                       [type.googleapis.com/cmerc.NllOptions] { class_weights: GIVEN weight: 1 }
                     }
                   }
                   losses {
                     weight: 0
                     loss {
                       [type.googleapis.com/cmerc.CalibrationRankingOptions] { views: "smell" }
                     }
                   }
                 )pb"),
                 StubInfo())
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("losses[1]: "), HasSubstr("losses[2]: "), HasSubstr("smell"),
                             testing::Not(HasSubstr("losses[0]"))));
}

TEST(MakeLossesTest, OnlyALossThatCanBeTakenApartIsLeftSomeOfItsViews) {
  const std::string some = "calibration { views_per_step: 2 }";
  EXPECT_EQ(StubLosses(kNll + Ranking(1) + some).size(), 2U);
  const std::string share = "losses { loss { [type.googleapis.com/cmerc.TargetShareOptions] {} } }";
  const absl::Status status = MakeLosses(ConfigOf(kNll + share + some), StubInfo()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("calibration.views_per_step = 2"));
}

TEST(DrawViewsTest, EveryViewAsOften) {
  const std::vector<View> views = AllViews(StubInfo());
  std::map<std::string, int> drawn;
  constexpr int kDraws = 4000;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::mt19937 random(draw);
    const std::vector<View> two = DrawViews(views, 2, random);
    ASSERT_EQ(two.size(), 2U);
    // In the order they had.
    EXPECT_LT(std::find(views.begin(), views.end(), two[0]),
              std::find(views.begin(), views.end(), two[1]));
    for (const View& view : two) ++drawn[view.name()];
  }
  ASSERT_EQ(drawn.size(), 5U);
  // 1600 expected, with a deviation of 31; the draws are the same ones every time.
  for (const auto& [name, count] : drawn) EXPECT_NEAR(count, kDraws * 2 / 5, 125) << name;
}

TEST(DrawViewsTest, AllOfThemAreNotDrawn) {
  const std::vector<View> views = AllViews(StubInfo());
  for (const int count : {0, 5, 6}) {
    std::mt19937 random(7), untouched(7);
    EXPECT_EQ(DrawViews(views, count, random), views);
    EXPECT_EQ(random, untouched);
  }
}

// Log-probabilities that differ from view to view.
LossInput InputOfViews(const std::vector<View>& views) {
  LossInput input;
  torch::manual_seed(3);
  const auto predict = [] { return Prediction{torch::randn({6, 3}).log_softmax(1), {}}; };
  input.full = predict();
  for (const View& view : views) input.views.push_back({view, predict()});
  input.labels = torch::arange(6) % 3;
  return input;
}

TEST(LossOfDrawnTest, OverAllDrawsItIsALossThatIsAMeanOverViews) {
  const std::vector<WeightedLoss> losses =
      StubLosses(std::string(kNll) +
                 "losses { loss { [type.googleapis.com/cmerc.ViewNllOptions] {} } } "
                 "calibration { view_weights: LIVE_PAIRED }");
  const Loss& loss = *losses[1].loss;
  const std::vector<View> views = loss.views();
  const LossInput input = InputOfViews(views);
  const double all = loss.Compute(input)->item<double>();
  double sum = 0;
  int pairs = 0;
  for (size_t a = 0; a < views.size(); ++a) {
    for (size_t b = a + 1; b < views.size(); ++b, ++pairs) {
      sum += LossOfDrawn(loss, {views[a], views[b]}, input)->item<double>();
    }
  }
  EXPECT_NEAR(sum / pairs, all, 1e-6);  // sums of 20 float32 numbers around 1
  EXPECT_EQ(LossOfDrawn(loss, views, input)->item<double>(), all);
}

TEST(LossOfDrawnTest, WithoutAnyOfItsViewsThereIsNone) {
  const std::vector<WeightedLoss> losses = StubLosses(
      std::string(kNll) + "losses { loss { [type.googleapis.com/cmerc.MsclOptions] {} } }");
  const auto value = LossOfDrawn(*losses[1].loss, ContextViews(), InputOfViews(ContextViews()));
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_FALSE(value->defined());
  // One that needs none is what it always is.
  EXPECT_TRUE(LossOfDrawn(*losses[0].loss, ContextViews(), InputOfViews({}))->defined());
}

TEST(ViewsOfTest, EveryViewOnce) {
  EXPECT_TRUE(ViewsOf(StubLosses(kNll)).empty());
  const std::string mscl = "losses { loss { [type.googleapis.com/cmerc.MsclOptions] {} } }";
  EXPECT_EQ(ViewsOf(StubLosses(kNll + mscl)), ModalityViews(StubInfo()));
  EXPECT_EQ(ViewsOf(StubLosses(kNll + mscl + Ranking(1) + Ranking(2))), AllViews(StubInfo()));
}

}  // namespace
}  // namespace cmerc
