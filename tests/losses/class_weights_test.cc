// The class weights that losses share. losses_test.cc shows them at work.
#include "losses/class_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

DatasetInfo InfoWithCounts(const std::vector<int64_t>& counts) {
  DatasetInfo info = LossTestInfo(static_cast<int64_t>(counts.size()));
  info.class_counts = counts;
  return info;
}

torch::Tensor Weights(ClassWeights::Source source, double beta,
                      const std::vector<int64_t>& counts) {
  const auto weights = MakeClassWeights("cmerc.Some", source, {}, beta, InfoWithCounts(counts));
  EXPECT_TRUE(weights.ok()) << weights.status();
  return *weights;
}

void ExpectNear(const torch::Tensor& weights, const std::vector<double>& expected,
                double tolerance) {
  EXPECT_EQ(weights.scalar_type(), torch::kFloat64);
  EXPECT_TRUE(
      torch::allclose(weights, torch::tensor(expected, torch::kFloat64), tolerance, /*atol=*/0))
      << weights;
}

// A few roundings of float64.
constexpr double kRounding = 1e-14;

TEST(ClassWeightsTest, AreUndefinedForNone) {
  EXPECT_FALSE(Weights(ClassWeights::NONE, 0.999, {10, 20, 30}).defined());
}

TEST(ClassWeightsTest, AreThoseGiven) {
  const std::vector<double> given = {3, 7, 0.5};
  const auto weights = MakeClassWeights("cmerc.Some", ClassWeights::GIVEN, given, 0.999,
                                        InfoWithCounts({10, 20, 30}));
  ASSERT_TRUE(weights.ok()) << weights.status();
  ExpectNear(*weights, given, 0);
}

TEST(ClassWeightsTest, InverseFrequencyIsBalanced) {
  ExpectNear(Weights(ClassWeights::INVERSE_FREQUENCY, 0.999, {10, 20, 30}), {2, 1, 2.0 / 3},
             kRounding);
  ExpectNear(Weights(ClassWeights::INVERSE_FREQUENCY, 0.999, {0, 0}), {0.5, 0.5}, kRounding);
}

TEST(ClassWeightsTest, ClassBalancedIsThePapersFormula) {
  // (1 - beta) / (1 - beta^n), scaled to the sum 3, in Python's float64; 1 - 0.999^10 there loses
  // two digits.
  ExpectNear(Weights(ClassWeights::CLASS_BALANCED, 0.999, {10, 20, 30}),
             {1.6311660860002413, 0.8196629644997339, 0.5491709495000249}, 1e-12);
  ExpectNear(Weights(ClassWeights::CLASS_BALANCED, 0.9, {10, 20, 30}),
             {1.238839774502558, 0.9185582994940603, 0.8426019260033816}, kRounding);
  // 1 / (1 + beta) for two utterances, 1 for one.
  ExpectNear(Weights(ClassWeights::CLASS_BALANCED, 0.5, {1, 2}), {1.2, 0.8}, kRounding);
}

TEST(ClassWeightsTest, ClassBalancedGoesFromEqualWeightsToInverseFrequency) {
  ExpectNear(Weights(ClassWeights::CLASS_BALANCED, 0, {1, 7, 100000}), {1, 1, 1}, kRounding);
  // The largest double below 1: 1 - beta^n is n (1 - beta), and 1, 1/2, 1/5 scale to the sum 3.
  ExpectNear(Weights(ClassWeights::CLASS_BALANCED, std::nextafter(1.0, 0.0), {10, 20, 50}),
             {3 / 1.7, 1.5 / 1.7, 0.6 / 1.7}, kRounding);
}

TEST(ClassWeightsTest, AClassWithoutTrainingUtterancesCountsOnce) {
  EXPECT_TRUE(Weights(ClassWeights::CLASS_BALANCED, 0.99, {4, 0, 9})
                  .equal(Weights(ClassWeights::CLASS_BALANCED, 0.99, {4, 1, 9})));
}

TEST(ClassWeightsTest, AreReadAsNumbers) {
  EXPECT_TRUE(WeightsOf(torch::Tensor()).empty());
  EXPECT_EQ(WeightsOf(torch::tensor({0.5, 2.0, 1.25}, torch::kFloat64)),
            (std::vector<double>{0.5, 2, 1.25}));
}

TEST(ClassWeightsTest, RefuseWhatTheyCannotUse) {
  DatasetInfo info = LossTestInfo(3);
  const auto refusal = [&info](ClassWeights::Source source, double beta) {
    const auto weights = MakeClassWeights("cmerc.Some", source, {}, beta, info);
    EXPECT_EQ(weights.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(weights.status().message());
  };
  info.class_counts.pop_back();
  EXPECT_EQ(refusal(ClassWeights::CLASS_BALANCED, 0.9),
            "cmerc.Some: class_weights = CLASS_BALANCED needs a count for each of the 3 classes of "
            "test, which has 2");
}

}  // namespace
}  // namespace cmerc
