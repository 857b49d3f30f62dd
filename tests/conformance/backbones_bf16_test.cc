// Every backbone with every loss: a training step with precision: BF16 against one in float32.
#include <gtest/gtest.h>

#include "tests/conformance/backbone_step.h"

namespace cmerc::conformance {
namespace {

using BackboneInBf16Test = BackboneStepFixture;

// Without views: their losses depend on which prediction is surer, which rounding can turn over.
TEST_P(BackboneInBf16Test, AStepIsNearThatInFloat32) {
  const Outcome got = Step(torch::kCPU, TrainingConfig::BF16, /*weight_with_views=*/0);
  const Outcome expected = Step(torch::kCPU, TrainingConfig::FLOAT32, /*weight_with_views=*/0);
  // bfloat16 has 8 bits: a product is off by up to 2^-8 of its operands, and there are some in a
  // row.
  ExpectNear(got, expected, 0.1);
}

TEST_P(BackboneInBf16Test, WhatLossesAndWeightsAreMadeOfIsFloat32) {
  const Outcome got = Step(torch::kCPU, TrainingConfig::BF16);
  const Outcome expected = Step(torch::kCPU, TrainingConfig::FLOAT32);
  ASSERT_TRUE(got.report.ok()) << got.report.status();
  ASSERT_TRUE(expected.report.ok()) << expected.report.status();
  const Prediction& full = got.report->input.full;
  EXPECT_EQ(full.log_probs.scalar_type(), torch::kFloat32);
  EXPECT_EQ(full.features.scalar_type(), torch::kFloat32);
  // The classifier is a product, so something was rounded; probabilities are not.
  EXPECT_FALSE(full.log_probs.equal(expected.report->input.full.log_probs));
  EXPECT_LE(MaxDifference(full.log_probs.exp().sum(1), torch::ones({full.log_probs.size(0)})),
            kReordered);
  for (const auto& [name, tensor] : expected.state) {
    EXPECT_EQ(got.state.at(name).scalar_type(), tensor.scalar_type()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneInBf16Test, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
