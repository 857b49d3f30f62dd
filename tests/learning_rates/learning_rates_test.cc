// The numbers of every learning rate.
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/learning_rate.h"

namespace cmerc {
namespace {

using testing::DoubleNear;
using testing::Pointwise;

absl::StatusOr<std::unique_ptr<LearningRate>> FromText(const std::string& type,
                                                       const std::string& options) {
  google::protobuf::Any any;
  const std::string text =
      absl::StrCat("[type.googleapis.com/cmerc.", type, "RateOptions] {", options, "}");
  if (!google::protobuf::TextFormat::ParseFromString(text, &any)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot parse ", text));
  }
  return LearningRates().Create(any);
}

// The factors of all steps of a run whose epochs have so many steps.
std::vector<double> Factors(const std::string& type, const std::string& options,
                            const std::vector<int64_t>& steps,
                            const std::vector<double>& scores = {}) {
  const auto rate = FromText(type, options);
  EXPECT_TRUE(rate.ok()) << rate.status();
  std::vector<double> factors;
  for (size_t epoch = 0; rate.ok() && epoch < steps.size(); ++epoch) {
    for (int64_t step = 0; step < steps[epoch]; ++step) {
      StepPlace place{static_cast<int64_t>(epoch), static_cast<int64_t>(steps.size()), step,
                      steps[epoch],
                      absl::MakeConstSpan(scores).subspan(0, std::min(epoch, scores.size()))};
      factors.push_back((*rate)->Factor(place));
    }
  }
  return factors;
}

// One for each epoch of one step.
std::vector<double> OfEpochs(const std::string& type, const std::string& options, size_t epochs,
                             const std::vector<double>& scores = {}) {
  return Factors(type, options, std::vector<int64_t>(epochs, 1), scores);
}

// Of a few operations in double.
auto Near(const std::vector<double>& factors) { return Pointwise(DoubleNear(1e-12), factors); }

TEST(ConstantRateTest, IsOneInEveryStep) {
  EXPECT_THAT(Factors("Constant", "", {2, 3}), Pointwise(testing::Eq(), {1.0, 1.0, 1.0, 1.0, 1.0}));
}

TEST(ConstantRateTest, WarmsUpInEqualStepsToTheFullRate) {
  EXPECT_THAT(Factors("Constant", "warmup_epochs: 2", {2, 2, 2}), Near({0.25, 0.5, 0.75, 1, 1, 1}));
  // Part of an epoch; and epochs of more and more steps, as of a curriculum.
  EXPECT_THAT(Factors("Constant", "warmup_epochs: 0.5", {4}), Near({0.5, 1, 1, 1}));
  EXPECT_THAT(Factors("Constant", "warmup_epochs: 2", {1, 2, 4}), Near({0.5, 0.75, 1, 1, 1, 1, 1}));
}

TEST(CosineRateTest, IsHalfACosineOverTheRunAndNeverQuiteItsEnd) {
  // cos(0), cos(45), cos(90), cos(135) degrees.
  const double r = std::sqrt(0.5);
  EXPECT_THAT(OfEpochs("Cosine", "", 4), Near({1, (1 + r) / 2, 0.5, (1 - r) / 2}));
  EXPECT_THAT(OfEpochs("Cosine", "min_factor: 0.2", 2), Near({1, 0.6}));
}

TEST(CosineRateTest, ComesAfterTheWarmUp) {
  // Two epochs up; then 0, 1/2 of the two that are left.
  EXPECT_THAT(OfEpochs("Cosine", "warmup_epochs: 2", 4), Near({0.5, 1, 1, 0.5}));
  // A run that is over before.
  EXPECT_THAT(OfEpochs("Cosine", "warmup_epochs: 4", 2), Near({0.25, 0.5}));
}

TEST(LinearRateTest, FallsInEqualSteps) {
  EXPECT_THAT(Factors("Linear", "", {2, 2}), Near({1, 0.75, 0.5, 0.25}));
  EXPECT_THAT(OfEpochs("Linear", "min_factor: 0.5", 2), Near({1, 0.75}));
  EXPECT_THAT(OfEpochs("Linear", "warmup_epochs: 1", 3), Near({1, 1, 0.5}));
}

TEST(StepRateTest, DropsEveryFewEpochs) {
  EXPECT_THAT(OfEpochs("Step", "step_epochs: 2 gamma: 0.5", 6), Near({1, 1, 0.5, 0.5, 0.25, 0.25}));
  EXPECT_THAT(Factors("Step", "step_epochs: 1", {2, 2}), Near({1, 1, 0.1, 0.1}));
}

TEST(StepRateTest, DropsAtItsMilestonesInWhateverOrder) {
  EXPECT_THAT(OfEpochs("Step", "milestones: [3, 1] gamma: 0.5", 5),
              Near({1, 0.5, 0.5, 0.25, 0.25}));
}

// What torch.optim.lr_scheduler.ReduceLROnPlateau(mode="max", factor=0.5, patience=1,
// threshold=0.05, threshold_mode="abs") makes of these scores, step after step: the second is not
// better by more than 0.05, the third is one too many.
TEST(PlateauRateTest, DropsAfterOneEpochMoreThanItsPatience) {
  EXPECT_THAT(OfEpochs("Plateau", "gamma: 0.5 patience: 1 threshold: 0.05", 8,
                       {0.5, 0.54, 0.53, 0.6, 0.6, 0.6, 0.6}),
              Near({1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25}));
}

// The same with cooldown=2: bad epochs while it cools down are forgotten.
TEST(PlateauRateTest, CoolsDown) {
  EXPECT_THAT(
      OfEpochs("Plateau", "gamma: 0.5 patience: 0 cooldown: 2", 7, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}),
      Near({1, 1, 0.5, 0.5, 0.5, 0.25, 0.25}));
}

TEST(PlateauRateTest, TakesScoresBelowZeroAndHasALeastFactor) {
  // NLL of 1.2, 1.0, 1.1, 1.1: the second is better.
  EXPECT_THAT(
      OfEpochs("Plateau", "gamma: 0.1 patience: 0 min_factor: 0.05", 5, {-1.2, -1.0, -1.1, -1.1}),
      Near({1, 1, 1, 0.1, 0.05}));
}

TEST(PlateauRateTest, IsTheSameForAllStepsOfAnEpoch) {
  EXPECT_THAT(Factors("Plateau", "gamma: 0.5 patience: 0 warmup_epochs: 1", {2, 2, 2}, {0.5, 0.4}),
              Near({0.5, 1, 1, 1, 0.5, 0.5}));
}

TEST(LearningRateOptionsTest, AreRefusedOutsideTheirRange) {
  const auto refusal = [](const std::string& type, const std::string& options) {
    const auto rate = FromText(type, options);
    EXPECT_EQ(rate.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(rate.status().message());
  };
  for (const std::string type : {"Constant", "Cosine", "Linear", "Plateau", "Step"}) {
    EXPECT_EQ(refusal(type, "warmup_epochs: -1"),
              absl::StrCat("cmerc.", type, "RateOptions: warmup_epochs = -1, must be >= 0"));
    EXPECT_EQ(
        refusal(type, "warmup_epochs: inf"),
        absl::StrCat("cmerc.", type, "RateOptions: warmup_epochs = inf, must be finite and >= 0"));
  }
  EXPECT_EQ(refusal("Cosine", "min_factor: 1.5"),
            "cmerc.CosineRateOptions: min_factor = 1.5, must be in [0, 1]");
  EXPECT_EQ(refusal("Step", "milestones: [3, 0]"),
            "cmerc.StepRateOptions: milestones[1] = 0, must be >= 1");
  EXPECT_EQ(refusal("Plateau", "gamma: 1"),
            "cmerc.PlateauRateOptions: gamma = 1, must be in (0, 1)");
}

}  // namespace
}  // namespace cmerc
