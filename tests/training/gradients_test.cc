#include "training/gradients.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/nn/utils/clip_grad.h>

#include <cmath>
#include <limits>

namespace cmerc {
namespace {

using torch::Tensor;

// A scalar, a vector with a rest beside the lanes, and enough for several threads, transposed.
std::vector<Tensor> Gradients() {
  torch::manual_seed(1);
  return {torch::randn({}), torch::randn({13}), torch::randn({300, 400}).t()};
}

std::vector<Tensor> Parameters(const std::vector<Tensor>& gradients) {
  std::vector<Tensor> parameters;
  for (const Tensor& gradient : gradients) {
    parameters.push_back(torch::zeros(gradient.sizes()).requires_grad_());
    parameters.back().mutable_grad() = gradient.clone();
  }
  return parameters;
}

TEST(NormOfTest, IsTheEuclideanNormOfAllNumbers) {
  double sum = 0;
  for (const Tensor& gradient : Gradients()) {
    sum += gradient.to(torch::kFloat64).square().sum().item<double>();
  }
  // Float64 sums of 120 014 numbers in two orders.
  EXPECT_NEAR(NormOf(Gradients()), std::sqrt(sum), 1e-9);
  EXPECT_EQ(NormOf({torch::tensor({3.0F, 4.0F})}), 5);
  EXPECT_EQ(NormOf({torch::full({1}, 3, torch::kFloat64), torch::full({1}, 4, torch::kInt64)}), 5);
  // One number in memory, four in the tensor; every second number of a row.
  EXPECT_EQ(NormOf({torch::full({1}, 2.0F).expand({4})}), 4);
  EXPECT_EQ(NormOf({torch::tensor({3.0F, 9.0F, 4.0F, 9.0F}).slice(0, 0, 4, 2)}), 5);
  EXPECT_EQ(NormOf({Tensor(), torch::zeros({0}), torch::full({2}, 0.0F)}), 0);
  EXPECT_EQ(NormOf({}), 0);
  EXPECT_EQ(SumOfSquares({torch::tensor({3.0F, 4.0F}), torch::full({1}, 2, torch::kFloat64)})
                .item<double>(),
            29);
}

TEST(NormOfTest, IsFiniteJustWhereAllNumbersAre) {
  const float largest = std::numeric_limits<float>::max();
  EXPECT_NEAR(NormOf({torch::full({4}, largest)}) / (2.0 * largest), 1, 1e-12);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const int64_t place : {0, 7, 12, 100'000}) {
      const Tensor tensor = torch::zeros({100'001});
      tensor[place] = bad;
      EXPECT_FALSE(std::isfinite(NormOf({torch::ones({3}), tensor}))) << bad << " at " << place;
    }
  }
}

TEST(NormOfTest, TheSameBitsForAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = NormOf(Gradients());
  at::set_num_threads(3);
  EXPECT_EQ(NormOf(Gradients()), one);
  at::set_num_threads(before);
}

TEST(ClipGradientsTest, AsLibTorchClips) {
  for (const double max_norm : {1e-3, 1.0, 100.0, 1e6}) {
    const std::vector<Tensor> ours = Parameters(Gradients());
    const std::vector<Tensor> theirs = Parameters(Gradients());
    ClipGradients(ours, NormOf(Gradients()), max_norm);
    torch::nn::utils::clip_grad_norm_(theirs, max_norm);
    for (size_t i = 0; i < ours.size(); ++i) {
      // Their norm and its quotient are float32.
      EXPECT_TRUE(torch::allclose(ours[i].grad(), theirs[i].grad(), 1e-5, 0)) << max_norm;
    }
  }
}

TEST(ClipGradientsTest, LeavesWhatIsShorterAsItIs) {
  const std::vector<Tensor> parameters = Parameters(Gradients());
  const double norm = NormOf(Gradients());
  ClipGradients(parameters, norm, norm * 1.001);
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(parameters[i].grad().equal(Gradients()[i]));
  }
}

// LibTorch's float32 sum of squares overflows here, and its factor is 0.
TEST(ClipGradientsTest, GradientsWhoseSquaresOverflow) {
  const std::vector<Tensor> parameters = Parameters({torch::tensor({3e25F, -4e25F})});
  ClipGradients(parameters, NormOf({parameters[0].grad()}), 10);
  EXPECT_TRUE(torch::allclose(parameters[0].grad(), torch::tensor({6.0F, -8.0F})));
}

}  // namespace
}  // namespace cmerc
