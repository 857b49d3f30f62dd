#include "losses/group_log_sums.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "core/cosines.h"
#include "losses/device_group_log_sums.h"

namespace cmerc {
namespace {

using torch::Tensor;

// The exponentials at the last temperature overflow float64.
TEST(GroupLogSumsTest, AreTheirDefinition) {
  constexpr int64_t kNum = 9, kGroups = 4;
  torch::manual_seed(3);
  // The first is alone in its group, and group 3 has nobody. A NaN on the diagonal changes nothing.
  const Tensor groups = torch::tensor({0, 1, 2, 1, 1, 2, 2, 1, 1}, torch::kInt64);
  for (const double temperature : {1.0, 0.07, 0.001}) {
    const Tensor cosines = torch::rand({kNum, kNum}, torch::kFloat64) * 2 - 1;
    cosines.fill_diagonal_(std::numeric_limits<double>::quiet_NaN());
    cosines.set_requires_grad(true);
    const Tensor log_sums = GroupLogSums(cosines, groups, kGroups, temperature);
    const Tensor factor = torch::rand_like(log_sums);
    (log_sums * factor * (log_sums > kLogZero / 2)).sum().backward();
    for (int64_t i = 0; i < kNum; ++i) {
      for (int64_t g = 0; g < kGroups; ++g) {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        const auto each = [&](const auto& f) {
          for (int64_t j = 0; j < kNum; ++j) {
            if (j != i && groups[j].item<int64_t>() == g) f(cosines[i][j].item<double>(), j);
          }
        };
        each([&](double cosine, int64_t) { largest = std::max(largest, cosine); });
        each([&](double cosine, int64_t) { sum += std::exp((cosine - largest) / temperature); });
        const double got = log_sums[i][g].item<double>();
        if (sum == 0) {
          EXPECT_EQ(got, kLogZero);
          continue;
        }
        // Quotients of up to 1000, of 2e-16 each.
        EXPECT_NEAR(got, largest / temperature + std::log(sum), 1e-12);
        each([&](double cosine, int64_t j) {
          const double share = std::exp((cosine - largest) / temperature) / sum;
          EXPECT_NEAR(cosines.grad()[i][j].item<double>(),
                      factor[i][g].item<double>() * share / temperature, 1e-9);
        });
      }
      EXPECT_EQ(cosines.grad()[i][i].item<double>(), 0);
    }
  }
}

// By the kernel, here its twin, against cosines in float64. Similarities are up to 1 / 0.07, with
// 24 bits each; gradients are sums of 60 of them.
TEST(DeviceGroupLogSumsTest, AreTheSame) {
  constexpr int64_t kNum = 61, kGroups = 5;
  torch::manual_seed(4);
  const Tensor groups = torch::randint(0, kGroups - 1, {kNum}, torch::kInt64);
  for (const double temperature : {1.0, 0.07}) {
    Tensor features = torch::randn({kNum, 37});
    features[7].zero_();  // has no direction
    features.set_requires_grad(true);
    Tensor exact = features.detach().to(torch::kFloat64).set_requires_grad(true);
    const Tensor got = DeviceGroupLogSums(features, groups, kGroups, temperature);
    const Tensor expected = GroupLogSums(PairwiseCosines(exact), groups, kGroups, temperature);
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_TRUE(torch::allclose(got.to(torch::kFloat64), expected, 1e-6, 1e-5));
    EXPECT_TRUE(got.select(1, kGroups - 1).eq(static_cast<float>(kLogZero)).all().item<bool>());
    const Tensor factor = torch::rand_like(expected) * (expected > kLogZero / 2);
    (got * factor.to(torch::kFloat32)).sum().backward();
    (expected * factor).sum().backward();
    const double scale = exact.grad().abs().max().item<double>();
    EXPECT_LE((features.grad() - exact.grad()).abs().max().item<double>(), 1e-5 * scale);
    EXPECT_TRUE(features.grad()[7].eq(0).all().item<bool>());
  }
}

}  // namespace
}  // namespace cmerc
