// Cosines of all pairs, and who shares them.
#include "core/cosines.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/loss.h"

namespace cmerc {
namespace {

using torch::Tensor;

// The definition, and its gradient by autograd.
Tensor ByDefinition(const Tensor& features) {
  const Tensor unit = features / features.norm(2, 1, /*keepdim=*/true);
  return unit.mm(unit.t());
}

TEST(CosinesTest, ValueAndGradientAreThoseOfTheDefinition) {
  torch::manual_seed(1);
  // Less than a block, one block, and some blocks and a part.
  for (const int64_t num : {1, 5, 128, 300}) {
    const Tensor features = torch::randn({num, 7}, torch::kFloat64).requires_grad_();
    const Tensor factor = torch::randn({num, num}, torch::kFloat64);
    const Tensor got = PairwiseCosines(features);
    const Tensor want = ByDefinition(features);
    // Sums of float64 numbers of order 1 in another order.
    EXPECT_LE((got - want).abs().max().item<double>(), 1e-13) << num;
    EXPECT_LE((got - got.t()).abs().max().item<double>(), 1e-15) << num;
    const Tensor got_gradient = torch::autograd::grad({(got * factor).sum()}, {features})[0];
    const Tensor want_gradient = torch::autograd::grad({(want * factor).sum()}, {features})[0];
    EXPECT_LE((got_gradient - want_gradient).abs().max().item<double>(),
              1e-12 * want_gradient.abs().max().item<double>() + 1e-12)
        << num;
  }
}

TEST(CosinesTest, ARowOfLengthZeroHasNoDirection) {
  const Tensor features =
      torch::tensor({{0.0F, 0.0F}, {3.0F, 4.0F}, {4.0F, 3.0F}}).requires_grad_();
  const Tensor cosines = PairwiseCosines(features);
  EXPECT_TRUE(torch::equal(cosines[0], torch::zeros({3})));
  EXPECT_NEAR(cosines[1][2].item<double>(), 0.96, 1e-7);
  cosines.square().sum().backward();
  EXPECT_TRUE(torch::equal(features.grad()[0], torch::zeros({2})));
  EXPECT_GT(features.grad()[1].abs().max().item<double>(), 0.01);
}

TEST(CosineCacheTest, TheSameFeaturesGiveTheSameTensor) {
  LossInput input;
  input.labels = torch::zeros({4}, torch::kInt64);
  input.full.features = torch::randn({4, 3}).requires_grad_();
  const Tensor first = input.Cosines();
  EXPECT_TRUE(input.Cosines().is_same(first));
  // Two losses, differentiated one by one.
  const Tensor one = torch::autograd::grad({first[0].sum()}, {input.full.features})[0];
  const Tensor other = torch::autograd::grad({first[0].sum() * 2}, {input.full.features})[0];
  EXPECT_TRUE(torch::equal(one * 2, other));
}

TEST(CosineCacheTest, OtherFeaturesAndChangedOnesAreComputedAgain) {
  LossInput input;
  input.labels = torch::zeros({2}, torch::kInt64);
  input.full.features = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}});
  EXPECT_EQ(input.Cosines()[0][1].item<float>(), 0);
  input.full.features[1][0] = 1;
  EXPECT_NEAR(input.Cosines()[0][1].item<float>(), std::sqrt(0.5), 1e-6);
  input.full.features = torch::tensor({{1.0F, 0.0F}, {2.0F, 0.0F}});
  EXPECT_EQ(input.Cosines()[0][1].item<float>(), 1);
}

TEST(CosineCacheTest, WhatWasComputedWithoutAGradientGetsOneWhenNeeded) {
  LossInput input;
  input.labels = torch::zeros({2}, torch::kInt64);
  input.full.features = torch::randn({2, 3}).requires_grad_();
  {
    const torch::NoGradGuard no_grad;
    EXPECT_FALSE(input.Cosines().requires_grad());
  }
  EXPECT_TRUE(input.Cosines().requires_grad());
}

TEST(CosineCacheTest, FeaturesOfOtherUtterancesAreRefused) {
  LossInput input;
  input.labels = torch::zeros({2}, torch::kInt64);
  EXPECT_THROW(input.Cosines(), c10::ValueError);
  input.full.features = torch::randn({3, 4});
  EXPECT_THROW(input.Cosines(), c10::ValueError);
}

}  // namespace
}  // namespace cmerc
