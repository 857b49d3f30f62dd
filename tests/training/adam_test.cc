// The optimizer against LibTorch's.
#include "training/adam.h"

#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <type_traits>
#include <vector>

namespace cmerc {
namespace {

using torch::Tensor;

// Reference: torch::optim::Adam or AdamW, whose weight decay is decoupled. tolerance: of the
// rounding of sums of order 1 in five steps of 1e-2, and of the quotients.
template <typename Reference, typename ReferenceOptions>
void ExpectTheStepsOfLibTorch(torch::ScalarType type, double tolerance) {
  constexpr bool kDecoupled = std::is_same_v<Reference, torch::optim::AdamW>;
  torch::manual_seed(1);
  // The last one is large enough for several threads, and its gradient is transposed.
  const std::vector<std::vector<int64_t>> shapes = {{}, {3}, {300, 400}};
  std::vector<Tensor> ours, theirs;
  for (const std::vector<int64_t>& shape : shapes) {
    ours.push_back(torch::randn(shape, type).requires_grad_());
    theirs.push_back(ours.back().detach().clone().requires_grad_());
  }
  Adam optimizer(ours, torch::optim::AdamOptions(1e-2).weight_decay(0.1).betas({0.8, 0.99}));
  optimizer.DecoupleWeightDecay(kDecoupled);
  Reference reference(theirs, ReferenceOptions(1e-2).weight_decay(0.1).betas({0.8, 0.99}));
  for (int step = 0; step < 5; ++step) {
    if (step == 3) {  // as a schedule has it
      optimizer.SetLearningRate(3e-3);
      static_cast<ReferenceOptions&>(reference.param_groups()[0].options()).lr(3e-3);
    }
    for (size_t i = 0; i < shapes.size(); ++i) {
      // Never a gradient at first, and then one now and then.
      const bool none = i == 1 && step % 2 == 0;
      const Tensor gradient =
          i == 2 ? torch::randn({400, 300}, type).t() : torch::randn(shapes[i], type);
      if (!none) ours[i].mutable_grad() = gradient.clone();
      if (!none) {
        theirs[i].mutable_grad() = gradient.clone();
      } else if (step > 0) {
        theirs[i].mutable_grad() = torch::zeros(shapes[i], type);
      }
    }
    optimizer.step();
    reference.step();
    for (size_t i = 0; i < shapes.size(); ++i) {
      EXPECT_LE((ours[i] - theirs[i]).abs().max().item<double>(), tolerance)
          << "parameter " << i << ", step " << step;
      EXPECT_FALSE(ours[i].grad().defined());
    }
  }
}

TEST(AdamTest, StepsAsLibTorchDoes) {
  ExpectTheStepsOfLibTorch<torch::optim::Adam, torch::optim::AdamOptions>(torch::kFloat32, 1e-6);
}

TEST(AdamTest, DecoupledStepsAreThoseOfLibTorchsAdamW) {
  ExpectTheStepsOfLibTorch<torch::optim::AdamW, torch::optim::AdamWOptions>(torch::kFloat32, 1e-6);
}

// As on a GPU, by LibTorch's operators. The first step is a quotient of the gradient and its size,
// whose error is larger where weight decay has all but cancelled the gradient.
TEST(AdamTest, StepsOtherParametersAsLibTorchDoes) {
  ExpectTheStepsOfLibTorch<torch::optim::Adam, torch::optim::AdamOptions>(torch::kFloat64, 1e-12);
  ExpectTheStepsOfLibTorch<torch::optim::AdamW, torch::optim::AdamWOptions>(torch::kFloat64, 1e-12);
}

// The decay of a parameter whose gradient is 0 is all that moves it: by 1 - 0.5 * 0.2 a step.
TEST(AdamTest, DecoupledDecayDoesNotPassThroughTheMoments) {
  Tensor parameter = torch::full({3}, 2.0f).requires_grad_();
  Adam optimizer(std::vector<Tensor>{parameter}, torch::optim::AdamOptions(0.5).weight_decay(0.2));
  optimizer.DecoupleWeightDecay(true);
  for (int step = 1; step <= 3; ++step) {
    parameter.mutable_grad() = torch::zeros({3});
    optimizer.step();
    EXPECT_NEAR(parameter[0].item<double>(), 2 * std::pow(0.9, step), 1e-6);
  }
}

TEST(AdamTest, ARateOfZeroMovesNothingAndTheMomentsGoOn) {
  Tensor parameter = torch::ones({2}).requires_grad_();
  Adam optimizer(std::vector<Tensor>{parameter}, torch::optim::AdamOptions(1).weight_decay(0.1));
  optimizer.SetLearningRate(0);
  for (const bool decoupled : {false, true}) {
    optimizer.DecoupleWeightDecay(decoupled);
    parameter.mutable_grad() = torch::ones({2});
    optimizer.step();
    EXPECT_TRUE(parameter.equal(torch::ones({2})));
  }
  EXPECT_EQ(optimizer.GetMoments()[0].steps, 2);
}

TEST(AdamTest, KeepsGradientsWhenAsked) {
  Tensor parameter = torch::ones({2}).requires_grad_();
  Adam optimizer(std::vector<Tensor>{parameter}, torch::optim::AdamOptions(1));
  parameter.mutable_grad() = torch::full({2}, 3.0f);
  optimizer.KeepGradients(true);
  optimizer.step();
  EXPECT_TRUE(parameter.grad().equal(torch::full({2}, 3.0f)));
  optimizer.KeepGradients(false);
  optimizer.step();
  EXPECT_FALSE(parameter.grad().defined());
}

TEST(AdamTest, GoesOnFromTheMomentsOfAnother) {
  torch::manual_seed(2);
  // The second is never stepped.
  std::vector<Tensor> ours = {torch::randn({2, 3}).requires_grad_(),
                              torch::randn({4}).requires_grad_()};
  const auto options = torch::optim::AdamOptions(1e-2);
  Adam first(ours, options);
  for (int step = 0; step < 3; ++step) {
    ours[0].mutable_grad() = torch::randn({2, 3});
    first.step();
  }
  const std::vector<Adam::Moments> moments = first.GetMoments();
  ASSERT_EQ(moments.size(), 2u);
  EXPECT_EQ(moments[0].steps, 3);
  EXPECT_EQ(moments[1].steps, 0);
  EXPECT_FALSE(moments[1].first.defined());
  std::vector<Tensor> theirs;
  for (const Tensor& parameter : ours) {
    theirs.push_back(parameter.detach().clone().requires_grad_());
  }
  Adam second(theirs, options);
  second.SetMoments(moments);
  for (int step = 0; step < 2; ++step) {
    const Tensor gradient = torch::randn({2, 3});
    ours[0].mutable_grad() = gradient.clone();
    theirs[0].mutable_grad() = gradient.clone();
    first.step();
    second.step();
    EXPECT_TRUE(ours[0].equal(theirs[0]));
  }
  EXPECT_THROW(second.SetMoments({}), c10::Error);
}

TEST(AdamTest, AWrittenParameterHasANewVersion) {
  Tensor parameter = torch::ones({2}).requires_grad_();
  Adam optimizer(std::vector<Tensor>{parameter}, torch::optim::AdamOptions(1));
  const auto before = parameter._version();
  parameter.mutable_grad() = torch::ones({2});
  optimizer.step();
  EXPECT_GT(parameter._version(), before);
  // The first step of Adam is the learning rate.
  EXPECT_NEAR(parameter[0].item<double>(), 0, 1e-6);
}

}  // namespace
}  // namespace cmerc
