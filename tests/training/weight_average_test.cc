// Averages of weights against the sum that defines them.
#include "training/weight_average.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>

#include <cmath>
#include <vector>

namespace cmerc {
namespace {

// Of weights w_1, ..., w_n: sum decay^(n - i) w_i / sum decay^(n - i).
TEST(WeightAverageTest, EachStepIsSoManyTimesAsHeavyAsTheOneBeforeIt) {
  const double decay = 0.8;
  torch::manual_seed(3);
  torch::nn::BatchNorm1d live(3), average(3);
  WeightAverage sum(*live, *average);
  std::vector<torch::Tensor> weights, means;
  for (int64_t n = 1; n <= 6; ++n) {
    const torch::NoGradGuard no_grad;
    live->weight.copy_(torch::randn({3}));
    live->running_mean.copy_(torch::randn({3}));
    live->num_batches_tracked.fill_(n);
    weights.push_back(live->weight.clone());
    means.push_back(live->running_mean.clone());
    sum.Add(ShareOfStep(decay, n));

    torch::Tensor weight = torch::zeros({3}), mean = torch::zeros({3});
    double all = 0;
    for (int64_t i = 1; i <= n; ++i) {
      const double heavy = std::pow(decay, n - i);
      weight += heavy * weights[i - 1];
      mean += heavy * means[i - 1];
      all += heavy;
    }
    // Float32 sums of numbers of order 1.
    EXPECT_LE((average->weight - weight / all).abs().max().item<double>(), 1e-6) << n;
    EXPECT_LE((average->running_mean - mean / all).abs().max().item<double>(), 1e-6) << n;
    EXPECT_EQ(average->num_batches_tracked.item<int64_t>(), n);
  }
  EXPECT_FALSE(live->weight.equal(average->weight));
}

TEST(WeightAverageTest, TheFirstStepIsTheWholeAverage) {
  EXPECT_EQ(ShareOfStep(0.999, 1), 1);
  torch::nn::BatchNorm1d live(2), average(2);
  const torch::NoGradGuard no_grad;
  live->weight.fill_(0.3F);
  average->weight.fill_(7);
  WeightAverage(*live, *average).Add(ShareOfStep(0.999, 1));
  EXPECT_TRUE(average->weight.equal(live->weight));
  // And after many steps its share is that of the decay.
  EXPECT_NEAR(ShareOfStep(0.9, 1000), 0.1, 1e-15);
  EXPECT_NEAR(ShareOfStep(0.5, 2), 2.0 / 3, 1e-15);
}

}  // namespace
}  // namespace cmerc
