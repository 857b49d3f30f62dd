// The numbers of nll, label_smoothing, focal and calibration_ranking, and what they say to bad
// options.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

// Sums of a few float32 logarithms.
constexpr double kFloatTolerance = 1e-6;

// Two utterances of classes 0 and 2 with probabilities 0.5 and 0.1 of the truth.
LossInput TwoUtterances() {
  LossInput input;
  input.full.log_probs = torch::tensor({{0.5F, 0.25F, 0.25F}, {0.6F, 0.3F, 0.1F}}).log();
  input.labels = torch::tensor({0, 2}, torch::kInt64);
  return input;
}

double Value(const std::string& type, const std::string& options, const LossInput& input,
             const DatasetInfo& info = LossTestInfo(3)) {
  const auto loss = LossFromText(type, options, info);
  EXPECT_TRUE(loss.ok()) << loss.status();
  const absl::StatusOr<torch::Tensor> value = (*loss)->Compute(input);
  EXPECT_TRUE(value.ok()) << value.status();
  return value->item<double>();
}

std::string Refusal(const std::string& type, const std::string& options,
                    const DatasetInfo& info = LossTestInfo(3)) {
  const auto loss = LossFromText(type, options, info);
  EXPECT_EQ(loss.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(loss.status().message());
}

TEST(NllTest, IsTheMeanWithoutWeights) {
  EXPECT_NEAR(Value("cmerc.NllOptions", "", TwoUtterances()), -(std::log(0.5) + std::log(0.1)) / 2,
              kFloatTolerance);
}

TEST(NllTest, DividesByTheWeightsOfTheLabels) {
  const double expected = -(3 * std::log(0.5) + 0.5 * std::log(0.1)) / 3.5;
  EXPECT_NEAR(
      Value("cmerc.NllOptions", "class_weights: GIVEN weight: [3, 7, 0.5]", TwoUtterances()),
      expected, kFloatTolerance);
}

TEST(NllTest, InverseFrequencyComesFromTheTrainingSplit) {
  // 10, 20 and 30 training utterances: weights 2, 1 and 2/3.
  const double expected = -(2 * std::log(0.5) + std::log(0.1) * 2 / 3) / (2 + 2.0 / 3);
  EXPECT_NEAR(Value("cmerc.NllOptions", "class_weights: INVERSE_FREQUENCY", TwoUtterances()),
              expected, kFloatTolerance);
}

TEST(NllTest, AClassWithoutTrainingUtterancesCountsOnce) {
  DatasetInfo info = LossTestInfo(3);
  info.class_counts = {4, 8, 0};  // weights 1, 1/2 and 4
  const double expected = -(std::log(0.5) + 4 * std::log(0.1)) / 5;
  EXPECT_NEAR(Value("cmerc.NllOptions", "class_weights: INVERSE_FREQUENCY", TwoUtterances(), info),
              expected, kFloatTolerance);
}

TEST(NllTest, RefusesBadOptions) {
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: GIVEN weight: [1, 2]"),
            "cmerc.NllOptions: 2 values of weight, must be 3, one for each class of test");
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: GIVEN weight: [1, 0, 2]"),
            "cmerc.NllOptions: weight[1] = 0, must be > 0");
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: GIVEN weight: [1, 2, nan]"),
            "cmerc.NllOptions: weight[2] = nan, must be finite and > 0");
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: CLASS_BALANCED beta: 1"),
            "cmerc.NllOptions: beta = 1, must be in [0, 1)");
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: CLASS_BALANCED beta: -0.5"),
            "cmerc.NllOptions: beta = -0.5, must be in [0, 1)");
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: CLASS_BALANCED beta: nan"),
            "cmerc.NllOptions: beta = nan, must be finite and in [0, 1)");
  EXPECT_EQ(Refusal("cmerc.NllOptions", "weight: [1, 2, 3]"),
            "cmerc.NllOptions: 3 values of weight with class_weights = NONE, which ignores them; "
            "set class_weights: GIVEN or remove them");
  DatasetInfo info = LossTestInfo(3);
  info.class_counts.clear();
  EXPECT_EQ(Refusal("cmerc.NllOptions", "class_weights: INVERSE_FREQUENCY", info),
            "cmerc.NllOptions: class_weights = INVERSE_FREQUENCY needs a count for each of the 3 "
            "classes of test, which has 0");
}

TEST(NllTest, ClassBalancedComesFromTheTrainingSplit) {
  // The weights of classes 0 and 2 for 10, 20 and 30 training utterances and beta 0.999.
  const double first = 1.6311660860002413, third = 0.5491709495000249;
  EXPECT_NEAR(Value("cmerc.NllOptions", "class_weights: CLASS_BALANCED", TwoUtterances()),
              -(first * std::log(0.5) + third * std::log(0.1)) / (first + third), kFloatTolerance);
}

// The values of PyTorch's cross_entropy(weight=..., label_smoothing=...) in float64.
TEST(LabelSmoothingTest, IsPyTorchsCrossEntropy) {
  EXPECT_NEAR(Value("cmerc.LabelSmoothingOptions", "epsilon: 0.1", TwoUtterances()),
              1.4727981801640575, kFloatTolerance);
  EXPECT_NEAR(Value("cmerc.LabelSmoothingOptions",
                    "epsilon: 0.2 class_weights: GIVEN weight: [3, 7, 0.5]", TwoUtterances()),
              1.1877530925005308, kFloatTolerance);
}

TEST(LabelSmoothingTest, IsNllForEpsilonZero) {
  LossInput input = TwoUtterances();
  input.full.log_probs[0][1] = -INFINITY;  // a probability of 0 of another class
  for (const std::string weights : {"", "class_weights: INVERSE_FREQUENCY"}) {
    EXPECT_EQ(Value("cmerc.LabelSmoothingOptions", "epsilon: 0 " + weights, input),
              Value("cmerc.NllOptions", weights, input));
  }
}

TEST(LabelSmoothingTest, OnlyTheRatiosOfTheWeightsMatter) {
  const std::string given = "class_weights: GIVEN weight: ";
  // A power of 2, so exact.
  EXPECT_EQ(Value("cmerc.LabelSmoothingOptions", given + "[3, 7, 0.5]", TwoUtterances()),
            Value("cmerc.LabelSmoothingOptions", given + "[12, 28, 2]", TwoUtterances()));
}

TEST(LabelSmoothingTest, IsLeastAtTheSmoothedLabels) {
  // With epsilon 0.3 and 3 classes: 0.8 for the truth and 0.1 for the others.
  LossInput input;
  input.full.log_probs = torch::tensor({{0.1F, 0.8F, 0.1F}}).log().set_requires_grad(true);
  input.labels = torch::tensor({1}, torch::kInt64);
  const auto loss = LossFromText("cmerc.LabelSmoothingOptions", "epsilon: 0.3", LossTestInfo(3));
  ASSERT_TRUE(loss.ok()) << loss.status();
  (*loss)->Compute(input)->backward();
  // The gradient of the sum of t_c -log p_c by log p is -t; float32 rounds 1 - 0.3 + 0.1.
  EXPECT_TRUE(torch::allclose(input.full.log_probs.grad(), torch::tensor({{-0.1F, -0.8F, -0.1F}}),
                              0, 1e-7));
}

TEST(LabelSmoothingTest, RefusesBadOptions) {
  EXPECT_EQ(Refusal("cmerc.LabelSmoothingOptions", "epsilon: 1"),
            "cmerc.LabelSmoothingOptions: epsilon = 1, must be in [0, 1)");
  EXPECT_EQ(Refusal("cmerc.LabelSmoothingOptions", "epsilon: nan"),
            "cmerc.LabelSmoothingOptions: epsilon = nan, must be finite and in [0, 1)");
  EXPECT_EQ(Refusal("cmerc.LabelSmoothingOptions", "weight: [1, 2, 3]"),
            "cmerc.LabelSmoothingOptions: 3 values of weight with class_weights = NONE, which "
            "ignores them; set class_weights: GIVEN or remove them");
}

TEST(FocalTest, IsThePapersFormula) {
  const double expected = -(0.25 * std::log(0.5) + 0.81 * std::log(0.1)) / 2;
  EXPECT_NEAR(Value("cmerc.FocalOptions", "gamma: 2", TwoUtterances()), expected, kFloatTolerance);
}

TEST(FocalTest, IsCrossEntropyForGammaZero) {
  EXPECT_NEAR(Value("cmerc.FocalOptions", "gamma: 0", TwoUtterances()),
              Value("cmerc.NllOptions", "", TwoUtterances()), kFloatTolerance);
}

TEST(FocalTest, OfficialFormCountsEveryClass) {
  double expected = 0;
  const double probabilities[2][3] = {{0.5, 0.25, 0.25}, {0.6, 0.3, 0.1}};
  const int labels[2] = {0, 2};
  for (int i = 0; i < 2; ++i) {
    for (int c = 0; c < 3; ++c) {
      const double log_prob = std::log(probabilities[i][c]);
      expected -= (c == labels[i] ? std::pow(1 - log_prob, 2.5) : 1) * log_prob / 6;
    }
  }
  EXPECT_NEAR(Value("cmerc.FocalOptions", "form: OFFICIAL_ALL_CLASSES", TwoUtterances()), expected,
              kFloatTolerance * expected);
}

TEST(FocalTest, RefusesANegativeGamma) {
  EXPECT_EQ(Refusal("cmerc.FocalOptions", "gamma: -0.5"),
            "cmerc.FocalOptions: gamma = -0.5, must be >= 0");
}

// Full log-probabilities of the truth -1 and -2; the view "text" has -1 (a tie) and -0.5, the view
// "same_speaker" -3 and -1.75, all others -9.
LossInput RankedInput() {
  const auto log_probs = [](float first, float second) {
    return torch::tensor({{first, -5.0F, -5.0F}, {-5.0F, -5.0F, second}});
  };
  LossInput input;
  input.full.log_probs = log_probs(-1, -2);
  for (const View& view : AllViews(LossTestInfo(3))) {
    torch::Tensor of_view = log_probs(-9, -9);
    if (view.name() == "text") of_view = log_probs(-1, -0.5);
    if (view.name() == "same_speaker") of_view = log_probs(-3, -1.75);
    input.views.push_back({view, {of_view, {}}});
  }
  input.labels = torch::tensor({0, 2}, torch::kInt64);
  return input;
}

TEST(CalibrationRankingTest, SumsWhatViewsAreSurer) {
  // Exact in float32: 1.5 of "text" and 0.25 of "same_speaker".
  const std::string type = "cmerc.CalibrationRankingOptions";
  EXPECT_EQ(Value(type, "", RankedInput()), 1.75);
  EXPECT_EQ(Value(type, "views: 'text' views: 'audio'", RankedInput()), 1.5);
  EXPECT_EQ(Value(type, "views: 'same_speaker'", RankedInput()), 0.25);
  EXPECT_EQ(Value(type, "views: 'other_speakers'", RankedInput()), 0);
}

TEST(CalibrationRankingTest, PushesAtATieAndReachesTheViews) {
  LossInput input = RankedInput();
  input.full.log_probs.set_requires_grad(true);
  const torch::Tensor text = input.views[0].prediction.log_probs.set_requires_grad(true);
  const auto loss = LossFromText("cmerc.CalibrationRankingOptions", "", LossTestInfo(3));
  ASSERT_TRUE(loss.ok()) << loss.status();
  (*loss)->Compute(input)->backward();
  // Row 0 ties with "text" only; row 1 is below "text" and "same_speaker".
  EXPECT_TRUE(
      input.full.log_probs.grad().equal(torch::tensor({{-1.0F, 0.0F, 0.0F}, {0.0F, 0.0F, -2.0F}})));
  EXPECT_TRUE(text.grad().equal(torch::tensor({{1.0F, 0.0F, 0.0F}, {0.0F, 0.0F, 1.0F}})));
}

TEST(CalibrationRankingTest, TheMeanIsOverUtterancesAndViews) {
  // 1.75 over two utterances and five views, or over two and one.
  const std::string type = "cmerc.CalibrationRankingOptions";
  EXPECT_NEAR(Value(type, "reduction: MEAN", RankedInput()), 0.175, kFloatTolerance);
  EXPECT_EQ(Value(type, "reduction: MEAN views: 'same_speaker'", RankedInput()), 0.125);
}

TEST(CalibrationRankingTest, TheGateLeavesOutWhatTheFullPredictionGetsWrong) {
  LossInput input = RankedInput();
  input.full.log_probs[1][0] = -1.9F;  // before the truth, -2
  const std::string type = "cmerc.CalibrationRankingOptions";
  EXPECT_EQ(Value(type, "gate: FULL_IS_RIGHT", input), 0);
  EXPECT_EQ(Value(type, "gate: FULL_IS_RIGHT", RankedInput()), 1.75);
  EXPECT_EQ(Value(type, "", input), 1.75);
}

TEST(CalibrationRankingTest, OneSideCanBeHeld) {
  for (const bool full_moves : {false, true}) {
    LossInput input = RankedInput();
    input.full.log_probs.set_requires_grad(true);
    const torch::Tensor text = input.views[0].prediction.log_probs.set_requires_grad(true);
    const auto loss =
        LossFromText("cmerc.CalibrationRankingOptions",
                     full_moves ? "stop_gradient: VIEWS" : "stop_gradient: FULL", LossTestInfo(3));
    ASSERT_TRUE(loss.ok()) << loss.status();
    EXPECT_EQ((*loss)->teaches_views(), !full_moves);
    (*loss)->Compute(input)->backward();
    EXPECT_EQ(input.full.log_probs.grad().defined(), full_moves);
    EXPECT_EQ(text.grad().defined(), !full_moves);
  }
}

TEST(CalibrationRankingTest, DoesNotHideNaN) {
  LossInput input = RankedInput();
  input.views[0].prediction.log_probs.fill_(NAN);
  EXPECT_TRUE(std::isnan(Value("cmerc.CalibrationRankingOptions", "", input)));
}

TEST(CalibrationRankingTest, RefusesUnknownAndRepeatedViews) {
  EXPECT_EQ(Refusal("cmerc.CalibrationRankingOptions", "views: 'txt'"),
            "cmerc.CalibrationRankingOptions: views has \"txt\", must be among text, audio, "
            "visual, same_speaker, other_speakers");
  EXPECT_EQ(Refusal("cmerc.CalibrationRankingOptions", "views: 'text' views: 'text'"),
            "cmerc.CalibrationRankingOptions: views has \"text\" twice, must have it once");
}

// Predictions of two utterances of three classes, the views' unlike each other.
LossInput DistilledInput() {
  LossInput input;
  input.full.log_probs = torch::tensor({{0.7F, 0.2F, 0.1F}, {0.1F, 0.3F, 0.6F}}).log();
  float step = 0;
  for (const View& view : AllViews(LossTestInfo(3))) {
    step += 0.05F;
    input.views.push_back(
        {view,
         {torch::tensor({{0.4F + step, 0.3F, 0.3F - step}, {0.2F, 0.2F + step, 0.6F - step}}).log(),
          {}}});
  }
  input.labels = torch::tensor({0, 1}, torch::kInt64);
  return input;
}

TEST(ShrunkDistillationTest, IsTheDivergenceFromTheShrunkPrediction) {
  // 10, 20 and 30 training utterances.
  const double prior[3] = {1 / 6.0, 2 / 6.0, 3 / 6.0};
  const double full[2][3] = {{0.7, 0.2, 0.1}, {0.1, 0.3, 0.6}};
  const double audio[2][3] = {{0.5, 0.3, 0.2}, {0.2, 0.3, 0.5}};       // the second view
  const double visual[2][3] = {{0.55, 0.3, 0.15}, {0.2, 0.35, 0.45}};  // the third
  double expected = 0;
  for (int i = 0; i < 2; ++i) {
    for (int c = 0; c < 3; ++c) {
      const double of_audio = 0.8 * full[i][c] + 0.2 * prior[c];
      const double of_visual = 0.5 * full[i][c] + 0.5 * prior[c];
      expected += (of_audio * std::log(of_audio / audio[i][c]) +
                   of_visual * std::log(of_visual / visual[i][c])) /
                  4;
    }
  }
  EXPECT_NEAR(Value("cmerc.ShrunkDistillationOptions",
                    "views: 'visual' views: 'audio' shrinkage: 0.2 "
                    "view_shrinkage { view: 'visual' shrinkage: 0.5 }",
                    DistilledInput()),
              expected, kFloatTolerance);
}

TEST(ShrunkDistillationTest, AUniformCenterIsLessSureOfTheFirstClass) {
  const double full[2][3] = {{0.7, 0.2, 0.1}, {0.1, 0.3, 0.6}};
  LossInput input = DistilledInput();
  std::vector<double> goals;
  for (const auto& row : full) {
    for (const double p : row) goals.push_back(0.75 * p + 0.25 / 3);
  }
  const torch::Tensor goal = torch::tensor(goals).view({2, 3});
  for (ViewPrediction& view : input.views) view.prediction.log_probs = goal.log();
  const std::string uniform = "shrinkage: 0.25 center: UNIFORM";
  EXPECT_NEAR(Value("cmerc.ShrunkDistillationOptions", uniform, input), 0, kFloatTolerance);
  // The other center is another goal.
  EXPECT_GT(Value("cmerc.ShrunkDistillationOptions", "shrinkage: 0.25", input), 1e-3);
}

TEST(ShrunkDistillationTest, TeachesTheViewsAlone) {
  LossInput input = DistilledInput();
  input.full.log_probs.set_requires_grad(true);
  for (ViewPrediction& view : input.views) view.prediction.log_probs.set_requires_grad(true);
  const auto loss = LossFromText("cmerc.ShrunkDistillationOptions", "", LossTestInfo(3));
  ASSERT_TRUE(loss.ok()) << loss.status();
  EXPECT_TRUE((*loss)->teaches_views());
  (*loss)->Compute(input)->backward();
  EXPECT_FALSE(input.full.log_probs.grad().defined());
  for (const ViewPrediction& view : input.views) {
    EXPECT_TRUE(view.prediction.log_probs.grad().defined()) << view.view.name();
  }
}

TEST(ShrunkDistillationTest, IsZeroAtItsGoal) {
  LossInput input = DistilledInput();
  const torch::Tensor prior = torch::tensor({1 / 6.0F, 2 / 6.0F, 3 / 6.0F});
  for (ViewPrediction& view : input.views) {
    view.prediction.log_probs = (0.7 * input.full.log_probs.exp() + 0.3 * prior).log();
  }
  EXPECT_NEAR(Value("cmerc.ShrunkDistillationOptions", "", input), 0, kFloatTolerance);
}

TEST(ShrunkDistillationTest, RefusesBadOptions) {
  const std::string type = "cmerc.ShrunkDistillationOptions";
  EXPECT_EQ(Refusal(type, "shrinkage: 1.5"), type + ": shrinkage = 1.5, must be in [0, 1]");
  EXPECT_EQ(Refusal(type, "view_shrinkage { view: 'text' shrinkage: -1 }"),
            type + ": view_shrinkage[0].shrinkage = -1, must be in [0, 1]");
  EXPECT_EQ(Refusal(type, "view_shrinkage { view: 'txt' }"),
            type + ": view_shrinkage has \"txt\", which is none of its views");
  EXPECT_EQ(Refusal(type, "views: 'audio' view_shrinkage { view: 'text' }"),
            type + ": view_shrinkage has \"text\", which is none of its views");
  EXPECT_EQ(Refusal(type, "view_shrinkage { view: 'text' } view_shrinkage { view: 'text' }"),
            type + ": view_shrinkage has \"text\" twice, must have it once");
  DatasetInfo info = LossTestInfo(3);
  info.class_counts = {0, 0, 0};
  EXPECT_EQ(Refusal(type, "", info),
            type +
                ": needs the shares of the 3 classes of test, whose training split has no "
                "utterance");
}

TEST(ViewNllTest, IsTheMeanOverTheViews) {
  // The probabilities of classes 0 and 1 by the views "audio" and "visual".
  EXPECT_NEAR(Value("cmerc.ViewNllOptions", "views: 'audio' views: 'visual'", DistilledInput()),
              -(std::log(0.5) + std::log(0.3) + std::log(0.55) + std::log(0.35)) / 4,
              kFloatTolerance);
  EXPECT_NEAR(Value("cmerc.ViewNllOptions",
                    "views: 'audio' class_weights: GIVEN weight: [3, 7, 0.5]", DistilledInput()),
              -(3 * std::log(0.5) + 7 * std::log(0.3)) / 10, kFloatTolerance);
}

TEST(ViewNllTest, RefusesBadOptions) {
  EXPECT_EQ(Refusal("cmerc.ViewNllOptions", "class_weights: GIVEN weight: [1, 2]"),
            "cmerc.ViewNllOptions: 2 values of weight, must be 3, one for each class of test");
  EXPECT_EQ(Refusal("cmerc.ViewNllOptions", "views: 'txt'"),
            "cmerc.ViewNllOptions: views has \"txt\", must be among text, audio, visual, "
            "same_speaker, other_speakers");
}

TEST(LossesTest, SayHowMuchTheClassesCount) {
  const DatasetInfo info = LossTestInfo(3);
  for (const char* type : {"cmerc.NllOptions", "cmerc.LabelSmoothingOptions"}) {
    const auto given =
        LossFromText(type, "class_weights: GIVEN weight: 1 weight: 0.25 weight: 3", info);
    ASSERT_TRUE(given.ok()) << given.status();
    EXPECT_EQ((*given)->class_weights(), (std::vector<double>{1, 0.25, 3})) << type;
    const auto none = LossFromText(type, "", info);
    ASSERT_TRUE(none.ok()) << none.status();
    EXPECT_TRUE((*none)->class_weights().empty()) << type;
  }
}

}  // namespace
}  // namespace cmerc
