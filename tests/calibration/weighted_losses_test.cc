// The losses that a config asks for, with their weights.
#include "calibration/weighted_losses.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kNll[] = "losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } }";

RunConfig Config(const std::string& text) {
  RunConfig config;
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), text);
  return config;
}

std::string Ranking(double weight) {
  return "losses { weight: " + std::to_string(weight) +
         " loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] {} } }";
}

std::vector<WeightedLoss> Make(const std::string& text) {
  absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(Config(text), StubInfo());
  TORCH_CHECK(losses.ok(), losses.status().ToString());
  return *std::move(losses);
}

TEST(MakeLossesTest, KeepsTheOrderAndLeavesOutWeightZero) {
  const std::vector<WeightedLoss> losses = Make(Ranking(0.5) + kNll + Ranking(0));
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].name, "cmerc.CalibrationRankingOptions");
  EXPECT_EQ(losses[0].weight, 0.5);
  EXPECT_EQ(losses[1].name, "cmerc.NllOptions");
  EXPECT_EQ(losses[1].weight, 1);
}

TEST(MakeLossesTest, AWeightThatWarmsUp) {
  const std::vector<WeightedLoss> losses =
      Make(std::string(kNll) +
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
    const absl::Status status = MakeLosses(Config(text), StubInfo()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("nothing would learn the emotions"));
  }
}

TEST(MakeLossesTest, ALossThatTeachesViewsNeedsTheirGradient) {
  const std::string distilled =
      std::string(kNll) + "losses { loss { [type.googleapis.com/cmerc.ViewNllOptions] {} } }";
  const absl::Status status = MakeLosses(Config(distilled), StubInfo()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "calibration.view_weights = EPOCH_SNAPSHOT: cmerc.ViewNllOptions teaches the "
            "predictions without a source of evidence, which have no gradient then; set "
            "calibration { view_weights: LIVE_PAIRED }");
  for (const std::string weights : {"LIVE_WITH_GRADIENT", "LIVE_PAIRED"}) {
    EXPECT_EQ(Make(distilled + "calibration { view_weights: " + weights + " }").size(), 2U);
  }
}

TEST(MakeLossesTest, ReportsEveryLossThatRefusesItsOptions) {
  const absl::Status status =
      MakeLosses(Config(std::string(kNll) + R"pb(
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
  EXPECT_TRUE(ViewsOf(Make(kNll)).empty());
  const std::string mscl = "losses { loss { [type.googleapis.com/cmerc.MsclOptions] {} } }";
  EXPECT_EQ(ViewsOf(Make(kNll + mscl)), ModalityViews(StubInfo()));
  EXPECT_EQ(ViewsOf(Make(kNll + mscl + Ranking(1) + Ranking(2))), AllViews(StubInfo()));
}

}  // namespace
}  // namespace cmerc
