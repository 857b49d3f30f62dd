#include "losses/group_log_sums.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

namespace cmerc {
namespace {

using torch::Tensor;

// Both ways to compute it.
class GroupLogSumsTest : public testing::TestWithParam<decltype(&GroupLogSums)> {};

// The exponentials at the last temperature overflow float64.
TEST_P(GroupLogSumsTest, AreTheirDefinition) {
  constexpr int64_t kNum = 9, kGroups = 4;
  torch::manual_seed(3);
  // The first is alone in its group, and group 3 has nobody. A NaN on the diagonal changes nothing.
  const Tensor groups = torch::tensor({0, 1, 2, 1, 1, 2, 2, 1, 1}, torch::kInt64);
  for (const double temperature : {1.0, 0.07, 0.001}) {
    const Tensor cosines = torch::rand({kNum, kNum}, torch::kFloat64) * 2 - 1;
    cosines.fill_diagonal_(std::numeric_limits<double>::quiet_NaN());
    cosines.set_requires_grad(true);
    const Tensor log_sums = GetParam()(cosines, groups, kGroups, temperature);
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

INSTANTIATE_TEST_SUITE_P(All, GroupLogSumsTest,
                         testing::Values(GroupLogSums, GroupLogSumsByOperators),
                         [](const testing::TestParamInfo<decltype(&GroupLogSums)>& info) {
                           return info.param == &GroupLogSums ? "OnTheCpu" : "ByOperators";
                         });

}  // namespace
}  // namespace cmerc
