#include "training/autocast.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

using torch::Tensor;

Tensor Product() { return torch::ones({2, 3}).matmul(torch::ones({3, 2})); }

TEST(AutocastTest, ProductsRoundTheirOperandsWhileItLives) {
  const Tensor third = torch::full({1, 1}, 1.0F / 3);
  const float rounded = third.to(torch::kBFloat16).item<float>();
  {
    const Autocast autocast(TrainingConfig::BF16, torch::kCPU);
    const Tensor product = third.matmul(torch::ones({1, 1}));
    EXPECT_EQ(product.scalar_type(), torch::kBFloat16);
    EXPECT_EQ(product.item<float>(), rounded);
    // A sum is none.
    EXPECT_EQ((third + 1).scalar_type(), torch::kFloat32);
  }
  EXPECT_NE(third.item<float>(), rounded);
  EXPECT_EQ(Product().scalar_type(), torch::kFloat32);
}

TEST(AutocastTest, Float32ChangesNothing) {
  const Autocast autocast(TrainingConfig::FLOAT32, torch::kCPU);
  EXPECT_EQ(Product().scalar_type(), torch::kFloat32);
}

// As where a loss of the step predicts again.
TEST(AutocastTest, TheInnerOneLeavesTheOuterOne) {
  const Autocast outer(TrainingConfig::BF16, torch::kCPU);
  { const Autocast inner(TrainingConfig::BF16, torch::kCPU); }
  EXPECT_EQ(Product().scalar_type(), torch::kBFloat16);
}

// A rounded copy of a weight must not outlive the step that changes the weight.
TEST(AutocastTest, AWeightThatChangedIsRoundedAgain) {
  Tensor weight = torch::ones({1, 1}).requires_grad_();
  const auto product = [&] {
    const Autocast autocast(TrainingConfig::BF16, torch::kCPU);
    return torch::ones({1, 1}).matmul(weight).item<float>();
  };
  EXPECT_EQ(product(), 1);
  {
    const torch::NoGradGuard no_grad;
    weight.mul_(2);
  }
  EXPECT_EQ(product(), 2);
}

TEST(AutocastTest, APredictionBecomesFloat32) {
  const Tensor wide = torch::ones({2, 3}, torch::kFloat64);
  const Prediction prediction = ToFloat32({torch::ones({2, 3}, torch::kBFloat16), wide});
  EXPECT_EQ(prediction.log_probs.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(prediction.features.is_same(wide));
}

}  // namespace
}  // namespace cmerc
