#include "training/train_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/sgd.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "calibration/predict_views.h"
#include "calibration/views.h"
#include "calibration/weighted_losses.h"
#include "core/confidence.h"
#include "storage/module_state.h"
#include "tests/calibration/stub.h"
#include "tests/calibration/stub_losses.h"
#include "training/step_numbers.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CalibrationConfig ViewWeights(CalibrationConfig::Weights weights) {
  CalibrationConfig config;
  config.set_view_weights(weights);
  return config;
}

// A loss that is what a test says it is, and counts the steps that it is shown.
class FunctionLoss final : public Loss {
 public:
  explicit FunctionLoss(std::function<torch::Tensor(const LossInput&)> function)
      : function_(std::move(function)) {}

  std::vector<View> views() const override { return ContextViews(); }
  std::map<std::string, torch::Tensor> State() const override { return {{"steps", steps_}}; }

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override { return function_(input); }
  void AfterStepImpl(const LossInput& input) override {
    EXPECT_FALSE(input.full.log_probs.requires_grad());
    EXPECT_FALSE(input.at(ContextViews()[1]).log_probs.requires_grad());
    steps_ += 1;
  }

  const std::function<torch::Tensor(const LossInput&)> function_;
  torch::Tensor steps_ = torch::zeros({}, torch::kInt64);
};

std::vector<WeightedLoss> One(std::function<torch::Tensor(const LossInput&)> function,
                              double weight = 1) {
  std::vector<WeightedLoss> losses;
  losses.push_back({"test.Loss", weight, std::make_unique<FunctionLoss>(std::move(function))});
  return losses;
}

torch::optim::SGD Sgd(Backbone& backbone) {
  return torch::optim::SGD(backbone.parameters(), torch::optim::SGDOptions(1));
}

TEST(CopyStateTest, CopiesParametersAndBuffers) {
  StubBackbone from(3);
  from.steps.fill_(7);
  StubBackbone to(1);
  const torch::Tensor parameter = to.gain;
  CopyState(from, to);
  EXPECT_EQ(to.gain.item<float>(), 3);
  EXPECT_EQ(to.steps.item<int64_t>(), 7);
  EXPECT_TRUE(to.gain.is_same(parameter));
  EXPECT_FALSE(to.gain.is_alias_of(from.gain));
}

TEST(PredictViewsTest, InEvaluationModeAndBack) {
  const Batch batch = RandomBatch({4, 2});
  for (const bool training : {true, false}) {
    StubBackbone backbone;
    backbone.train(training);
    const auto views = PredictViews(backbone, batch, AllViews(StubInfo()), {}, false);
    ASSERT_TRUE(views.ok()) << views.status();
    EXPECT_EQ(backbone.passes, std::vector<bool>(4, false));
    EXPECT_EQ(backbone.is_training(), training);
    EXPECT_EQ(backbone.steps.item<int64_t>(), 0);
    ASSERT_EQ(views->size(), 4U);
    backbone.eval();
    for (const ViewPrediction& view : *views) {
      const Batch masked = ApplyView(batch, view.view, CalibrationConfig::REAL_UTTERANCES);
      EXPECT_TRUE(view.prediction.log_probs.equal(backbone.Forward(masked)->log_probs));
    }
  }
}

TEST(PredictViewsTest, AnErrorLeavesTheModeToo) {
  Batch batch = RandomBatch({4, 2});
  batch.labels = torch::full({6}, 9, torch::kInt64);
  StubBackbone backbone;
  const auto views = PredictViews(backbone, batch, AllViews(StubInfo()), {}, false);
  EXPECT_EQ(views.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(backbone.is_training());
}

TEST(PredictViewsTest, WithAGradientOnlyWhenAskedFor) {
  const Batch batch = RandomBatch({4, 2});
  StubBackbone backbone;
  for (const bool with_gradient : {true, false}) {
    const auto views = PredictViews(backbone, batch, ContextViews(), {}, with_gradient);
    ASSERT_TRUE(views.ok()) << views.status();
    for (const ViewPrediction& view : *views) {
      EXPECT_EQ(view.prediction.log_probs.requires_grad(), with_gradient);
      EXPECT_EQ(view.prediction.features.requires_grad(), with_gradient);
    }
    EXPECT_TRUE(torch::GradMode::is_enabled());
  }
}

TEST(TrainStepTest, ReportsTheLossesAndStepsDownTheGradient) {
  const Batch batch = RandomBatch({4, 2});
  StubBackbone backbone(0.5);
  const torch::Tensor log_probs = StubBackbone(0.5).Forward(batch)->log_probs;
  torch::optim::SGD optimizer = Sgd(backbone);
  const std::vector<WeightedLoss> losses = StubLosses(
      std::string(kNll) +
      "losses { weight: 3 loss { [type.googleapis.com/cmerc.FocalOptions] { gamma: 0 } } }");
  const auto report = TrainStep({backbone, backbone, optimizer, losses}, batch);
  ASSERT_TRUE(report.ok()) << report.status();
  // With gamma 0 the focal loss is the negative log-likelihood; one float32 mean of six each.
  const double nll = -TrueClassLogProbs(log_probs, batch.labels).mean().item<double>();
  ASSERT_EQ(report->losses.size(), 2U);
  EXPECT_NEAR(report->losses[0], nll, 1e-6);
  EXPECT_NEAR(report->losses[1], nll, 1e-6);
  EXPECT_NEAR(report->total, 4 * nll, 4e-6);

  torch::Tensor gain = torch::tensor(0.5F).set_requires_grad(true);
  const torch::Tensor logits = log_probs.detach() / 0.5;  // up to a constant per row
  const torch::Tensor loss =
      4 * -TrueClassLogProbs((gain * logits).log_softmax(1), batch.labels).mean();
  const double slope = torch::autograd::grad({loss}, {gain})[0].item<double>();
  EXPECT_GT(std::abs(slope), 0.01);
  EXPECT_NEAR(backbone.gain.item<double>(), 0.5 - slope, 1e-5);

  EXPECT_FALSE(report->input.full.log_probs.requires_grad());
  EXPECT_FALSE(report->input.full.features.requires_grad());
  EXPECT_TRUE(report->input.full.log_probs.equal(log_probs));
  EXPECT_TRUE(report->input.labels.equal(batch.labels));
}

// In its first epoch a loss that warms up is as if it were not there; later it has its part.
TEST(TrainStepTest, ALossThatWarmsUp) {
  const Batch batch = RandomBatch({4, 2});
  const std::string ranking =
      "losses { weight: 3 warm_up_epochs: 2 loss { "
      "[type.googleapis.com/cmerc.CalibrationRankingOptions] {} } }";
  const auto step = [&](const std::string& text, int epoch) {
    StubBackbone backbone(0.5);
    torch::optim::SGD optimizer = Sgd(backbone);
    const std::vector<WeightedLoss> losses = StubLosses(text);
    StepContext context{backbone, backbone, optimizer, losses};
    context.epoch = epoch;
    const auto report = TrainStep(context, batch);
    EXPECT_TRUE(report.ok()) << report.status();
    return *report;
  };
  const StepReport plain = step(kNll, 1), first = step(kNll + ranking, 1);
  EXPECT_EQ(first.total, plain.total);
  EXPECT_THAT(first.losses, ElementsAre(plain.losses[0], 0));
  EXPECT_THAT(first.input.views, IsEmpty());
  const StepReport second = step(kNll + ranking, 2), third = step(kNll + ranking, 3);
  EXPECT_EQ(second.losses, third.losses);
  ASSERT_GT(second.losses[1], 0);
  // Sums of float32 numbers of this size.
  EXPECT_NEAR(second.total - second.losses[0], 1.5 * second.losses[1], 1e-5);
  EXPECT_NEAR(third.total - third.losses[0], 3 * third.losses[1], 1e-5);
}

// Neither a step that is refused nor one that it has no part in.
TEST(TrainStepTest, ALossRemembersTheStepsThatWereTaken) {
  const Batch batch = RandomBatch({4, 2});
  StubBackbone backbone(0.5);
  torch::optim::SGD optimizer = Sgd(backbone);
  double factor = 1;
  std::vector<WeightedLoss> losses =
      One([&](const LossInput& input) { return factor * input.full.log_probs.square().mean(); });
  losses[0].warm_up_epochs = 1;
  StepContext context{backbone, backbone, optimizer, losses};
  const auto steps = [&] { return losses[0].loss->State().at("steps").item<int64_t>(); };
  context.epoch = 2;
  ASSERT_TRUE(TrainStep(context, batch).ok());
  EXPECT_EQ(steps(), 1);
  factor = NAN;
  EXPECT_EQ(TrainStep(context, batch).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(steps(), 1);
  factor = 1;
  ASSERT_TRUE(TrainStep(context, batch).ok());
  EXPECT_EQ(steps(), 2);
  losses.push_back(std::move(StubLosses(kNll)[0]));
  context.epoch = 1;
  ASSERT_TRUE(TrainStep(context, batch).ok());
  EXPECT_EQ(steps(), 2);
}

TEST(TrainStepTest, ALossOfWeightZeroLeavesTheSameBits) {
  const Batch batch = RandomBatch({4, 2});
  std::vector<StateDict> states;
  std::vector<std::vector<bool>> passes;
  for (const std::string& text : {std::string(kNll), kNll + Ranking(0)}) {
    StubBackbone backbone(0.3F);
    torch::optim::SGD optimizer = Sgd(backbone);
    const std::vector<WeightedLoss> losses = StubLosses(text);
    for (int step = 0; step < 3; ++step) {
      ASSERT_TRUE(TrainStep({backbone, backbone, optimizer, losses}, batch).ok());
    }
    states.push_back(StateOf(backbone));
    passes.push_back(backbone.passes);
  }
  EXPECT_TRUE(states[0].at("gain").equal(states[1].at("gain")));
  // Views that no loss looks at are not predicted.
  EXPECT_EQ(passes[0], passes[1]);
  EXPECT_EQ(passes[0], std::vector<bool>(3, true));
}

// d(total)/d(gain) of the negative log-likelihood plus twice the ranking loss at `gain`, whose
// views have `view_gain` in place of it.
double Slope(const Batch& batch, torch::Tensor gain, const torch::Tensor& view_gain) {
  const auto true_log_probs = [&](const Batch& b, const torch::Tensor& g) {
    StubBackbone one(1);
    one.eval();
    const torch::Tensor logits = one.Forward(b)->features.detach();
    return TrueClassLogProbs((g * logits).log_softmax(1), batch.labels);
  };
  const torch::Tensor full = true_log_probs(batch, gain);
  torch::Tensor total = -full.mean();
  for (const View& view : AllViews(StubInfo())) {
    const Batch masked = ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES);
    total = total + 2 * (true_log_probs(masked, view_gain) - full).clamp_min(0).sum();
  }
  return torch::autograd::grad({total}, {gain})[0].item<double>();
}

TEST(TrainStepTest, ViewsHaveAGradientOnlyWithLiveWithGradient) {
  const Batch batch = RandomBatch({4, 2});
  const std::vector<WeightedLoss> losses = StubLosses(kNll + Ranking(2));
  const torch::Tensor gain = torch::tensor(0.5F).set_requires_grad(true);
  const double detached = Slope(batch, gain, gain.detach());
  const double through = Slope(batch, gain, gain);
  ASSERT_GT(std::abs(detached - through), 0.1);
  for (const auto& [weights, slope] : {std::pair(CalibrationConfig::LIVE, detached),
                                       std::pair(CalibrationConfig::LIVE_WITH_GRADIENT, through)}) {
    StubBackbone backbone(0.5);
    torch::optim::SGD optimizer = Sgd(backbone);
    const auto report =
        TrainStep({backbone, backbone, optimizer, losses, ViewWeights(weights)}, batch);
    ASSERT_TRUE(report.ok()) << report.status();
    // Float32 sums of some 24 terms around 1, doubled.
    EXPECT_NEAR(0.5 - backbone.gain.item<double>(), slope, 1e-4);
    EXPECT_EQ(backbone.passes, std::vector<bool>({true, false, false, false, false}));
    EXPECT_TRUE(backbone.is_training());
    for (const ViewPrediction& view : report->input.views) {
      EXPECT_FALSE(view.prediction.log_probs.requires_grad());
      EXPECT_FALSE(view.prediction.features.defined());
    }
  }
}

TEST(TrainStepTest, TheSnapshotPredictsTheViewsAndStaysAsItIs) {
  const Batch batch = RandomBatch({4, 2});
  const std::vector<WeightedLoss> losses = StubLosses(kNll + Ranking(2));
  StubBackbone live(0.5);
  StubBackbone snapshot(0.25);
  torch::optim::SGD optimizer = Sgd(live);
  const auto report = TrainStep(
      {live, snapshot, optimizer, losses, ViewWeights(CalibrationConfig::EPOCH_SNAPSHOT)}, batch);
  ASSERT_TRUE(report.ok()) << report.status();
  const torch::Tensor gain = torch::tensor(0.5F).set_requires_grad(true);
  EXPECT_NEAR(0.5 - live.gain.item<double>(), Slope(batch, gain, torch::tensor(0.25F)), 1e-4);
  EXPECT_EQ(live.passes, std::vector<bool>({true}));
  EXPECT_EQ(snapshot.passes, std::vector<bool>(4, false));
  EXPECT_EQ(snapshot.gain.item<float>(), 0.25F);
  EXPECT_FALSE(snapshot.gain.grad().defined());
  const auto views = PredictViews(snapshot, batch, AllViews(StubInfo()), {}, false);
  ASSERT_EQ(report->input.views.size(), views->size());
  for (size_t v = 0; v < views->size(); ++v) {
    EXPECT_TRUE(
        report->input.views[v].prediction.log_probs.equal((*views)[v].prediction.log_probs));
  }
}

TEST(TrainStepTest, MaskedMeanIsTheConfigs) {
  const Batch batch = RandomBatch({4, 2});
  const std::vector<WeightedLoss> losses = StubLosses(kNll + Ranking(2));
  std::vector<double> totals;
  for (const auto masked_mean :
       {CalibrationConfig::REAL_UTTERANCES, CalibrationConfig::PADDED_ROWS}) {
    CalibrationConfig config;
    config.set_masked_mean(masked_mean);
    StubBackbone backbone(1);
    torch::optim::SGD optimizer = Sgd(backbone);
    const auto report = TrainStep({backbone, backbone, optimizer, losses, config}, batch);
    ASSERT_TRUE(report.ok()) << report.status();
    totals.push_back(report->total);
  }
  EXPECT_GT(std::abs(totals[0] - totals[1]), 1e-3);
}

TEST(TrainStepTest, SaysWhichClassesWerePredicted) {
  const Batch batch = RandomBatch({4, 2});
  StubBackbone backbone(0.5);
  torch::optim::SGD optimizer = Sgd(backbone);
  const auto report = TrainStep({backbone, backbone, optimizer, StubLosses(kNll)}, batch);
  ASSERT_TRUE(report.ok()) << report.status();
  const torch::Tensor classes = report->input.full.log_probs.argmax(1);
  EXPECT_THAT(report->predicted,
              testing::ElementsAreArray(classes.data_ptr<int64_t>(), classes.numel()));
}

TEST(TrainStepTest, TheFirstHalfMovesNoWeightAndTheSecondDoes) {
  const Batch batch = RandomBatch({4, 2});
  StubBackbone backbone(0.5);
  torch::optim::SGD optimizer = Sgd(backbone);
  const std::vector<WeightedLoss> losses = StubLosses(kNll);
  const StepContext context = {backbone, backbone, optimizer, losses};
  const auto computed = ComputeStep(context, batch);
  ASSERT_TRUE(computed.ok()) << computed.status();
  EXPECT_EQ(backbone.gain.item<float>(), 0.5F);
  ASSERT_EQ(computed->gradients.size(), 1U);
  const auto gradient = computed->gradients[0].item<float>();
  EXPECT_EQ(Decode(computed->numbers, 1).squares_of_gradients,
            static_cast<double>(gradient) * gradient);
  const auto report = FinishStep(context, *computed);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(backbone.gain.item<float>(), 0.5F - gradient);
}

TEST(TrainStepTest, ALossThatIsNotFiniteIsNamedAndMovesNoWeight) {
  const Batch batch = RandomBatch({4, 2});
  for (const double bad : {std::nan(""), double{INFINITY}, double{-INFINITY}}) {
    StubBackbone backbone(0.5);
    torch::optim::SGD optimizer = Sgd(backbone);
    std::vector<WeightedLoss> losses = StubLosses(kNll);
    losses.push_back(std::move(
        One([&](const LossInput& input) { return input.full.log_probs.sum() * bad; })[0]));
    const auto report = TrainStep({backbone, backbone, optimizer, losses}, batch);
    EXPECT_EQ(report.status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(report.status().message()),
                testing::AllOf(HasSubstr("the loss test.Loss is "), HasSubstr("learning_rate")));
    EXPECT_EQ(backbone.gain.item<float>(), 0.5F);
  }
}

TEST(TrainStepTest, ASumThatOverflowsMovesNoWeight) {
  const Batch batch = RandomBatch({4, 2});
  StubBackbone backbone(0.5);
  torch::optim::SGD optimizer = Sgd(backbone);
  const auto report =
      TrainStep({backbone, backbone, optimizer,
                 One([](const LossInput& input) { return -input.full.log_probs.sum(); }, 1e38)},
                batch);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(report.status().message()),
              testing::AllOf(HasSubstr("= 1e+38 * test.Loss "), HasSubstr("losses.weight")));
  EXPECT_EQ(backbone.gain.item<float>(), 0.5F);
}

TEST(TrainStepTest, WhatALossOrTheGradientThrowsIsAStatus) {
  const Batch batch = RandomBatch({4, 2});
  const std::vector<std::pair<std::function<torch::Tensor(const LossInput&)>, std::string>> bad = {
      {[](const LossInput&) -> torch::Tensor { TORCH_CHECK_VALUE(false, "no such thing"); },
       "no such thing"},
      {[](const LossInput&) { return torch::ones({}); }, "does not require grad"}};
  for (const auto& [function, says] : bad) {
    StubBackbone backbone(0.5);
    torch::optim::SGD optimizer = Sgd(backbone);
    const auto report = TrainStep({backbone, backbone, optimizer, One(function)}, batch);
    EXPECT_FALSE(report.ok());
    EXPECT_THAT(std::string(report.status().message()), HasSubstr(says));
    EXPECT_EQ(backbone.gain.item<float>(), 0.5F);
  }
}

TEST(TrainStepTest, ABatchThatDoesNotFit) {
  Batch batch = RandomBatch({4, 2});
  batch.modalities.pop_back();
  StubBackbone backbone;
  torch::optim::SGD optimizer = Sgd(backbone);
  EXPECT_EQ(TrainStep({backbone, backbone, optimizer, StubLosses(kNll)}, batch).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cmerc
