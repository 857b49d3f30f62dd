// The weights of target_share, step by step, and what it says to bad options.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

constexpr char kType[] = "cmerc.TargetShareOptions";
constexpr char kRanking[] =
    "loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] "
    "{ reduction: MEAN views: 'audio' views: 'same_speaker' } } ";

// An utterance of two classes: whether it is predicted right, and surer of the truth without audio,
// or without the same speaker.
struct Utterance {
  bool right, surer_without_audio, surer_without_speaker;
};

// With it the truth has probability 0.6 (right) or 0.4, and 0.1 more or less without a source; the
// views that are not named leave all as it is.
LossInput InputOf(const std::vector<Utterance>& utterances) {
  LossInput input;
  std::vector<int64_t> labels;
  for (size_t i = 0; i < utterances.size(); ++i) labels.push_back(static_cast<int64_t>(i) % 2);
  const auto log_probs = [&](const auto& of_truth) {
    std::vector<torch::Tensor> rows;
    for (size_t i = 0; i < utterances.size(); ++i) {
      const double p = of_truth(utterances[i]);
      rows.push_back(labels[i] == 0 ? torch::tensor({p, 1 - p}) : torch::tensor({1 - p, p}));
    }
    return torch::stack(rows).log();
  };
  const auto full = [](const Utterance& one) { return one.right ? 0.6 : 0.4; };
  input.full.log_probs = log_probs(full);
  input.labels = torch::tensor(labels, torch::kInt64);
  for (const View& view : AllViews(LossTestInfo(2))) {
    const auto of_view = [&](const Utterance& one) {
      if (view.name() == "audio") return full(one) + (one.surer_without_audio ? 0.1 : -0.1);
      if (view.name() == "same_speaker") {
        return full(one) + (one.surer_without_speaker ? 0.1 : -0.1);
      }
      return full(one);
    };
    input.views.push_back({view, {log_probs(of_view), {}}});
  }
  return input;
}

std::unique_ptr<Loss> Made(const std::string& options) {
  auto loss = LossFromText(kType, options, LossTestInfo(2));
  EXPECT_TRUE(loss.ok()) << loss.status();
  return *std::move(loss);
}

std::map<std::string, double> Weights(const Loss& loss) {
  std::map<std::string, double> weights;
  for (const auto& [name, tensor] : loss.State()) weights[name] = tensor.item<double>();
  return weights;
}

double Value(const Loss& loss, const LossInput& input) {
  const absl::StatusOr<torch::Tensor> value = loss.Compute(input);
  EXPECT_TRUE(value.ok()) << value.status();
  return value->item<double>();
}

// All numbers are exact in float64.
TEST(TargetShareTest, WeightsOverSixStepsByHand) {
  const auto loss = Made(
      absl::StrCat(kRanking, "target: 0.25 step_size: 0.5 initial_weight: 0.5 max_weight: 0.875"));
  const auto weights_after = [&](const std::vector<Utterance>& utterances) {
    const absl::Status status = loss->AfterStep(InputOf(utterances));
    EXPECT_TRUE(status.ok()) << status;
    return Weights(*loss);
  };
  EXPECT_THAT(Weights(*loss),
              ElementsAre(Pair("weight/audio", 0.5), Pair("weight/same_speaker", 0.5)));
  // Of four right utterances three, and none; the wrong ones do not count.
  EXPECT_THAT(weights_after({{true, true, false},
                             {false, true, true},
                             {true, true, false},
                             {true, false, false},
                             {true, true, false},
                             {false, true, true}}),
              ElementsAre(Pair("weight/audio", 0.75), Pair("weight/same_speaker", 0.375)));
  // Of two both, which would make it 1.125.
  EXPECT_THAT(weights_after({{true, true, false}, {true, true, false}}),
              ElementsAre(Pair("weight/audio", 0.875), Pair("weight/same_speaker", 0.25)));
  // Nothing is right, so nothing is known of the share.
  EXPECT_THAT(weights_after({{false, true, true}}),
              ElementsAre(Pair("weight/audio", 0.875), Pair("weight/same_speaker", 0.25)));
  const std::vector<Utterance> none = {{true, false, false}};
  EXPECT_THAT(weights_after(none),
              ElementsAre(Pair("weight/audio", 0.75), Pair("weight/same_speaker", 0.125)));
  EXPECT_THAT(weights_after(none),
              ElementsAre(Pair("weight/audio", 0.625), Pair("weight/same_speaker", 0)));
  // Below 0 a weight would push the share up.
  EXPECT_THAT(weights_after(none),
              ElementsAre(Pair("weight/audio", 0.5), Pair("weight/same_speaker", 0)));
}

TEST(TargetShareTest, TheShareCanBeOfAllUtterances) {
  const auto loss = Made(absl::StrCat(kRanking, "utterances: ALL target: 0.25 step_size: 1"));
  // Surer is strictly more: an equal probability is none.
  LossInput input = InputOf(
      {{true, true, false}, {false, true, true}, {true, false, false}, {false, true, false}});
  ASSERT_TRUE(loss->AfterStep(input).ok());
  EXPECT_THAT(Weights(*loss),
              ElementsAre(Pair("weight/audio", 0.5), Pair("weight/same_speaker", 0)));
  for (ViewPrediction& view : input.views) view.prediction = input.full;
  ASSERT_TRUE(loss->AfterStep(input).ok());
  EXPECT_THAT(Weights(*loss),
              ElementsAre(Pair("weight/audio", 0.25), Pair("weight/same_speaker", 0)));
}

TEST(TargetShareTest, IsTheWeightedSumOfTheLossesOfItsViews) {
  const DatasetInfo info = LossTestInfo(4);
  const LossInput input = RandomLossInput(info, 20, 6, torch::kFloat64, 3);
  const std::vector<std::pair<std::string, std::string>> wrapped = {
      {"cmerc.CalibrationRankingOptions", "gate: FULL_IS_RIGHT"},
      {"cmerc.ShrunkDistillationOptions", "view_shrinkage { view: 'audio' shrinkage: 0.75 }"},
      {"cmerc.ViewNllOptions", "class_weights: INVERSE_FREQUENCY"}};
  for (const auto& [type, options] : wrapped) {
    SCOPED_TRACE(type);
    const auto loss = LossFromText(
        kType,
        absl::StrCat(
            "loss { [type.googleapis.com/", type, "] { ", options,
            " views: 'audio' views: 'visual' } } initial_weight: 0.5 step_size: 2 target: 0"),
        info);
    ASSERT_TRUE(loss.ok()) << loss.status();
    ASSERT_TRUE((*loss)->AfterStep(input).ok());
    const std::map<std::string, double> weights = Weights(**loss);
    EXPECT_NE(weights.at("weight/audio"), weights.at("weight/visual"));
    double expected = 0;
    for (const std::string view : {"audio", "visual"}) {
      // What is said of another view than its own is refused.
      const std::string own =
          view == "audio" || type != "cmerc.ShrunkDistillationOptions" ? options : std::string();
      const auto alone = LossFromText(type, absl::StrCat(own, " views: '", view, "'"), info);
      ASSERT_TRUE(alone.ok()) << alone.status();
      expected += weights.at("weight/" + view) * Value(**alone, input);
    }
    EXPECT_NEAR(Value(**loss, input), expected, 1e-12 * std::abs(expected));
    EXPECT_GT(expected, 0);
  }
}

TEST(TargetShareTest, WithoutALossItRanksTheMean) {
  const DatasetInfo info = LossTestInfo(4);
  const LossInput input = RandomLossInput(info, 20, 6, torch::kFloat64, 4);
  const auto loss = LossFromText(kType, "initial_weight: 1", info);
  const auto mean = LossFromText("cmerc.CalibrationRankingOptions", "reduction: MEAN", info);
  ASSERT_TRUE(loss.ok() && mean.ok());
  EXPECT_EQ((*loss)->views(), AllViews(info));
  // A mean over five views, and a sum.
  EXPECT_NEAR(Value(**loss, input), 5 * Value(**mean, input), 1e-12);
}

TEST(TargetShareTest, ComputingChangesNothing) {
  const auto loss = Made(absl::StrCat(kRanking, "initial_weight: 0.5"));
  const LossInput input = InputOf({{true, true, true}, {true, true, false}});
  const double first = Value(*loss, input);
  EXPECT_EQ(Value(*loss, input), first);
  EXPECT_THAT(Weights(*loss),
              ElementsAre(Pair("weight/audio", 0.5), Pair("weight/same_speaker", 0.5)));
  ASSERT_TRUE(loss->AfterStep(input).ok());
  EXPECT_GT(Value(*loss, input), first);
}

TEST(TargetShareTest, TeachesViewsWhereTheWrappedLossDoes) {
  const auto teaches = [](const std::string& wrapped) {
    return Made(absl::StrCat("loss { [type.googleapis.com/", wrapped, "] {} }"))->teaches_views();
  };
  EXPECT_FALSE(teaches("cmerc.CalibrationRankingOptions"));
  EXPECT_TRUE(teaches("cmerc.ShrunkDistillationOptions"));
}

TEST(TargetShareTest, AStepWithoutItsViewsIsRefused) {
  const auto loss = Made(kRanking);
  LossInput input = InputOf({{true, true, true}});
  input.views.clear();
  const absl::Status status = loss->AfterStep(input);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("audio"));
}

std::string Refusal(const std::string& options) {
  const auto loss = LossFromText(kType, options, LossTestInfo(2));
  EXPECT_EQ(loss.status().code(), absl::StatusCode::kInvalidArgument) << options;
  return std::string(loss.status().message());
}

TEST(TargetShareTest, RefusesBadOptions) {
  const std::string type = kType;
  EXPECT_EQ(Refusal("target: 1"), type + ": target = 1, must be in [0, 1)");
  EXPECT_EQ(Refusal("target: nan"), type + ": target = nan, must be finite and in [0, 1)");
  EXPECT_EQ(Refusal("step_size: 0"), type + ": step_size = 0, must be > 0");
  EXPECT_EQ(Refusal("max_weight: 0.5 initial_weight: 1"),
            type + ": initial_weight = 1, must be <= max_weight = 0.5");
  EXPECT_EQ(Refusal("loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] "
                    "{ views: 'txt' } }"),
            type +
                ": loss: cmerc.CalibrationRankingOptions: views has \"txt\", must be among text, "
                "audio, visual, same_speaker, other_speakers");
  for (const char* wrapped :
       {"cmerc.NllOptions", "cmerc.SupConOptions", "cmerc.TargetShareOptions"}) {
    EXPECT_EQ(Refusal(absl::StrCat("loss { [type.googleapis.com/", wrapped, "] {} }")),
              absl::StrCat(type, ": loss = ", wrapped,
                           " cannot be weighted view by view; wrap a loss that compares views, "
                           "such as CalibrationRankingOptions or ShrunkDistillationOptions"));
  }
  EXPECT_THAT(Refusal("loss {}"), StartsWith(type + ": loss: "));
}

}  // namespace
}  // namespace cmerc
