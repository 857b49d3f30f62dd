#include "tests/backbones/layers/recurrent_testing.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

// Relative to the largest value. float32 rounds by 6e-8, and a value passes a few tens of
// roundings.
constexpr double kTolerance = 2e-6;

}  // namespace

void ExpectClose(const torch::Tensor& got, const torch::Tensor& want, const std::string& what) {
  ASSERT_EQ(got.sizes(), want.sizes()) << what;
  const torch::Tensor difference = (got.to(torch::kFloat64) - want.to(torch::kFloat64)).abs().max();
  EXPECT_LE(difference.item<double>(), kTolerance * (1 + want.abs().max().item<double>())) << what;
}

int64_t Sum(const std::vector<int64_t>& lengths) {
  return torch::tensor(lengths).sum().item<int64_t>();
}

void CopyParameters(const torch::nn::Module& from, torch::nn::Module& to) {
  const torch::NoGradGuard no_grad;
  for (const auto& parameter : from.named_parameters()) {
    to.named_parameters()[parameter.key()].copy_(parameter.value());
  }
}

}  // namespace cmerc
