// Steps whose numbers go bad: what is said, and that nothing is trained on them.
#include "calibration/not_finite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/sgd.h>

#include <cmath>
#include <functional>

#include "calibration/weighted_losses.h"
#include "tests/calibration/stub.h"
#include "training/adam.h"
#include "training/buffer_copy.h"
#include "training/train_step.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using torch::Tensor;

class FunctionLoss final : public Loss {
 public:
  explicit FunctionLoss(std::function<Tensor(const LossInput&)> function)
      : function_(std::move(function)) {}

 private:
  Tensor ComputeImpl(const LossInput& input) const override { return function_(input); }

  const std::function<Tensor(const LossInput&)> function_;
};

std::vector<WeightedLoss> One(std::function<Tensor(const LossInput&)> function) {
  std::vector<WeightedLoss> losses;
  losses.push_back({"test.Loss", 2, std::make_unique<FunctionLoss>(std::move(function))});
  return losses;
}

Tensor Mean(const LossInput& input) { return input.full.log_probs.mean(); }

// Its buffer holds the mean square of the text of the last batch in training, and its predictions
// depend on nothing.
class Statistics final : public Backbone {
 public:
  Statistics() : Backbone(StubInfo()) {
    gain = register_parameter("gain", torch::ones({3}));
    power = register_buffer("power", torch::zeros({2}));
  }

  Tensor gain;
  Tensor power;

 private:
  Prediction ForwardImpl(const Batch& batch) override {
    if (is_training()) power[1] = batch.modalities[0].streams[0].square().mean();
    const Tensor logits = gain.expand({batch.num_utterances(), 3});
    return {logits.log_softmax(1), logits};
  }
};

TrainingConfig Clip(double norm) {
  TrainingConfig training;
  training.set_gradient_clip_norm(norm);
  return training;
}

TEST(NotFiniteTest, TheFirstNumberInRowMajorOrder) {
  EXPECT_EQ(NotFiniteIn(Tensor()), "");
  EXPECT_EQ(NotFiniteIn(torch::zeros({0, 3})), "");
  EXPECT_EQ(NotFiniteIn(torch::full({2, 2}, 1e38F)), "");
  EXPECT_EQ(NotFiniteIn(torch::tensor({1, 2})), "");
  EXPECT_EQ(NotFiniteIn(torch::tensor(NAN)), "nan");
  Tensor tensor = torch::zeros({2, 3, 4});
  tensor[1][2][3] = NAN;
  EXPECT_EQ(NotFiniteIn(tensor), "nan at [1, 2, 3]");
  tensor[1][0][1] = -INFINITY;
  EXPECT_EQ(NotFiniteIn(tensor), "-inf at [1, 0, 1]");
  EXPECT_EQ(NotFiniteIn(tensor.transpose(0, 2)), "-inf at [1, 0, 1]");
}

TEST(NotFiniteTest, TheFirstTensorOfAModel) {
  torch::nn::Linear model(3, 2);
  EXPECT_EQ(NotFiniteParameter(*model), "");
  EXPECT_EQ(NotFiniteGradient(*model), "");
  EXPECT_EQ(LargestGradient(*model), "");
  model->bias.mutable_grad() = torch::tensor({1.0F, -3e20F});
  EXPECT_EQ(NotFiniteGradient(*model), "");
  EXPECT_EQ(LargestGradient(*model), "the gradient of bias: -3e+20 at [1]");
  model->bias.mutable_grad()[0] = INFINITY;
  EXPECT_EQ(NotFiniteGradient(*model), "the gradient of bias: inf at [0]");
  const torch::NoGradGuard no_grad;
  model->weight[1][2] = NAN;
  EXPECT_EQ(NotFiniteParameter(*model), "the parameter weight: nan at [1, 2]");
}

// What TrainStep says of a loss, and that it leaves the weight as it is.
std::string Says(StubBackbone& backbone, const Batch& batch,
                 const std::vector<WeightedLoss>& losses, const TrainingConfig& training = {}) {
  const Tensor before = backbone.gain.detach().clone();
  torch::optim::SGD optimizer(backbone.parameters(), torch::optim::SGDOptions(1));
  const auto report = TrainStep({backbone, backbone, optimizer, losses, {}, training}, batch);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kOutOfRange) << report.status();
  EXPECT_TRUE(torch::allclose(backbone.gain, before, 0, 0, /*equal_nan=*/true));
  EXPECT_FALSE(backbone.gain.grad().defined());
  return std::string(report.status().message());
}

TEST(BadStepTest, ALossNamesThePredictionThatIsNotFinite) {
  Batch batch = RandomBatch({4, 2});
  batch.modalities[1].streams[0][1][0][2] = INFINITY;  // the fifth utterance
  StubBackbone backbone(0.5);
  EXPECT_THAT(Says(backbone, batch, One(Mean)),
              AllOf(HasSubstr("the loss test.Loss is nan (log_probs of the full prediction: nan at "
                              "[4, 0]); try a smaller training.learning_rate"),
                    HasSubstr("gradient_clip_norm"), HasSubstr("on_non_finite: SKIP_BATCH")));
}

TEST(BadStepTest, ALossNamesAViewOrTheParameterThatIsNotFinite) {
  LossInput input;
  input.full = {torch::zeros({2, 3}), torch::zeros({2, 4})};
  input.views = {{ContextViews()[0], input.full}, {ContextViews()[1], input.full}};
  EXPECT_EQ(NotFinitePrediction(input), "");
  input.views[1].prediction.features = torch::full({2, 4}, NAN);
  EXPECT_EQ(NotFinitePrediction(input), "features without other_speakers: nan at [0, 0]");
  input.full.features = torch::full({2, 4}, INFINITY);
  EXPECT_EQ(NotFinitePrediction(input), "features of the full prediction: inf at [0, 0]");

  StubBackbone backbone(NAN);
  // Predictions that are hidden from the message: the loss is computed from the parameter.
  const auto of_gain = One([&](const LossInput& input) {
    const_cast<LossInput&>(input).full = {torch::zeros({6, 3}), torch::zeros({6, 3})};
    return backbone.gain * 2;
  });
  EXPECT_THAT(Says(backbone, RandomBatch({4, 2}), of_gain),
              HasSubstr("the loss test.Loss is nan (the parameter gain: nan)"));
}

TEST(BadStepTest, AGradientIsNamedWithTheLosses) {
  StubBackbone backbone(0.5);
  // 0, with the slope 0 * infinity.
  const auto root = One([](const LossInput& input) { return (Mean(input) * 0).sqrt(); });
  EXPECT_THAT(Says(backbone, RandomBatch({4, 2}), root),
              AllOf(HasSubstr("the gradient of gain: nan, of the losses 2 * test.Loss "),
                    HasSubstr("SKIP_BATCH")));
}

TEST(BadStepTest, AGradientWhoseSquareOverflows) {
  StubBackbone backbone(0.5);
  const Batch batch = RandomBatch({4, 2});
  const auto steep = One([](const LossInput& input) { return 1e25 * Mean(input); });
  EXPECT_THAT(Says(backbone, batch, steep),
              AllOf(HasSubstr("the norm of the gradients is "),
                    HasSubstr("whose square float32 cannot hold (the gradient of gain: ")));
  EXPECT_THAT(Says(backbone, batch, steep, Clip(1e20)), HasSubstr("the norm of the gradients is "));
  // Clipped it is as good as any.
  torch::optim::SGD optimizer(backbone.parameters(), torch::optim::SGDOptions(1));
  ASSERT_TRUE(TrainStep({backbone, backbone, optimizer, steep, {}, Clip(0.25)}, batch).ok());
  EXPECT_NEAR(std::abs(backbone.gain.item<double>() - 0.5), 0.25, 1e-6);
}

TEST(BadStepTest, StatisticsThatOverflow) {
  Batch batch = RandomBatch({4, 2});
  batch.modalities[0].streams[0] = batch.modalities[0].streams[0] * 1e30;
  Statistics backbone;
  BufferCopy copy(backbone);
  torch::optim::SGD optimizer(backbone.parameters(), torch::optim::SGDOptions(1));
  const auto step = [&](const Batch& on) {
    return TrainStep({backbone, backbone, optimizer, One(Mean)}, on).status();
  };
  const absl::Status status = step(batch);
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("the buffer power: inf at [1]"), HasSubstr("standardize: true")));
  EXPECT_TRUE(backbone.gain.equal(torch::ones({3})));
  copy.PutBack();
  EXPECT_TRUE(backbone.power.equal(torch::zeros({2})));

  EXPECT_TRUE(step(RandomBatch({4, 2})).ok());
  const Tensor good = backbone.power.clone();
  copy.Take();
  EXPECT_FALSE(step(batch).ok());
  copy.PutBack();
  EXPECT_TRUE(backbone.power.equal(good));
}

TEST(BadStepTest, AdamGoesOnAsIfTheStepHadNotBeen) {
  const auto good = One(Mean);
  const auto bad = One([](const LossInput& input) { return (Mean(input) * 0).sqrt(); });
  std::vector<float> gains;
  for (const bool disturbed : {false, true}) {
    StubBackbone backbone(0.5);
    Adam optimizer(backbone.parameters(), torch::optim::AdamOptions(0.1).weight_decay(0.01));
    for (uint64_t seed = 1; seed < 5; ++seed) {
      if (disturbed) {
        EXPECT_FALSE(TrainStep({backbone, backbone, optimizer, bad}, RandomBatch({3}, seed)).ok());
      }
      EXPECT_TRUE(TrainStep({backbone, backbone, optimizer, good}, RandomBatch({3}, seed)).ok());
    }
    gains.push_back(backbone.gain.item<float>());
  }
  EXPECT_EQ(gains[0], gains[1]);
}

TEST(ClippedStepTest, IsAsLongAsTheNorm) {
  const Batch batch = RandomBatch({4, 2});
  std::vector<double> steps;
  for (const double norm : {0.0, 1e6, 0.01}) {
    StubBackbone backbone(0.5);
    torch::optim::SGD optimizer(backbone.parameters(), torch::optim::SGDOptions(1));
    ASSERT_TRUE(TrainStep({backbone, backbone, optimizer, One(Mean), {}, Clip(norm)}, batch).ok());
    steps.push_back(backbone.gain.item<double>() - 0.5);
  }
  ASSERT_GT(std::abs(steps[0]), 0.1);
  EXPECT_EQ(steps[1], steps[0]);
  // Float32 at 0.5.
  EXPECT_NEAR(steps[2], std::copysign(0.01, steps[0]), 1e-6);
}

}  // namespace
}  // namespace cmerc
