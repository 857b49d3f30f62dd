// The losses that a config asks for, with their weights.
#include "calibration/weighted_losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(ViewsOfTest, EveryViewOnce) {
  EXPECT_TRUE(ViewsOf(StubLosses(kNll)).empty());
  const std::string mscl = "losses { loss { [type.googleapis.com/cmerc.MsclOptions] {} } }";
  EXPECT_EQ(ViewsOf(StubLosses(kNll + mscl)), ModalityViews(StubInfo()));
  EXPECT_EQ(ViewsOf(StubLosses(kNll + mscl + Ranking(1) + Ranking(2))), AllViews(StubInfo()));
}

}  // namespace
}  // namespace cmerc
